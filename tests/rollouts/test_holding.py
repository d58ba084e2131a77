"""What holds a roll-out: no step forward, none that begins, and never a way back that is held up."""

from dataclasses import replace
from datetime import timedelta

import pytest

from sre_platform.catalog.models import Service
from sre_platform.guardrails.models import FreezeWindow, set_kill_switch
from sre_platform.incidents.domain import State as IncidentState
from sre_platform.incidents.models import IncidentAlert
from sre_platform.intake.models import Alert
from sre_platform.kernel.clock import now
from sre_platform.kernel.errors import Rejected
from sre_platform.rollouts.models import Rollout
from sre_platform.rollouts.walk import State
from sre_platform.rollouts.walking import TICK_S
from tests.fakes.leases import incident
from tests.rollouts.test_walking import older, ticks, weights

pytestmark = pytest.mark.django_db


def stopped():
    set_kill_switch(True, "ann", "maintenance")


def troubled():
    incident(service="payments")


def unlabelled():
    Service.objects.update(labels={})


@pytest.mark.parametrize("held_by", [stopped, troubled, unlabelled])
def test_what_holds_it_keeps_it_where_it_is_and_never_from_going_back(it, held_by):
    rollout = ticks(it, it.begin(), until=[State.WALKING])
    held_by()
    for _ in range(40):
        it.serve()
        older(rollout, 11)
        it.walk(rollout).tick()
    rollout.refresh_from_db()
    assert (rollout.state, weights(it)) == (State.ANALYSING, [5])
    ticks(it, rollout, serve=lambda: it.serve(190, 10, failed=5))
    assert (rollout.state, it.envoy.weight) == (State.ROLLED_BACK, 0)


def left_to_people():
    """Its alert still fires."""
    fields = {"fingerprint": "down", "name": "Down", "service": "payments", "labels": {}, "annotations": {}}
    fires = Alert.objects.create(starts_at=now(), **fields)
    IncidentAlert.objects.create(incident=incident(IncidentState.ESCALATED), alert=fires, reason="opened the incident")


def frozen():
    """For production; and nobody has said where payments runs."""
    fields = {"first_start": now() - timedelta(minutes=1), "duration_s": 3600, "environment": "prod*"}
    FreezeWindow.objects.create(name="year-end", reason="books", **fields)


@pytest.mark.parametrize("held_by", [stopped, troubled, unlabelled, left_to_people, frozen])
def test_none_begins_while_something_holds_it(it, held_by):
    held_by()
    with pytest.raises(Rejected, match="No roll-out may begin"):
        it.begin()
    assert not Rollout.objects.exists()


def test_a_stop_between_looking_and_beginning_holds_it(it):
    walking = it.walk(ticks(it, it.begin(), until=[State.STARTING]))
    looks = iter(["", "All automation is stopped."])
    held = replace(walking, hold=lambda: next(looks))
    assert [held.tick(), Rollout.objects.get().state] == [TICK_S, State.STARTING]
