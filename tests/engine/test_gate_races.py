"""Many workers at the gate at the same time, each with its own connection: a limit is reached exactly, never passed.

The steps are written a moment after they were judged, so that without the gate everybody would be judged by the same
past. On SQLite every writer waits for every other anyway; `make test-postgres` runs this where only the gate does.
"""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from time import sleep

import pytest
from django.db import connection

from sre_platform.engine import permission
from sre_platform.guardrails.domain import Answer, Denied
from sre_platform.guardrails.models import ActionLimit, Gate, RemediationPolicy, set_kill_switch
from sre_platform.incidents.models import Incident
from sre_platform.remediation import steps
from sre_platform.remediation.models import Step
from tests.engine.gated import opened, services, step_for, work_on

pytestmark = pytest.mark.django_db(transaction=True)
WORKERS, PAUSE_S = 8, 0.02


@pytest.fixture
def racers(monkeypatch) -> list[tuple[Incident, str]]:
    """An incident on a service each, one policy for all, and a pause between judging and what follows."""
    write, begin = steps.write, steps.begin
    monkeypatch.setattr(steps, "write", lambda *args: (sleep(PAUSE_S), write(*args))[1])
    monkeypatch.setattr(steps, "begin", lambda *args: (sleep(PAUSE_S), begin(*args))[1])
    RemediationPolicy.objects.create(name="all", mode="auto", cooldown_s=0, max_actions=9)
    names = [f"service-{number}" for number in range(WORKERS)]
    services(*names, cluster="eu")
    return [(opened(name), name) for name in names]


def race(run, entries):
    """Everybody starts at the same moment; what became of each, an exception included."""
    barrier = Barrier(len(entries))

    def one(entry):
        try:
            barrier.wait(30)
            return run(*entry)
        finally:
            connection.close()

    with ThreadPoolExecutor(len(entries)) as pool:
        return list(pool.map(one, entries))


def ask(about, service):
    return permission.permit(work_on(about), step_for(about, service))[1].answer


@pytest.mark.parametrize("per", ["all", "cluster", "action"])
def test_exactly_as_many_steps_are_written_as_the_limit_allows(racers, per):
    ActionLimit.objects.create(name="few", per=per, max_actions=3, window_s=3600)
    answers = race(ask, racers)
    assert sorted(answers) == ["allow"] * 3 + ["deny"] * (WORKERS - 3)
    assert (Step.objects.count(), Gate.objects.get().passed) == (3, WORKERS)


def test_no_more_are_active_at_once_than_the_limit_allows(racers):
    ActionLimit.objects.create(name="few", max_actions=99, window_s=3600, at_once=2)
    assert sorted(race(ask, racers)).count(Answer.ALLOW) == 2
    Step.objects.update(state=Step.State.KEPT)
    fresh = [(opened(name, key=f"{name} again"), name) for _, name in racers]
    assert sorted(race(ask, fresh)).count(Answer.ALLOW) == 2, "those that are over make room"


def test_of_many_incidents_about_one_service_one_may_touch_it(racers):
    everybody = [(about, "service-0") for about, _ in racers]
    assert sorted(race(ask, everybody)).count(Answer.ALLOW) == 1
    assert Step.objects.filter(target="service-0", state__in=Step.HOLDING).count() == 1


def test_whoever_has_waited_too_long_at_a_lowered_limit_is_not_begun(racers):
    assert set(race(ask, racers)) == {Answer.ALLOW}
    Step.objects.exclude(target__in=["service-0", "service-1"]).update(state=Step.State.CANCELLED)
    ActionLimit.objects.create(name="few", max_actions=99, window_s=3600, at_once=1)

    def begin(about, _service):
        work = work_on(about)
        try:
            permission.beginning(work)(work.step(), work.lease)
        except Denied as denied:
            return denied.verdict.guard
        return "begun"

    assert race(begin, racers[:2]) == ["limits", "limits"], "each counts the other"
    assert not Step.objects.filter(state=Step.State.APPLYING).exists()


def test_once_a_stop_has_returned_nothing_is_begun_any_more(racers):
    assert set(race(ask, racers)) == {Answer.ALLOW}
    begun_when_stopped = []

    def begin_or_stop(about, _service):
        if about == racers[0][0]:
            sleep(PAUSE_S * 2)
            set_kill_switch(True, "ann", "enough")
            begun_when_stopped.append(Step.objects.filter(state=Step.State.APPLYING).count())
            return "stopped"
        work = work_on(about)
        try:
            permission.beginning(work)(work.step(), work.lease)
        except Denied as denied:
            return denied.verdict.guard
        return "begun"

    ended = race(begin_or_stop, racers)
    assert ended[0] == "stopped"
    assert set(ended[1:]) <= {"begun", "kill_switch"}
    assert Step.objects.filter(state=Step.State.APPLYING).count() == ended.count("begun") == begun_when_stopped[0]
