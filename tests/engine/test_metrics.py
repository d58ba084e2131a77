"""What is counted, by how many processes whatsoever, and the gauges from the rows."""

import os
import subprocess
import sys
from datetime import timedelta

import pytest
from django.conf import settings
from prometheus_client.parser import text_string_to_metric_families

from sre_platform.clients import metrics
from sre_platform.engine import heartbeats, line
from sre_platform.engine.gauges import DatabaseGauges
from sre_platform.incidents import record
from sre_platform.incidents.domain import State
from sre_platform.incidents.models import Incident
from sre_platform.intake.models import Delivery
from sre_platform.kernel.clock import now
from tests.engine.story import drive, fire, install
from tests.fakes.leases import incident, take

COUNT = "from sre_platform.clients import metrics; metrics.fate('joined', 2)"


def value(name: str, text: bytes | None = None, **labels: str) -> float:
    """The sum of the samples of that name with at least these labels."""
    text = metrics.exposition() if text is None else text
    samples = [s for family in text_string_to_metric_families(text.decode()) for s in family.samples]
    return sum(s.value for s in samples if s.name == name and labels.items() <= s.labels.items())


def counting(folder, code: str = COUNT, **more: str) -> str:
    """What a process of its own printed that counted in ``folder`` and ended well."""
    env = os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(folder)} | more
    command = [sys.executable, "-c", code]
    return subprocess.run(
        command, env=env, cwd=settings.BASE_DIR, check=True, timeout=60, capture_output=True, text=True
    ).stdout


def test_what_processes_counted_is_added_up_after_they_are_gone(tmp_path, monkeypatch):
    folder = tmp_path / "made" / "on demand"
    counting(folder)
    counting(folder)
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(folder))
    assert value("sre_alert_fates_total", fate="joined") == 4


def test_files_are_named_by_host_too_so_that_two_processes_1_do_not_meet(tmp_path):
    code = "import socket, os; socket.gethostname = lambda: '{}'; os.getpid = lambda: 1; " + COUNT
    counting(tmp_path, code.format("web_1"))
    counting(tmp_path, code.format("worker-1"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["counter_web-1-1.db", "counter_worker-1-1.db"]


def test_a_folder_that_cannot_be_written_stops_nobody(tmp_path):
    (tmp_path / "file").write_text("")
    told = counting(tmp_path / "file" / "below", COUNT + "; print(metrics.exposition().decode())")
    assert value("sre_alert_fates_total", told.encode(), fate="joined") == 2


def test_a_folder_that_vanishes_while_a_process_counts_stops_nobody(tmp_path):
    gone = "import shutil; from sre_platform.clients import metrics; shutil.rmtree('{}'); metrics.fate('joined')"
    assert counting(tmp_path / "x", gone.format(tmp_path / "x") + "; print('went on')") == "went on\n"


@pytest.mark.django_db(transaction=True)
def test_a_story_is_counted(shop):
    install(shop)
    names = {"sre_stage_seconds_count": {"stage": "diagnose", "outcome": "cause_found"}}
    names |= {"sre_actions_total": {"action": "rollback_release", "outcome": "applied"}}
    before = {name: value(name, **labels) for name, labels in names.items()}
    shop.bad = lambda: 1
    drive(fire(), State.REMEDIATED)
    assert {name: value(name, **labels) - before[name] for name, labels in names.items()} == dict.fromkeys(names, 1)


@pytest.mark.django_db
def test_a_stage_that_fails_is_counted_as_failed(monkeypatch):
    one, labels = incident(State.OPEN), {"stage": "broken", "outcome": "failed"}
    before = value("sre_stage_seconds_count", **labels)
    monkeypatch.setitem(line.LINE, State.OPEN, broken)
    line.advance(one.pk, "worker")
    assert value("sre_stage_seconds_count", **labels) - before == 1


def broken(work):
    raise RuntimeError("no")


@pytest.mark.django_db(transaction=True)
def test_an_expired_lease_is_counted():
    one, before = incident(State.OPEN), value("sre_lease_expired_total", state="open")
    take(one.pk, "first")
    take(one.pk, "second")
    assert value("sre_lease_expired_total", state="open") - before == 1


@pytest.mark.django_db
def test_the_gauges_say_how_much_waits_and_how_long():
    old = now() - timedelta(seconds=100)
    Delivery.objects.create(source="x", received_at=old, body=b"", digest="")
    Delivery.objects.create(source="x", received_at=now(), body=b"", digest="", state="digested")
    incident(State.OPEN)
    lease = record.claim(incident(State.OPEN, service="b").pk, "w", 30)
    record.record(lease, record.Event.ALERTS_CLEARED, "over")
    Incident.objects.filter(due_at__isnull=False).update(due_at=old)
    heartbeats.beat("beat")
    text = metrics.exposition([DatabaseGauges()])
    assert value("sre_database_up", text) == 1
    assert value("sre_pending_deliveries", text) == 1
    assert 100 <= value("sre_pending_age_seconds", text) < 130
    assert value("sre_incidents", text, state="open") == 1
    assert value("sre_incidents", text) == 1
    assert value("sre_due_incidents", text) == 1
    assert 100 <= value("sre_due_age_seconds", text) < 130
    assert 0 <= value("sre_heartbeat_age_seconds", text, kind="beat") < 30


def test_a_scrape_without_the_database_says_so_and_keeps_the_counters(tmp_path):
    code = (
        "import django; django.setup()\n"
        "from sre_platform.clients import metrics\nfrom sre_platform.engine.gauges import DatabaseGauges\n"
        "metrics.fate('joined')\nprint(metrics.exposition([DatabaseGauges()]).decode())\n"
    )
    text = counting(tmp_path, code, SRE_DATA=str(tmp_path), SRE_DATABASE_URL="postgres://u:p@127.0.0.1:1/x").encode()
    assert value("sre_database_up", text) == 0
    assert value("sre_alert_fates_total", text, fate="joined") == 1
    assert b"sre_pending" not in text
