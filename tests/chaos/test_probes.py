"""What experiments ask about roll-outs and users, and what a drill makes of the answers."""

import json
from datetime import timedelta

import pytest

from sre_platform.chaos import probes
from sre_platform.chaos.drills import MUST_BE_TRUE, _denied
from sre_platform.chaos.lab import ADMINISTERED
from sre_platform.kernel.clock import now
from sre_platform.rollouts import record, walk
from sre_platform.rollouts.models import Rollout
from tests.fakes.wire import Answer, serving

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _began(monkeypatch):
    monkeypatch.setattr(probes, "STARTED", now() - timedelta(seconds=40))


def begun(service="payments"):
    return record.start(service, ("v1", "v2"), "envoy", walk.plan(), 60.0, "ann", "")


def end(**rows):
    Rollout.objects.filter(**rows).update(ended_at=now())


def test_a_roll_out_has_ended_only_once_there_was_one_and_all_have():
    assert not probes.rollout_ended(timeout_s=0)
    one, _ = begun(), begun("orders")
    end(pk=one.pk)
    assert not probes.rollout_ended(timeout_s=0)
    end()
    assert probes.rollout_ended(timeout_s=0)


def test_those_from_before_the_experiment_do_not_count():
    begun()
    Rollout.objects.update(started_at=now() - timedelta(hours=1), ended_at=now())
    assert not probes.rollout_ended(timeout_s=0)


def test_one_that_is_left_is_aborted():
    assert probes.no_rollout_is_left(timeout_s=0)
    row = begun()
    assert not probes.no_rollout_is_left(timeout_s=0)
    row.refresh_from_db()
    assert row.wish == walk.Wish.ABORT


@pytest.mark.parametrize(("rate", "said"), [(0.995, True), (0.985, False)])
def test_users_were_well_is_measured_since_the_experiment_began(monkeypatch, rate, said):
    report = {"requests": 1600, "success_rate": rate, "p99_ms": 9000}
    with serving(Answer(200, json.dumps(report).encode())) as wire:
        for name in ("DIR", "FAULTS_TOKEN", "USERS_URL"):
            monkeypatch.setenv(f"SRE_LAB_{name}", wire.url)
        names = [f"SRE_LAB_{service.upper()}_ADMIN_URL" for service in ADMINISTERED]
        names += ["SRE_LAB_FAULTS", "SRE_SUPERVISOR_URL", "SRE_BASE_URL", "SRE_INTAKE_TOKEN", "SRE_LAB_ADMIN_TOKEN"]
        for name in names:
            monkeypatch.setenv(name, "a=b")
        assert probes.users_were_well() is said
    [call] = wire.calls
    assert call.path.startswith("/report?window=40")


@pytest.mark.parametrize(
    ("func", "output", "harmed"), [(name, output, not output) for name in MUST_BE_TRUE for output in (True, False)]
)
def test_a_drill_in_which_something_was_seen_that_must_not_be_has_failed(func, output, harmed):
    run = {"activity": {"provider": {"func": func}}, "output": output}
    other = {"activity": {"provider": {"func": "rollout_ended"}}, "output": False}
    assert _denied({"run": [other, run]}) is harmed
    assert not _denied({})
    assert hasattr(probes, func)
