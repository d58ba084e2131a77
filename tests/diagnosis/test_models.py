import pytest

from sre_platform.diagnosis.domain import Evidence
from sre_platform.diagnosis.models import EvidenceRow, FindingRow
from tests.diagnosis.scene import OPENED
from tests.fakes.leases import incident

pytestmark = pytest.mark.django_db


def test_evidence_is_kept_packed_and_without_secrets():
    texts = {"log": "GET http://ann:hunter2@db/ with Authorization: Bearer abcdefgh12345", "dump": "goroutine 1 " * 999}
    seen = Evidence("process", "payments", OPENED, {"password": "hunter2", "state": "RUNNING"}, texts)
    EvidenceRow.of(incident().pk, 1, seen).save()
    row = EvidenceRow.objects.get()
    assert row.data == {"password": "[redacted]", "state": "RUNNING"}
    assert "hunter2" not in row.texts["log"]
    assert "abcdefgh12345" not in row.texts["log"]
    assert row.texts["dump"] == texts["dump"]
    assert len(row.packed_texts) < 1000


def test_evidence_without_texts_holds_none():
    row = EvidenceRow.of(incident().pk, 1, Evidence("health", "payments", OPENED, missing="nobody"))
    row.save()
    row.refresh_from_db()
    assert (row.texts, row.missing) == ({}, "nobody")


@pytest.mark.parametrize(
    ("site", "where"), [(None, ""), ({"file": "till.go", "line": 17, "function": "f"}, "till.go:17")]
)
def test_where_a_finding_is(site, where):
    assert FindingRow(content={"site": site}).where == where
