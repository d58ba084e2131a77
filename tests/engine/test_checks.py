"""What each check finds wrong, and what it leaves alone."""

import threading
from datetime import timedelta
from time import monotonic

import pytest
from django.db import connection

from sre_platform.engine import checks, heartbeats, stuck
from sre_platform.engine.models import Heartbeat
from sre_platform.incidents import record
from sre_platform.incidents.domain import State
from sre_platform.incidents.models import Incident, IncidentAlert, TimelineEntry
from sre_platform.intake.models import Alert, Delivery
from sre_platform.kernel.clock import now
from sre_platform.remediation.models import Step
from sre_platform.tickets.models import Ticket
from tests.fakes.leases import incident, take
from tests.fakes.wire import Answer, serving

MINUTE = timedelta(minutes=1)


@pytest.fixture
def rows(db):
    """Everything these tests write is rolled back."""


def delivery(ago: timedelta, state: str = "pending") -> Delivery:
    return Delivery.objects.create(source="alertmanager", received_at=now() - ago, body=b"", digest="", state=state)


def alert(ago: timedelta, **fields) -> Alert:
    known = {"fingerprint": "f", "starts_at": now(), "name": "Down", "service": "payments"}
    known |= {"labels": {}, "annotations": {}, "received_at": now() - ago}
    return Alert.objects.create(**known | fields)


def step(owner: Incident, state: str = "applying") -> Step:
    return Step.objects.create(
        incident=owner,
        cause="c",
        action="restart_service",
        target="payments",
        says="Restart payments",
        aim={},
        state=state,
    )


def beats(kind: str, ago_s: float, name: str = "", **details) -> None:
    Heartbeat.objects.create(name=name or kind, kind=kind, at=now() - timedelta(seconds=ago_s), details=details)


def test_the_database_answers(rows):
    assert checks.database().ok


@pytest.mark.parametrize(("kind", "look"), [("beat", checks.beat), ("sweep", checks.sweep)])
def test_a_heartbeat_is_well_until_it_is_15_seconds_old(rows, kind, look):
    assert (look().ok, "never been" in look().says) == (False, True)
    beats(kind, 5)
    assert look().ok
    Heartbeat.objects.update(at=now() - timedelta(seconds=16))
    assert (look().ok, look().says, bool(look().advice)) == (
        False,
        f"The last heartbeat of the {kind} was 16 s ago.",
        True,
    )


def test_one_worker_is_enough_and_the_silent_are_named(rows):
    assert checks.workers().ok is False
    beats("worker", 20, "worker@a:1")
    assert checks.workers().ok is False
    beats("worker", 2, "worker@b:1")
    beats("worker", 3600, "worker@stopped:1")
    found = checks.workers()
    assert (found.ok, found.says) == (True, "1 worker process alive. 1 fell silent lately: worker@a:1.")


def test_an_auditor_that_looks_seldom_may_be_older(rows):
    beats("auditor", 90, every_s=10)
    assert checks.auditor().ok is False
    Heartbeat.objects.update(details={"every_s": 60})
    assert checks.auditor().ok


def test_a_heartbeat_renews_its_row_and_a_new_one_removes_those_a_day_old(rows):
    heartbeats.beat("sweep")
    beats("worker", 25 * 3600, "worker@old:1")
    heartbeats.beat("sweep")
    assert Heartbeat.objects.filter(kind="sweep").count() == 1
    heartbeats.beat("worker", "worker@new:1")
    assert set(Heartbeat.objects.values_list("name", flat=True)) == {"sweep", "worker@new:1"}


def test_no_process_forks_while_a_heartbeat_has_its_connection_open(transactional_db):
    pulse, forked = heartbeats.Pulse("worker"), threading.Event()
    with heartbeats._writing:
        thread = threading.Thread(target=lambda: (_fork_and_wait(), forked.set()))
        thread.start()
        assert not forked.wait(0.3)
    assert forked.wait(5)
    thread.join()
    pulse.once()  # and the lock is free again
    assert Heartbeat.objects.get().name == pulse.name


def _fork_and_wait() -> None:
    import os

    if (pid := os.fork()) == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def test_a_broker_that_is_away_is_told_within_two_seconds(settings):
    settings.SRE_REDIS_URL, began = "redis://:secret@127.0.0.1:1/0", monotonic()
    found = checks.broker()
    assert (found.ok, monotonic() - began < 2, "secret" in found.text) == (False, True, False)


def test_a_broker_that_accepts_and_never_answers_is_told_within_two_seconds(settings):
    with serving(Answer()) as wire:  # it speaks no Redis
        settings.SRE_REDIS_URL, began = f"redis://{wire.address}/0", monotonic()
        assert checks.broker().ok is False
    assert monotonic() - began < 4


@pytest.mark.parametrize(
    ("name", "setting", "as_setting"),
    [
        ("alertmanager", "SRE_ALERTMANAGER_URLS", lambda url: [url] if url else []),
        ("prometheus", "SRE_PROMETHEUS_URL", str),
    ],
)
def test_what_is_configured_is_asked_whether_it_is_ready(settings, name, setting, as_setting):
    look = getattr(checks, name)
    setattr(settings, setting, as_setting(""))
    assert look() is None
    with serving(Answer()) as wire:
        setattr(settings, setting, as_setting(wire.url))
        assert look().ok
        assert wire.calls[0].path == "/-/ready"
    setattr(settings, setting, as_setting("http://127.0.0.1:1"))
    assert look().ok is False


def test_one_alertmanager_of_several_that_is_away_is_named(settings):
    with serving(Answer()) as wire:
        settings.SRE_ALERTMANAGER_URLS = [wire.url, "http://127.0.0.1:1", wire.url]
        found = checks.alertmanager()
    assert found.ok is False
    assert "127.0.0.1:1" in found.says


def test_a_delivery_is_late_after_30_seconds(rows):
    delivery(timedelta(seconds=20))
    delivery(MINUTE, "digested")
    assert stuck.deliveries().ok
    late = delivery(MINUTE)
    found = stuck.deliveries()
    assert (found.ok, [one.what for one in found.stuck]) == (False, [f"delivery {late.pk}"])


def test_an_overdue_incident_is_named_with_its_stage_its_last_owner_and_why(rows):
    one = incident(State.APPROVED)
    record.append(one.pk, "opened", "Payments is down.")
    assert stuck.incidents().ok
    Incident.objects.update(due_at=now() - 2 * MINUTE, claimed_by="w:1", claimed_until=now() - timedelta(seconds=30))
    assert stuck.incidents().ok  # its lease ended 30 s ago: somebody may be about to take it
    Incident.objects.update(claimed_until=now() - 2 * MINUTE)
    found = stuck.incidents()
    assert found.ok is False
    assert found.stuck[0].what == f"incident {one.pk}"
    assert found.stuck[0].why == (
        "remediate was due 2 min ago; w:1 held it and is gone. The last thing that happened: Payments is down."
    )


def test_an_ended_incident_is_never_overdue(rows):
    incident(State.RESOLVED, service="a")
    Incident.objects.update(due_at=None)
    assert stuck.incidents().ok


def test_a_stage_that_failed_is_told_until_the_incident_moves_on(rows):
    one = incident(State.OPEN)
    lease = take(one.pk)
    assert stuck.stages().ok
    record.note(lease, record.STAGE_FAILED, "KeyError: 'x'")
    found = stuck.stages()
    assert (found.ok, found.stuck[0].what, "KeyError" in found.stuck[0].why) == (False, f"incident {one.pk}", True)
    record.record(lease, record.Event.CAUSE_FOUND, "found")
    assert stuck.stages().ok


def test_tickets_in_trouble_or_late(rows):
    common = {"incident": incident(), "system": "local", "title": "t", "body": "b"}
    Ticket.objects.create(key="done", due_at=None, trouble="was once", **common)
    Ticket.objects.create(key="fresh", due_at=now(), **common)
    assert stuck.tickets().ok
    refused = Ticket.objects.create(key="refused", due_at=now() + MINUTE, trouble="It answered 403.", **common)
    late = Ticket.objects.create(key="late", due_at=now() - 2 * MINUTE, **common)
    found = {one.what: one.why for one in stuck.tickets().stuck}
    assert set(found) == {f"ticket {refused.pk}", f"ticket {late.pk}"}
    assert "It answered 403." in found[f"ticket {refused.pk}"]


def test_a_step_that_was_begun_needs_an_owner_until_it_is_verified(rows):
    one = incident(State.APPROVED, claimed_by="w", claimed_until=now() + MINUTE)
    left = step(one)
    assert stuck.steps().ok
    Incident.objects.update(claimed_until=now() - MINUTE)
    assert [s.what for s in stuck.steps().stuck] == [f"step {left.pk}"]
    Incident.objects.update(state=State.REMEDIATED, claimed_until=None)
    assert stuck.steps().ok


def test_a_firing_alert_needs_an_incident_after_a_minute(rows):
    alert(timedelta(seconds=10), fingerprint="fresh")
    alert(2 * MINUTE, fingerprint="over", resolved=True)
    placed = alert(2 * MINUTE, fingerprint="placed")
    IncidentAlert.objects.create(incident=incident(), alert=placed, reason="opened it")
    assert stuck.alerts().ok
    alert(2 * MINUTE, fingerprint="silenced", quiet="silence 3 by ann")
    assert stuck.alerts().ok
    lost = alert(2 * MINUTE, fingerprint="lost")
    assert [one.what for one in stuck.alerts().stuck] == [f"alert {lost.pk}"]


def test_a_timeline_that_was_tampered_with_is_named(rows):
    one = incident()
    for number in range(3):
        record.append(one.pk, "note", f"Entry {number}.")
    assert stuck.chains().ok
    TimelineEntry.objects.filter(incident=one, seq=2).update(reason="Nothing happened.")
    found = stuck.chains()
    assert (found.ok, found.stuck[0].what, "entry 2" in found.stuck[0].why) == (False, f"incident {one.pk}", True)


def test_the_number_of_rows_that_are_read_is_bounded(rows):
    for _ in range(stuck.LIMIT + 5):
        delivery(MINUTE)
    found = stuck.deliveries()
    assert (len(found.stuck), found.says) == (stuck.LIMIT, f"{stuck.LIMIT} or more webhooks digested late.")


def test_the_number_of_queries_does_not_grow_with_what_is_stuck(rows, django_assert_max_num_queries):
    for number in range(10):
        incident(State.OPEN, key=f"k{number}")
    Incident.objects.update(due_at=now() - 2 * MINUTE)
    with django_assert_max_num_queries(1):
        assert len(stuck.incidents().stuck) == 10


def test_a_check_that_hangs_costs_its_time_once_and_is_not_started_again():
    go, started = threading.Event(), []

    def hangs():
        started.append(1)
        go.wait(20)
        return checks.Check("hangs", True, "at last")

    def quick():
        return checks.Check("quick", True, "here")

    try:
        for _ in range(2):
            began = monotonic()
            found = {check.name: check.ok for check in checks.examine([[hangs], [quick]], within_s=0.3)}
            assert (found, monotonic() - began < 2) == ({"hangs": None, "quick": True}, True)
        assert len(started) == 1
    finally:
        go.set()


def test_what_raises_could_not_be_checked_and_does_not_stop_the_others():
    def first():
        return checks.Check("first", True, "")

    def breaks():
        raise RuntimeError("no idea")

    def last():
        return checks.Check("last", True, "")

    found = checks.examine([[first, breaks, last]])
    assert [(check.name, check.ok) for check in found] == [("first", True), ("breaks", None), ("last", True)]
    assert "no idea" in found[1].says


def test_without_the_database_the_checks_of_its_rows_could_not_be_made():
    def database():
        return checks.Check("database", False, "It is away.", "Start it.")

    found = checks.examine([[database, checks.beat]])
    assert [(check.ok, check.advice) for check in found] == [(False, "Start it."), (None, "Start it.")]
    assert [check.because for check in found] == ["", "database"]


def test_every_check_is_well_formed_and_the_connections_are_given_back(transactional_db, settings):
    settings.SRE_REDIS_URL = "redis://127.0.0.1:1/0"
    found = checks.examine(stuck.ALL)
    names = [check.name for check in found]
    assert len(names) == len(set(names))
    assert {"database", "broker", "beat", "workers", "sweep", "auditor", "deliveries", "chains"} <= set(names)
    assert all(check.advice for check in found if check.ok is False)
    assert [check.name for check in found if check.ok is None] == []
    assert connection.connection is None or connection.is_usable()
