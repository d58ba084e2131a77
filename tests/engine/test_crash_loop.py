"""A process that ends again and again: back to the release that stayed up; without one it is started once, no more."""

import pytest

from sre_platform.catalog.models import Change
from sre_platform.incidents.domain import State
from tests.diagnosis.test_crash import PANIC
from tests.engine.story import drive, events, fire, install, sound

pytestmark = pytest.mark.django_db
ENDED = b"2026-11-21 22:00:15,274 WARN exited: payments (exit status 2; not expected)\n"


@pytest.fixture
def looping(shop):
    """Release v2 of payments panics at every start, and its supervisor has given up."""
    install(shop)
    spawn = shop.process.spawn

    def start():
        spawn()
        if shop.release == "v2":
            shop.process.die("FATAL", 2)

    shop.process.spawn, shop.process.stdout, shop.supervisor.log = start, PANIC.encode() * 3, ENDED * 3
    shop.process.die("FATAL", 2)
    return shop


def test_the_deploy_that_brought_it_is_rolled_back_and_nothing_is_restarted(looping):
    looping.bad = lambda: 0 if looping.process.state == "RUNNING" else 1
    incident = drive(fire(name="ServiceDown"))
    assert (incident.state, looping.release, looping.process.state) == (State.RESOLVED, "v1", "RUNNING")
    assert looping.supervisor.effects == [("start", "payments")]
    finding = incident.findings.first()
    assert (finding.cause, finding.where) == ("crash_loop", "lab/payments/config_v4.go:11")
    assert [step.action for step in incident.steps.order_by("pk")] == ["rollback_release", "capture_evidence"]
    captured = incident.evidence.filter(captured=True).order_by("collector")
    assert list(captured.values_list("collector", flat=True)) == ["process_log"], "the process has just been seen"
    assert incident.evidence.filter(captured=False, collector="process", missing="").exists()
    assert sound(incident)


def test_without_a_deploy_it_is_started_once_and_then_left_to_people(looping):
    Change.objects.all().delete()
    incident = drive(fire(name="ServiceDown"), most=80)
    assert (incident.state, looping.release, looping.process.state) == (State.ESCALATED, "v2", "FATAL")
    assert looping.supervisor.did("start") == 1
    assert [step.action for step in incident.steps.repairs()] == ["restart_service"]
    assert events(incident)[-2:] == ["rolled_back", "refused"]


def test_a_rollback_that_does_not_help_is_taken_back_before_the_one_start(looping):
    looping.process.spawn = lambda: looping.process.die("FATAL", 2)
    incident = drive(fire(name="ServiceDown"), most=120)
    assert (incident.state, looping.release) == (State.ESCALATED, "v2")
    assert [step.action for step in incident.steps.repairs().order_by("pk")] == ["rollback_release", "restart_service"]
