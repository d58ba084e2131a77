"""What came of a drill, from what happened to its incidents. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from sre_platform.chaos.experiment import Expect, Outcome

STAGES = ("detected", "received", "diagnosed", "decided", "acted", "verified")
_STAGE_OF = {
    "cause_found": "diagnosed",
    "allowed": "decided",
    "needs_approval": "decided",
    "refused": "decided",
    "steps_done": "acted",
    "step_unknown": "acted",
    "fixed": "verified",
    "unverified": "verified",
}


@dataclass(frozen=True)
class Happened:
    """One incident of a drill. ``timeline`` rows hold ``name, at, reason, data``; ``steps`` those that were begun."""

    incident_id: int
    state: str
    timeline: Sequence[Mapping[str, Any]]
    cause: Mapping[str, Any]
    steps: Sequence[Mapping[str, Any]]
    tickets: Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Rolled:
    """One roll-out of a drill. ``timeline`` rows hold ``name, at, reason, data``."""

    rollout_id: int
    service: str
    state: str
    timeline: Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Report:
    """A drill's result; ``stages`` are seconds from the fault's clock, None for a stage that was not reached."""

    experiment: str
    outcome: Outcome
    expected: bool
    unexpected: Sequence[str]
    stages: Mapping[str, float | None]
    cause: Mapping[str, Any]
    actions: Sequence[Mapping[str, Any]]
    verification: Sequence[Mapping[str, Any]]
    ticket: Mapping[str, Any] | None
    wrong_actions: int
    incidents: Sequence[int] = field(default_factory=list)
    rollouts: Sequence[int] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def score(
    name: str,
    expect: Expect,
    fault_at: datetime | None,
    happened: Sequence[Happened],
    ran: bool,
    rolled: Sequence[Rolled] = (),
) -> Report:
    """Compare what happened with what was expected. ``ran``: the experiment ran to its end, and users are well."""
    outcome = _outcome(happened, ran)
    if rolled and outcome == "no_action":
        outcome = _rolled_outcome(rolled)
    main = _main(happened)
    wrong = sum(not _wanted(expect, step) for one in happened for step in one.steps)
    surplus = max(0, sum(len(one.steps) for one in happened) - wrong - 1)
    problems = [*_problems(expect, outcome, main, wrong + surplus), *_of_rollouts(expect, rolled)]
    return Report(
        experiment=name,
        outcome=outcome,
        expected=not problems,
        unexpected=problems,
        stages=_rollout_stages(fault_at, rolled[-1]) if rolled and not main else _stages(fault_at, main),
        cause=main.cause if main else {},
        actions=[dict(step) for one in happened for step in one.steps],
        verification=_last_checks(main),
        ticket=next((t for one in happened for t in one.tickets), None),
        wrong_actions=wrong + surplus,
        incidents=[one.incident_id for one in happened],
        rollouts=[one.rollout_id for one in rolled],
    )


def _rolled_outcome(rolled: Sequence[Rolled]) -> Outcome:
    """What the roll-outs came to, while no incident did: one that ended neither way has failed."""
    states = {one.state for one in rolled}
    if states == {"promoted"}:
        return "promoted"
    return "rolled_back" if states == {"rolled_back"} else "failed"


def _of_rollouts(expect: Expect, rolled: Sequence[Rolled]) -> list[str]:
    """Each roll-out that there should not have been, and that there was none where one should have been."""
    wanted = expect.outcome in ("rolled_back", "promoted")
    if wanted and len(rolled) != 1:
        return [f"there were {len(rolled)} roll-outs, not 1"]
    return [] if wanted else [f"a roll-out of {one.service} was not expected" for one in rolled]


def _rollout_stages(fault_at: datetime | None, one: Rolled) -> dict[str, float | None]:
    """When it was decided, when the router had the weights of that, and when it had ended."""
    times: dict[str, float | None] = dict.fromkeys(STAGES)
    for entry in one.timeline if fault_at else ():
        since = _since(fault_at, entry["at"]) if fault_at else None
        if entry["name"] in ("rolling_back", "promoting"):
            times["decided"] = since
        elif entry["name"] == "weights_set" and times["decided"] is not None and times["acted"] is None:
            times["acted"] = since
        elif entry["name"] == one.state:
            times["verified"] = since
    return times


def _outcome(happened: Sequence[Happened], ran: bool) -> Outcome:
    acted = any(one.steps for one in happened)
    if any(one.state == "escalated" for one in happened):
        return "escalated"
    if any(one.state != "resolved" for one in happened):
        return "failed"
    if acted:
        return "healed" if ran and any(_entry(one, "fixed") for one in happened) else "failed"
    return "no_action" if ran else "failed"


def _problems(expect: Expect, outcome: Outcome, main: Happened | None, wrong: int):
    if outcome != expect.outcome:
        yield f"the outcome is {outcome}, not {expect.outcome}"
    cause = main.cause if main else {}
    for key, wanted in (("cause", expect.cause), ("service", expect.service), ("where", expect.site)):
        if wanted and cause.get(key) != wanted:
            yield f"the {key} is {cause.get(key) or 'not known'}, not {wanted}"
    if wrong:
        yield f"{wrong} actions were wrong"


def _wanted(expect: Expect, step: Mapping[str, Any]) -> bool:
    return bool(expect.action) and (step["action"], step["target"]) == (expect.action, expect.service)


def _main(happened: Sequence[Happened]) -> Happened | None:
    """The incident that was acted on, else the first one with a cause, else the first."""
    return next(
        (one for test in (lambda h: h.steps, lambda h: h.cause, lambda _: True) for one in happened if test(one)), None
    )


def _entry(one: Happened, name: str) -> Mapping[str, Any] | None:
    return next((entry for entry in one.timeline if entry["name"] == name), None)


def _stages(fault_at: datetime | None, main: Happened | None) -> dict[str, float | None]:
    times: dict[str, float | None] = dict.fromkeys(STAGES)
    if fault_at is None or main is None:
        return times
    opened = _entry(main, "opened")
    if opened:
        times["detected"] = _since(fault_at, datetime.fromisoformat(opened["data"]["starts_at"]))
        times["received"] = _since(fault_at, datetime.fromisoformat(opened["data"]["received_at"]))
    for entry in main.timeline:
        if stage := _STAGE_OF.get(entry["name"]):
            times[stage] = _since(fault_at, entry["at"])
    return times


def _since(fault_at: datetime, at: datetime) -> float:
    return round((at - fault_at).total_seconds(), 3)


def _last_checks(main: Happened | None) -> list[Mapping[str, Any]]:
    rows = [entry["data"]["checks"] for entry in main.timeline if "checks" in entry["data"]] if main else []
    return rows[-1] if rows else []
