"""kill -9 between any two instructions of a step: whoever comes next finishes, and each effect has happened once.

Unlike in test_crashes.py a real process dies, and not only where it asks for its lease.
"""

import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from sre_platform.catalog.domain import Target
from sre_platform.clients.supervisor import Supervisor
from sre_platform.incidents.models import Incident
from sre_platform.remediation import steps
from sre_platform.remediation.domain import World
from sre_platform.remediation.models import Step
from sre_platform.remediation.steps import Outcome
from tests.fakes import dying
from tests.fakes.control import TOKEN, TOKEN_ENV, controlling
from tests.fakes.leases import incident, take
from tests.fakes.logs import logging
from tests.fakes.shop import shop

pytestmark = pytest.mark.django_db(transaction=True)
PLACES = 20  # of each action, single bytecode instructions: what fits into a minute together with the other tests
UNDO_PLACES = 8
STOP, START = ("stop", "payments"), ("start", "payments")
NOWHERE = World(Supervisor(""), {})


@dataclass
class Stage:
    """What a step is carried out on, and how it looks: ``half`` at any moment, ``whole`` when it is done."""

    action: str
    params: dict[str, Any]
    target: Target
    world: World
    half: Callable[[], Any]
    whole: Callable[[], bool]
    undone: Callable[[], bool]
    unmoved: Callable[[], Any] = lambda: None

    def written(self) -> Step:
        Incident.objects.all().delete()  # of the owners who died before, which would hold the target
        prepared = steps.prepare(self.action, self.params, self.target, self.world)
        fields = {"cause": "c", "action": self.action, "target": self.target.service, "params": self.params}
        step = steps.from_prepared(prepared, incident_id=incident(service=self.target.service).pk, **fields)
        assert steps.write(step)
        return step

    def carrying(self, step: Step) -> Callable[[], Any]:
        lease = take(step.incident_id, "the one who dies")
        step.refresh_from_db()
        return lambda: steps.carry_out(step, self.target, self.world, lease)

    def finish(self, step: Step) -> steps.Carried:
        step.refresh_from_db()
        return steps.carry_out(step, self.target, self.world, take(step.incident_id, "the next owner"))


def restart(folder: Path, stack: ExitStack) -> Stage:
    it = stack.enter_context(shop(folder))
    effects = it.supervisor.effects
    half, done = ([], [STOP], [STOP, START]), [STOP, START]
    return Stage(
        "restart_service", {}, it.target(), it.world(), lambda: effects in half,
        lambda: effects == done and it.process.state == "RUNNING", lambda: effects == done,
    )  # fmt: skip


def rollback(folder: Path, stack: ExitStack) -> Stage:
    stage = restart(folder, stack)
    link = Path(stage.target.release_link)
    restarted = stage.whole

    def switched():
        known = os.lstat(link)
        return (known.st_ino, known.st_ctime_ns) if os.readlink(link).endswith("v1") else None

    stage.action, stage.unmoved = "rollback_release", switched
    stage.whole = lambda: restarted() and os.readlink(link).endswith("v1")
    stage.undone = lambda: stage.world.supervisor.process("payments").running and os.readlink(link).endswith("v2")
    return stage


def control(action: str, path: str, params: dict[str, Any], *bodies: dict[str, Any]) -> Callable[..., Stage]:
    def stage(folder: Path, stack: ExitStack) -> Stage:
        it = stack.enter_context(controlling())
        done, back = [("PUT", f"{it.url}/{path}", body) for body in bodies]
        return Stage(
            action, params, it.target(), NOWHERE, lambda: it.writes in ([], [done]), lambda: it.writes == [done],
            lambda: it.writes == [done, back],
        )  # fmt: skip

    return stage


def logs(folder: Path, stack: ExitStack) -> Stage:
    it = stack.enter_context(logging(folder, rotated=3))
    before, there = it.contents(), it.names()
    packed = ["orders.log", "orders.log.1", *(f"orders.log.{number}.gz" for number in (2, 3))]
    return Stage(
        "compress_logs", {}, it.target(), NOWHERE, lambda: it.contents() == before,
        lambda: it.contents() == before and it.names() == packed,
        lambda: it.contents() == before and it.names() == there,
    )  # fmt: skip


STAGES = {
    "restart_service": restart,
    "rollback_release": rollback,
    "adjust_setting": control(
        "adjust_setting", "settings/pool", {"setting": "pool", "factor": 1.5}, {"value": 15}, {"value": 10}
    ),
    "set_breaker": control(
        "set_breaker", "breakers/payments", {"breaker": "payments"}, {"state": "open"}, {"state": "closed"}
    ),
    "compress_logs": logs,
}


@pytest.fixture(params=STAGES)
def staged(request, tmp_path_factory, monkeypatch):
    """Opens the same stage anew, as often as it is asked to."""
    monkeypatch.setenv(TOKEN_ENV, TOKEN)

    def stage(stack: ExitStack) -> Stage:
        return STAGES[request.param](tmp_path_factory.mktemp("stage"), stack)

    return stage


def count(staged, *, opcodes: bool) -> int:
    with ExitStack() as stack:
        stage = staged(stack)
        return dying.instructions(stage.carrying(stage.written()), opcodes=opcodes)


def killed_at(staged, place: int, *, opcodes: bool) -> str:
    """What is wrong after an owner died there and the next one finished; the empty string for nothing."""
    with ExitStack() as stack:
        stage = staged(stack)
        step = stage.written()
        if not dying.dies(stage.carrying(step), place, opcodes=opcodes):
            return f"it was not killed at {place}"
        step.refresh_from_db()
        if step.state not in ("prepared", "applying", "applied"):
            return f"at {place} its row says {step.state}"
        if not stage.half():
            return f"at {place} the world is neither as before nor as wanted"
        before = stage.unmoved()
        carried = stage.finish(step)
        if carried.outcome is not Outcome.DONE or not stage.whole():
            return f"at {place} the next owner says {carried.said}"
        if before is not None and stage.unmoved() != before:
            return f"at {place} what was done has been done again"
        step.refresh_from_db()
        return "" if step.state == "applied" and step.result else f"at {place} its row says {step.state} in the end"


def test_killed_between_any_two_instructions_its_effect_happens_once(staged):
    total = count(staged, opcodes=True)
    assert total > 300, "the instructions of a step are not traced"
    found = [killed_at(staged, place, opcodes=True) for place in dying.places(total, PLACES)]
    assert [wrong for wrong in found if wrong] == []


def undo_killed_at(staged, place: int) -> tuple[bool, str]:
    """Whether the undo was killed there, and what is wrong after the next owner finished it."""
    with ExitStack() as stack:
        stage = staged(stack)
        step = stage.written()
        assert stage.finish(step).outcome is Outcome.DONE
        undo = steps.begin_undo(step, stage.target, stage.world)
        killed = dying.dies(stage.carrying(undo), place, opcodes=True)
        carried = stage.finish(steps.begin_undo(step, stage.target, stage.world))
        done = carried.outcome is Outcome.DONE and stage.undone()
        return killed, "" if done else f"at {place} the next owner says {carried.said}"


def test_an_undo_that_is_killed_anywhere_is_finished_once(staged):
    with ExitStack() as stack:
        stage = staged(stack)
        step = stage.written()
        stage.finish(step)
        undo = steps.begin_undo(step, stage.target, stage.world)
        total = dying.instructions(stage.carrying(undo), opcodes=True)
    found = [undo_killed_at(staged, place) for place in dying.places(total, UNDO_PLACES)]
    assert [wrong for _, wrong in found if wrong] == []
    assert sum(killed for killed, _ in found) >= UNDO_PLACES // 2


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_killed_before_every_single_line(staged):
    total = count(staged, opcodes=False)
    assert total > 50, "the lines of a step are not traced"
    found = [killed_at(staged, place, opcodes=False) for place in range(1, total + 1)]
    assert [wrong for wrong in found if wrong] == []


@pytest.mark.parametrize("moment", ["before", "after"])
def test_killed_while_its_write_is_on_the_way(monkeypatch, moment):
    monkeypatch.setenv(TOKEN_ENV, TOKEN)
    arrived = Event()
    with controlling() as it:
        stage = Stage("adjust_setting", {"setting": "pool", "factor": 1.5}, it.target(), NOWHERE, bool, bool, bool)
        step = stage.written()

        def armed(kill):
            def watch(when):
                if when == moment:
                    kill()
                if when == "after":
                    arrived.set()

            it.watch = watch

        assert dying.dies_when(stage.carrying(step), armed)
        assert arrived.wait(10)
        step.refresh_from_db()
        assert step.state == "applying"
        carried = stage.finish(step)
        assert (carried.outcome, carried.said.startswith("It was found done")) == (Outcome.DONE, True)
        assert [body for _, _, body in it.writes] == [{"value": 15}]


@pytest.mark.parametrize("verb", ["stop", "start"])
def test_killed_while_the_supervisor_is_at_it(tmp_path, verb):
    with shop(tmp_path) as it:
        stage = Stage("restart_service", {}, it.target(), it.world(), bool, bool, bool)
        step = stage.written()

        def armed(kill):
            it.supervisor.watch = lambda at, _name: kill() if at == verb else None

        assert dying.dies_when(stage.carrying(step), armed)
        it.supervisor.watch = lambda _verb, _name: None
        for _ in range(200):  # the supervisor does not know that nobody waits for it any more
            if it.supervisor.did(verb):
                break
            Event().wait(0.05)
        assert stage.finish(step).outcome is Outcome.DONE
        assert it.supervisor.effects == [STOP, START]
