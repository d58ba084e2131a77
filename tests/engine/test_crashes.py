"""A worker dies before any statement of any stage: the next one gets to the same end, and each effect happens once."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from itertools import count

import pytest
from django.db import connection, transaction

from sre_platform.engine import line
from sre_platform.incidents.domain import State
from sre_platform.incidents.models import Incident
from sre_platform.kernel.clock import now
from sre_platform.tickets.models import LocalTicket
from tests.engine.story import delivered, drive, events, fire, install, last, sound, strict
from tests.fakes.leases import Died, take

pytestmark = pytest.mark.django_db
STOP, START = ("stop", "payments"), ("start", "payments")


def matters(sql: str) -> bool:
    """A write, or the question right before an effect whether the lease still holds."""
    return sql.startswith(("INSERT", "UPDATE", "DELETE")) or (sql.startswith("SELECT 1") and "claimed_until" in sql)


@contextmanager
def dying_before(number: int) -> Iterator[list[str]]:
    """Dies before the ``number``-th statement that matters; the list holds it, if it came to that."""
    counter, died = count(1), []

    def run(execute, sql, *rest):
        if not died and matters(sql) and next(counter) == number:
            died.append(sql)
            raise Died
        return execute(sql, *rest)

    with connection.execute_wrapper(run):
        yield died


def ring(incident: Incident) -> None:
    over = now() - timedelta(seconds=1)
    Incident.objects.filter(pk=incident.pk).update(due_at=over)
    Incident.objects.filter(pk=incident.pk, claimed_until__isnull=False).update(claimed_until=over)
    line.advance(incident.pk, "worker")


def each_death(shop, incident: Incident) -> Iterator[str]:
    """The stage, dying before its first statement, its second, ...; the world and the rows are as before each time."""
    pid, release = shop.process.pid, shop.release
    for number in count(1):
        with transaction.atomic():
            shop.supervisor.effects.clear()
            with dying_before(number) as died, suppress(Died):
                ring(incident)
            if died:
                ring(incident)  # the next owner, once the lease is over
                yield died[0]
            transaction.set_rollback(True)
        shop.process.state, shop.process.pid = "RUNNING", pid
        shop.switch(release)
        if not died:
            assert number > 5
            return


@pytest.mark.parametrize("state", [State.OPEN, State.DIAGNOSED, State.APPROVED, State.REMEDIATED])
def test_a_worker_that_dies_anywhere_changes_nothing_about_the_end(shop, state):
    install(shop)
    incident = fire() if state is State.OPEN else drive(fire(), state)
    assert incident.state == state
    for statement in each_death(shop, incident):
        drive(incident)
        assert (incident.state, last(incident).name) == ("resolved", "fixed"), (statement, last(incident).reason)
        assert events(incident) == ["cause_found", "allowed", "steps_done", "fixed"], statement
        done = [STOP, START] if state is not State.REMEDIATED else []
        assert (shop.release, shop.supervisor.effects) == ("v1", done), statement
        assert sorted(incident.steps.repairs().values_list("state", flat=True)) in (["kept"], ["cancelled", "kept"]), (
            statement
        )
        assert sound(incident), statement
        delivered(incident)
        assert LocalTicket.objects.count() == 1, statement


def test_a_worker_that_dies_while_it_takes_back_restores_everything_once(shop):
    install(shop)
    strict()
    shop.bad = lambda: 1
    incident = drive(fire(), State.UNHEALTHY)
    for statement in each_death(shop, incident):
        incident.refresh_from_db()
        if incident.state == State.UNHEALTHY:
            drive(incident, State.DIAGNOSED)
        assert (incident.state, last(incident).name) == ("diagnosed", "rolled_back"), (statement, last(incident).reason)
        assert (shop.release, shop.supervisor.effects) == ("v2", [STOP, START]), statement
        steps = incident.steps.filter(leads_to=None)
        assert list(steps.values_list("state", flat=True)) == ["undone", "kept"], statement
        assert sound(incident), statement


def test_a_worker_that_dies_over_an_incident_again_and_again_leaves_it_to_people(shop):
    install(shop)
    incident = drive(fire(), State.APPROVED)
    for _ in range(4):
        take(incident.pk, "the one who dies")
    ring(incident)
    incident.refresh_from_db()
    assert (incident.state, last(incident).reason) == (
        "escalated",
        "The stage failed 4 times, so it is not tried again.",
    )
    assert shop.supervisor.effects == []


def test_who_was_overtaken_stops_before_the_next_effect_and_says_nothing(shop):
    install(shop)
    incident = drive(fire(), State.APPROVED)
    overtaken = []

    def overtake(execute, sql, *rest):
        done = execute(sql, *rest)
        if sql.startswith('UPDATE "remediation_step"') and not overtaken:
            overtaken.append(sql)
            overtaken.append(take(incident.pk, "the next owner"))
        return done

    Incident.objects.filter(pk=incident.pk).update(due_at=now())
    with connection.execute_wrapper(overtake):
        assert line.advance(incident.pk, "the slow one") is None
    incident.refresh_from_db()
    assert (incident.state, shop.release, shop.supervisor.effects) == ("approved", "v2", [])
    assert incident.fence == overtaken[1].fence
    assert sound(incident)
    ring(incident)
    drive(incident)
    assert (incident.state, shop.supervisor.effects) == ("resolved", [STOP, START])
