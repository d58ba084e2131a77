"""A canary walks, tick by tick, against processes, releases and an Envoy at the wire: what is done, in which order."""

from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from sre_platform.catalog.models import Change, Service
from sre_platform.kernel.clock import now
from sre_platform.kernel.errors import Lost, Malformed, Rejected, Unavailable
from sre_platform.rollouts import record, walk
from sre_platform.rollouts.models import Rollout
from sre_platform.rollouts.walk import State, Wish
from tests.rollouts.scene import BASELINE, CANARY

pytestmark = pytest.mark.django_db


def older(rollout, seconds=3600.0):
    """As if its state and step had lasted for so long."""
    rollout.refresh_from_db()
    since = {name: getattr(rollout, name) - timedelta(seconds=seconds) for name in ("state_since", "step_since")}
    Rollout.objects.filter(pk=rollout.pk).update(**since)


def ticks(it, rollout, until=(), most=80, serve=None, by=None):
    """Tick until it has ended or is in one of these states."""
    walking = by or it.walk(rollout)
    for _ in range(most):
        (serve or it.serve)()
        rollout.refresh_from_db()
        if rollout.state == State.WALKING:
            older(rollout, 11)
        walking.tick()
        rollout.refresh_from_db()
        if rollout.ended or rollout.state in until:
            return rollout
    raise AssertionError(f"still {rollout.state} after {most} ticks: {names(rollout)}")


def names(rollout):
    return [event.name for event in rollout.events.all()]


def weights(it):
    return [int(effect["routing.shop.canary"]) for effect in it.envoy.effects]


def test_a_good_canary_gets_all_the_traffic_and_its_release_becomes_the_baselines(it):
    rollout = ticks(it, it.begin())
    assert (rollout.state, rollout.reason) == (
        State.PROMOTED,
        "The baseline runs the new release and serves all traffic.",
    )
    assert weights(it) == [5, 50, 100, 0]
    assert it.supervisor.effects == [("start", CANARY), ("stop", BASELINE), ("start", BASELINE), ("stop", CANARY)]
    assert (it.release, it.envoy.weight) == ("v2", 0)
    change = Change.objects.get()
    assert (change.before, change.after, change.by) == ("v1", "v2", f"roll-out {rollout.pk}")


def test_every_step_forward_has_the_numbers_of_its_analysis(it):
    rollout = ticks(it, it.begin())
    forward = rollout.events.filter(name="walking").exclude(reason__contains="healthy")
    assert [event.reason for event in forward] == ["The analysis passes the canary."]
    checks = forward[0].data["numbers"]["checks"]
    assert {check["name"] for check in checks} >= {"5xx_share", "p99_ms", "p99_rise"}
    assert all(check["verdict"] == "pass" and check["canary"] is not None for check in checks)


def test_a_bad_canary_loses_all_traffic_before_anything_else_is_done(it):
    order = []
    it.envoy.watch = lambda: order.append("weigh")
    it.supervisor.watch = lambda verb, name: order.append(verb)
    rollout = ticks(it, it.begin(), serve=lambda: it.serve(190, 10, failed=3))
    assert (rollout.state, it.envoy.weight, it.runs(CANARY), it.runs(BASELINE)) == (State.ROLLED_BACK, 0, False, True)
    assert order == ["start", "weigh", "weigh", "stop"]
    assert "requests to the canary failed with 5xx" in rollout.events.get(name="rolling_back").reason
    assert "requests to the canary failed with 5xx" in rollout.reason, "the end says why, too"
    assert rollout.events.get(name="rolling_back").data["numbers"]["verdict"] == "fail"
    assert (it.release, Change.objects.count()) == ("v1", 0)
    assert rollout.tell_at is not None


def test_an_outage_of_both_versions_is_not_the_canarys_fault(it):
    def both_fail():
        it.envoy.clusters["stable"].serve("5", 60)
        it.serve(140, 10, failed=3)

    rollout = ticks(it, it.begin(), until=[State.ANALYSING], serve=both_fail)
    for _ in range(15):
        both_fail()
        it.walk(rollout).tick()
    rollout.refresh_from_db()
    assert rollout.state == State.ANALYSING


def test_what_cannot_be_told_never_goes_on_by_itself(it):
    rollout = ticks(it, it.begin(), until=[State.ANALYSING], serve=lambda: it.serve(5, 1))
    older(rollout, walk.TELL_WITHIN_S + 1)
    ticks(it, rollout, until=[State.WAITS_FOR_PERSON], serve=lambda: it.serve(5, 1))
    assert weights(it) == [5]
    assert "a person has to decide" in rollout.reason
    assert rollout.tell_at is not None
    for _ in range(20):
        it.serve()  # now it could be told, but a person has been asked
        it.walk(rollout).tick()
    rollout.refresh_from_db()
    assert (rollout.state, weights(it)) == (State.WAITS_FOR_PERSON, [5])


def test_a_person_lets_it_go_one_step_on_or_promotes_it(it):
    rollout = it.begin()
    ticks(it, rollout, until=[State.ANALYSING], serve=lambda: it.serve(5, 1))
    assert record.ask(rollout.pk, Wish.GO_ON, "ann")
    ticks(it, rollout, until=[State.WALKING], serve=lambda: it.serve(5, 1))
    assert (rollout.step, rollout.wish) == (1, "")
    assert record.ask(rollout.pk, Wish.PROMOTE, "ann")
    ticks(it, rollout, serve=lambda: it.serve(5, 1))
    assert (rollout.state, it.release, it.envoy.weight) == (State.PROMOTED, "v2", 0)


def test_nobody_decides_and_the_traffic_goes_back(it):
    rollout = ticks(it, it.begin(), until=[State.ANALYSING], serve=lambda: it.serve(5, 1))
    Rollout.objects.filter(pk=rollout.pk).update(state=State.WAITS_FOR_PERSON)
    older(rollout, walk.PERSON_WITHIN_S + 1)
    ticks(it, rollout, serve=lambda: it.serve(5, 1))
    assert (rollout.state, it.envoy.weight) == (State.ROLLED_BACK, 0)
    assert "Nobody decided" in rollout.events.get(name="rolling_back").reason


@pytest.mark.parametrize("state", [State.PENDING, State.WALKING, State.ANALYSING])
def test_a_person_takes_it_back_at_any_time(it, state):
    rollout = it.begin()
    if state is not State.PENDING:
        ticks(it, rollout, until=[state])
    assert record.ask(rollout.pk, Wish.ABORT, "ann")
    ticks(it, rollout)
    assert (rollout.state, it.envoy.weight, it.runs(CANARY)) == (State.ABORTED, 0, False)
    assert not record.ask(rollout.pk, Wish.PROMOTE, "ann")


def test_a_wish_that_comes_while_it_moves_is_not_forgotten(it):
    rollout = ticks(it, it.begin(), until=[State.ANALYSING], serve=lambda: it.serve(5, 1))
    lease = it.walk(rollout).hands.lease
    rollout.refresh_from_db()
    record.ask(rollout.pk, Wish.ABORT, "ann")
    record.move(lease, rollout, walk.Move(State.WAITS_FOR_PERSON, 0, "it cannot be told"), {})
    rollout.refresh_from_db()
    assert (rollout.state, rollout.wish) == (State.WAITS_FOR_PERSON, Wish.ABORT)


def test_a_canary_that_dies_or_falls_silent_has_to_go(it):
    rollout = ticks(it, it.begin(), until=[State.WALKING])
    it.supervisor.processes[CANARY].die()
    ticks(it, rollout)
    assert (rollout.state, it.envoy.weight) == (State.ROLLED_BACK, 0)
    assert "process has ended" in rollout.events.get(name="rolling_back").reason
    silent = ticks(it, it.begin(), until=[State.WALKING])
    it.ill.add("/canary")
    walking = it.walk(silent)
    moves = [walking.tick() for _ in range(3)]
    silent.refresh_from_db()
    assert (moves, silent.state) == ([1.0, 1.0, 0.0], State.ROLLING_BACK)


def test_a_canary_that_does_not_start_fails_and_leaves_nothing_behind(it):
    it.supervisor.processes[CANARY].can_start = False
    rollout = ticks(it, it.begin())
    assert (rollout.state, it.envoy.weight) == (State.ROLLED_BACK, 0)
    assert "could not be started" in rollout.events.get(name="rolling_back").reason
    assert weights(it) == []


def test_a_canary_that_is_never_healthy_fails(it):
    it.ill.add("/canary")
    rollout = ticks(it, it.begin(), until=[State.STARTING])
    older(rollout, walk.READY_WITHIN_S + 1)
    ticks(it, rollout)
    assert (rollout.state, weights(it)) == (State.FAILED, [])


def test_a_router_that_is_away_for_long_is_a_breach_and_the_way_back_is_tried_until_it_works(it):
    rollout = ticks(it, it.begin(), until=[State.WALKING])
    walking = it.walk(rollout)
    walking.tick()
    it.envoy.down = True
    walking.tick()
    assert set(walking.blind) == {"router", "counters"}
    walking.blind = dict.fromkeys(walking.blind, -1e9)
    walking.tick()
    rollout.refresh_from_db()
    assert rollout.state == State.ROLLING_BACK
    assert [walking.tick(), walking.tick()] == [0.5, 0.5]
    it.envoy.down = False
    ticks(it, rollout, by=walking)
    assert (rollout.state, it.envoy.weight, it.runs(CANARY)) == (State.ROLLED_BACK, 0, False)


def test_who_takes_the_canarys_share_away_is_not_worked_against(it):
    rollout = ticks(it, it.begin(), until=[State.ANALYSING], serve=lambda: it.serve(5, 1))
    it.envoy.runtime.clear()  # as after a restart of Envoy, or when shift_traffic gave all to the baseline
    ticks(it, rollout, serve=lambda: it.serve(5, 1))
    assert (rollout.state, it.envoy.weight, weights(it)) == (State.ROLLED_BACK, 0, [5])
    assert "took the canary's share" in rollout.events.get(name="rolling_back").reason


def test_the_catalog_may_bound_a_canary_otherwise(it):
    canary = it.fields()["handles"]["canary"] | {"limits": {"errors": 0.2, "p99_ms": 300}}
    Service.objects.update(handles=it.fields()["handles"] | {"canary": canary})
    walking = it.walk(rollout := ticks(it, it.begin(), until=[State.ANALYSING]))
    assert (walking.hands.limits.errors, walking.hands.limits.p99_ms, walking.hands.limits.p99_rise) == (0.2, 300, 0.15)
    for _ in range(20):
        it.serve(190, 100, failed=10)  # with the default that is the end
        walking.tick()
    rollout.refresh_from_db()
    assert rollout.state != State.ROLLING_BACK
    limits = {check["name"]: check["limit"] for check in rollout.judgement["checks"]}
    assert (limits["5xx_share"], limits["p99_ms"]) == (0.2, 300)


def test_who_gives_the_canary_more_is_corrected(it):
    rollout = ticks(it, it.begin(), until=[State.ANALYSING], serve=lambda: it.serve(5, 1))
    it.envoy.runtime |= {"routing.shop.canary": "90", "routing.shop.stable": "10"}
    it.walk(rollout).tick()
    assert it.envoy.weight == 5


def test_there_are_never_two_for_one_service(it):
    rollout = it.begin()
    with pytest.raises(Rejected, match="on its way already"):
        it.begin()
    fields = {"service": "payments", "started_at": now(), "state_since": now(), "step_since": now(), "steps": []}
    with pytest.raises(IntegrityError), transaction.atomic():
        Rollout.objects.create(**fields)
    record.ask(rollout.pk, Wish.ABORT, "ann")
    ticks(it, rollout)
    assert it.begin().pk != rollout.pk


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"handles": {}}, Rejected, "no router"),
        ({"release_link": "/nowhere"}, Unavailable, "release link cannot be read"),
        ({"process": ""}, Rejected, "names no process"),
    ],
)
def test_what_the_catalog_does_not_say_is_said(it, change, error, says):
    Service.objects.update(**change)
    with pytest.raises(error, match=says):
        it.begin()
    assert not Rollout.objects.exists()


def test_one_whose_router_does_not_answer_is_not_begun(it):
    it.envoy.down = True
    with pytest.raises(Unavailable):
        it.begin()
    assert not Rollout.objects.exists()


@pytest.mark.parametrize("steps", [(), (0, 100), (50, 25, 100), (5, 50), (5, 101), tuple(range(1, 101))])
def test_steps_that_do_not_rise_to_everything_are_refused(it, steps):
    with pytest.raises(Malformed, match="have to rise"):
        it.begin(steps)
    assert not Rollout.objects.exists()


def test_a_first_step_by_header_gives_nobody_else_the_canary(it):
    rollout = ticks(it, it.begin(label="header"), until=[State.ANALYSING])
    assert it.envoy.runtime["routing.shop.header"] == "100"
    assert it.envoy.weight == 0
    ticks(it, rollout, until=[State.WALKING])
    it.walk(rollout).tick()
    assert (it.envoy.runtime["routing.shop.header"], it.envoy.weight) == ("0", 5)


def test_who_was_overtaken_does_nothing_more(it):
    rollout = ticks(it, it.begin(), until=[State.ANALYSING])
    slow = it.walk(rollout)
    it.walk(rollout, "the next owner")
    before = list(it.envoy.effects)
    with pytest.raises(Lost):
        slow.tick()
    assert it.envoy.effects == before


def test_a_promoted_release_that_does_not_come_up_is_taken_back(it):
    rollout = ticks(it, it.begin(), until=[State.PROMOTING])
    it.ill.add("/baseline")
    walking = it.walk(rollout)
    for _ in range(3):
        walking.tick()
    assert (it.envoy.weight, it.release) == (100, "v2")
    older(rollout, walk.PROMOTED_WITHIN_S + 1)
    walking.tick()
    it.ill.clear()
    ticks(it, rollout, by=walking)
    assert (rollout.state, it.release, it.envoy.weight) == (State.FAILED, "v1", 0)
    assert (it.runs(BASELINE), it.runs(CANARY)) == (True, False)


def test_a_canary_that_dies_while_it_is_promoted_loses_the_traffic_at_once(it):
    rollout = ticks(it, it.begin(), until=[State.PROMOTING])
    it.ill.add("/baseline")  # it takes its time to start
    walking = it.walk(rollout)
    walking.tick(), walking.tick()
    assert (it.envoy.weight, it.release) == (100, "v2")
    it.supervisor.processes[CANARY].die()
    stops = []
    it.supervisor.watch = lambda verb, name: stops.append((verb, name, it.envoy.weight))
    it.ill.clear()
    Rollout.objects.filter(pk=rollout.pk).update(state=State.ROLLING_BACK)
    ticks(it, rollout, by=walking)
    assert stops == [("stop", BASELINE, 0), ("start", BASELINE, 0)], "the traffic moves before the baseline does"
    assert (rollout.state, it.release, it.envoy.weight) == (State.ROLLED_BACK, "v1", 0)


def test_a_tick_takes_as_many_queries_with_a_hundred_samples_as_with_few(it):
    rollout = ticks(it, it.begin(), until=[State.ANALYSING], serve=lambda: it.serve(5, 1))
    walking = it.walk(rollout)

    def counted():
        it.serve(5, 1)
        with CaptureQueriesContext(
            connection,
        ) as queries:
            walking.tick()
        return len(queries)

    few = max(counted() for _ in range(10))
    for _ in range(90):
        it.serve(5, 1)
        walking.tick()
    many = max(counted() for _ in range(10))
    assert many <= few
