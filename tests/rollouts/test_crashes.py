"""A worker dies before any statement of any tick: the next one comes to the same end, and no effect happens twice."""

from contextlib import contextmanager, suppress
from itertools import count

import pytest
from django.db import connection, transaction

from sre_platform.catalog.models import Change
from sre_platform.rollouts.models import Rollout
from sre_platform.rollouts.walk import State
from tests.fakes.leases import Died
from tests.rollouts.scene import BASELINE, CANARY
from tests.rollouts.test_walking import ticks

pytestmark = pytest.mark.django_db


@contextmanager
def dying_before(number):
    """Dies before the ``number``-th write; the list holds it, if it came to that."""
    counter, died = count(1), []

    def run(execute, sql, *rest):
        if not died and sql.startswith(("INSERT", "UPDATE", "DELETE")) and next(counter) == number:
            died.append(sql)
            raise Died
        return execute(sql, *rest)

    with connection.execute_wrapper(run):
        yield died


def each_death(it, begin, serve, last_state):
    """Each way to die from where ``begin``'s roll-out stands to ``last_state``; all is as there before each time."""
    rollout = begin()
    world = it.remembered()
    it.restore(world)
    for number in count(1):
        with transaction.atomic():
            with dying_before(number) as died, suppress(Died):
                ticks(it, rollout, until=[last_state], serve=serve)
            if died:
                ticks(it, rollout, until=[last_state], serve=serve)
                yield died[0], rollout
            transaction.set_rollback(True)
        it.restore(world)
        rollout = Rollout.objects.get(pk=rollout.pk)
        if not died:
            assert number > 10
            return


def done(it, verb, name):
    return it.supervisor.effects.count((verb, name))


def test_dying_anywhere_until_the_canary_has_its_first_share(it):
    for statement, rollout in each_death(it, it.begin, lambda: it.serve(5, 1), State.ANALYSING):
        assert rollout.state == State.ANALYSING, statement
        assert (it.envoy.weight, it.runs(CANARY)) == (5, True), statement
        assert it.supervisor.effects == [("start", CANARY)], statement
        assert {effect["routing.shop.canary"] for effect in it.envoy.effects} == {"5"}, statement


def test_dying_anywhere_on_the_way_back_leaves_all_traffic_on_the_baseline(it):
    def broken():
        rollout = ticks(it, it.begin(), until=[State.ANALYSING], serve=lambda: it.serve(5, 1))
        assert it.envoy.weight == 5
        return rollout

    def serve():
        it.serve(190, 10, failed=5)

    for statement, rollout in each_death(it, broken, serve, State.ROLLED_BACK):
        assert rollout.state == State.ROLLED_BACK, statement
        assert (it.envoy.weight, it.release, it.runs(BASELINE)) == (0, "v1", True), statement
        assert it.supervisor.effects == [("stop", CANARY)], statement
        assert {effect["routing.shop.canary"] for effect in it.envoy.effects} == {"0"}, statement


def test_dying_anywhere_while_it_is_promoted_moves_the_baseline_once(it):
    def passed():
        return ticks(it, it.begin((50, 100)), until=[State.PROMOTING])

    for statement, rollout in each_death(it, passed, it.serve, State.PROMOTED):
        assert rollout.state == State.PROMOTED, statement
        assert (it.envoy.weight, it.release) == (0, "v2"), statement
        assert (it.runs(BASELINE), it.runs(CANARY)) == (True, False), statement
        assert [done(it, verb, BASELINE) for verb in ("stop", "start")] == [1, 1], statement
        assert Change.objects.count() == 1, statement


def test_traffic_is_never_on_a_version_that_does_not_run(it):
    """While the baseline is moved, the canary has all of it, and the canary is stopped only when it has none."""
    seen = []

    def watch(verb, name):
        if verb == "stop":
            seen.append((name, it.envoy.weight))

    it.supervisor.watch = watch
    rollout = ticks(it, it.begin((50, 100)))
    assert rollout.state == State.PROMOTED
    assert seen == [(BASELINE, 100), (CANARY, 0)]


def test_a_router_that_fails_in_the_middle_of_the_way_back_is_asked_again_by_whoever_comes(it):
    rollout = ticks(it, it.begin(), until=[State.ANALYSING], serve=lambda: it.serve(5, 1))
    Rollout.objects.filter(pk=rollout.pk).update(state=State.ROLLING_BACK)
    it.envoy.down = True
    assert it.walk(rollout).tick() == 0.5
    assert it.runs(CANARY), "the canary still gets traffic, so it is not stopped"
    it.envoy.down = False
    ticks(it, rollout, by=it.walk(rollout, "the next owner"))
    assert (rollout.state, it.envoy.weight, it.runs(CANARY)) == (State.ROLLED_BACK, 0, False)
