"""The stage bar: how far an incident has come along the line, and when it got there. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from sre_platform.incidents.domain import ENDED, State
from sre_platform.web.reading import Case

Mark = Literal["done", "failed", "waiting", "busy", "todo", "skipped"]
NAMES = ("Alert", "Received", "Cause", "Decision", "Action", "Verified", "Ticket")
_CAUSE, _DECISION, _TICKET = 2, 3, 6

_REACHED: dict[str, tuple[int, Mark]] = {
    "cause_found": (2, "done"),
    "no_cause": (2, "failed"),
    "allowed": (3, "done"),
    "needs_approval": (3, "waiting"),
    "approved": (3, "done"),
    "rejected": (3, "failed"),
    "refused": (3, "failed"),
    "steps_done": (4, "done"),
    "step_unknown": (4, "waiting"),
    "changed": (4, "skipped"),
    "step_failed": (4, "failed"),
    "fixed": (5, "done"),
    "not_fixed": (5, "failed"),
    "worse": (5, "failed"),
    "unverified": (5, "failed"),
    "ticket_opened": (6, "done"),
}
_WORKED_ON = {
    State.OPEN: 2,
    State.DIAGNOSED: 3,
    State.APPROVED: 4,
    State.REMEDIATED: 5,
    State.UNHEALTHY: 4,
}


@dataclass(frozen=True)
class Stage:
    """One stage: how it stands, and how many seconds after the first alert it got there."""

    name: str
    mark: Mark = "todo"
    after_s: float | None = None


def stages(case: Case) -> list[Stage]:
    """The seven stages. A rollback or a relapse sends the incident back, so what came after is to be done again."""
    bar = [Stage(name) for name in NAMES]
    bar[0] = Stage(NAMES[0], "done", 0.0)
    bar[1] = Stage(NAMES[1], "done", _received_s(case))
    for entry in case.entries:
        if entry.name == "relapsed":
            bar[_CAUSE:_TICKET] = [Stage(name) for name in NAMES[_CAUSE:_TICKET]]
        if entry.name == "rolled_back":
            bar[_DECISION:_TICKET] = [Stage(name) for name in NAMES[_DECISION:_TICKET]]
        if entry.name in _REACHED:
            index, mark = _REACHED[entry.name]
            bar[index] = Stage(NAMES[index], mark, (entry.at - case.started_at).total_seconds())
    return _finish(case, bar)


def _received_s(case: Case) -> float:
    moments = [member.alert.received_at for member in case.members]
    return (min(moments, default=case.incident.opened_at) - case.started_at).total_seconds()


def _finish(case: Case, bar: Sequence[Stage]) -> list[Stage]:
    state = State(case.incident.state)
    pending = any(ticket.due_at for ticket in case.tickets)
    if state in ENDED:
        last = _TICKET if pending else len(bar)
        return [*_skip(bar[:last]), *(replace(stage, mark="busy") for stage in bar[last:])]
    index = _WORKED_ON.get(state)
    if index is None:
        return list(bar)
    return [replace(s, mark="busy", after_s=None) if i == index else s for i, s in enumerate(bar)]


def _skip(bar: Iterable[Stage]) -> list[Stage]:
    return [replace(stage, mark="skipped") if stage.mark == "todo" else stage for stage in bar]
