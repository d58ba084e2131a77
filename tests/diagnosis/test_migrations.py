"""Texts that were packed into rows of evidence are blobs afterwards, and back in their rows when that is undone."""

import json
import zlib

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from tests.diagnosis.scene import OPENED

BEFORE = [("diagnosis", "0001_initial"), ("incidents", "0004_ended_by")]
TEXTS = [{"earlier": "goroutine 1 é\n", "goroutine": "same"}, {"goroutine": "same"}, {}]


def packed(texts):
    return zlib.compress(json.dumps(texts).encode(), level=1) if texts else b""


def migrated(target):
    executor = MigrationExecutor(connection)
    executor.migrate(target)
    return MigrationExecutor(connection).loader.project_state(target).apps


def present():
    """The newest migrations of all apps: going back takes along what depends on it."""
    return MigrationExecutor(connection).loader.graph.leaf_nodes()


@pytest.mark.django_db(transaction=True)
def test_no_text_is_lost_on_the_way_to_blobs_and_back():
    try:
        apps = migrated(BEFORE)
        incident = apps.get_model("incidents", "Incident").objects.create(key="a", title="a", opened_at=OPENED)
        for number, texts in enumerate(TEXTS):
            apps.get_model("diagnosis", "EvidenceRow").objects.create(
                incident=incident,
                round=number,
                collector="c",
                service="s",
                collected_at=OPENED,
                packed_texts=packed(texts),
            )
        migrated(present())
        from sre_platform.diagnosis.models import EvidenceBlob, EvidenceRow

        assert [row.texts for row in EvidenceRow.objects.order_by("round")] == TEXTS
        assert EvidenceBlob.objects.count() == 2, "equal texts are stored once"
        rows = migrated(BEFORE).get_model("diagnosis", "EvidenceRow").objects.order_by("round")
        assert [json.loads(zlib.decompress(row.packed_texts)) if row.packed_texts else {} for row in rows] == TEXTS
    finally:
        migrated(present())
