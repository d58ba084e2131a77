"""How a canary walks: what comes next, from where it stands and what was seen. Pure.

    PENDING ─▶ STARTING ─▶ WALKING ─▶ ANALYSING ─▶ (next step: WALKING) ─▶ PROMOTING ─▶ PROMOTED
                  │           │           │   ▲                               │
                  │           │           ▼   │ a person says "go on"         │
                  │           │     WAITS_FOR_PERSON                          │
                  ▼           ▼           ▼                                   ▼
                ROLLING_BACK: all traffic on the baseline first ─▶ ROLLED_BACK, ABORTED or FAILED

A step is left only when the analysis passes or a person says so; "cannot tell" never does. The way back is open at any
time, and is never held up by a freeze, a stop of all automation, or an incident.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from sre_platform.clients.traffic import WHOLE, Weights
from sre_platform.kernel.errors import Malformed
from sre_platform.rollouts.domain import Verdict

STEPS = (5, 25, 50, 100)
MOST_STEPS = 20
STEP_S = 60.0  # the shortest time at one weight: a minute, within which the analysis finds what it has to find
LEAST_STEP_S, LONGEST_STEP_S = 5.0, 86_400.0
# From the start of the process until its health page answers.
READY_WITHIN_S = 30.0
# At one step, for requests enough to tell; then a person is asked. At 2 requests/s to the canary, a P99 rests on 1,200.
TELL_WITHIN_S = 600.0
# For a person to decide; then the traffic goes back, because what cannot be told does not stay.
PERSON_WITHIN_S = 3600.0
# For the baseline to run the new release, once it has been linked.
PROMOTED_WITHIN_S = 60.0


class State(StrEnum):
    """Where a roll-out stands."""

    PENDING = "pending"
    STARTING = "starting"
    WALKING = "walking"
    ANALYSING = "analysing"
    WAITS_FOR_PERSON = "waits_for_person"
    PROMOTING = "promoting"
    ROLLING_BACK = "rolling_back"
    PROMOTED = "promoted"
    ROLLED_BACK = "rolled_back"
    ABORTED = "aborted"
    FAILED = "failed"


ENDED = (State.PROMOTED, State.ROLLED_BACK, State.ABORTED, State.FAILED)
AT_A_STEP = (State.WALKING, State.ANALYSING, State.WAITS_FOR_PERSON)


class Wish(StrEnum):
    """What a person has asked for: back to the baseline, one step further, or all the way."""

    NONE = ""
    ABORT = "abort"
    GO_ON = "go_on"
    PROMOTE = "promote"


@dataclass(frozen=True)
class Step:
    """One share of the traffic: by weight in percent, or by a label (``header``, ``region``) that requests carry."""

    weight: int
    label: str = ""

    @property
    def weights(self) -> Weights:
        return Weights(self.weight, self.label == "header", self.label == "region")

    def as_json(self) -> dict[str, int | str]:
        return {"weight": self.weight, "label": self.label}

    def __str__(self) -> str:
        return f"requests with the {self.label} label" if self.label else f"{self.weight} %"


def plan(weights: Sequence[int] = STEPS, label: str = "") -> list[Step]:
    """The steps: first by ``label`` if one is given, then by weight, rising to 100. Raises Malformed."""
    if label not in ("", "header", "region"):
        raise Malformed("A first step goes by header or by region.")
    rising = all(before < after for before, after in pairwise(weights))
    if not (0 < len(weights) <= MOST_STEPS and rising and weights[0] > 0 and weights[-1] == WHOLE):
        raise Malformed(f"The steps have to rise from above 0 to {WHOLE}, and be at most {MOST_STEPS}.")
    return [*([Step(0, label)] if label else []), *(Step(weight) for weight in weights)]


@dataclass(frozen=True)
class Situation:
    """Where a roll-out stands and what was seen this time.

    ``for_s`` is how long its state has lasted, ``at_step_s`` how long its step. ``breach`` says why the canary must go,
    ``hold`` why no step may be taken; both are empty else. ``ready``: the canary runs and is healthy. ``verdict`` is
    the analysis' (None: there was none this time), ``done`` says that promoting or going back has come to its end.
    """

    state: State
    steps: Sequence[Step]
    step: int
    step_s: float
    for_s: float
    at_step_s: float
    wish: Wish = Wish.NONE
    breach: str = ""
    hold: str = ""
    ready: bool = False
    verdict: Verdict | None = None
    done: bool = False
    ending: State = State.ROLLED_BACK


@dataclass(frozen=True)
class Move:
    """The state and step to go to, and why. ``ending`` is what a way back ends as."""

    state: State
    step: int
    reason: str
    ending: State = State.ROLLED_BACK


def weights(state: State, steps: Sequence[Step], step: int) -> Weights:
    """What the router has to be brought to in a state. Promoting has its own order: see ``rollouts.promoting``."""
    return steps[step].weights if state in AT_A_STEP else Weights()


def after(seen: Situation) -> Move | None:
    """What comes next; None: nothing yet."""
    if seen.state in ENDED:
        return None
    if seen.state is State.ROLLING_BACK:
        return (
            Move(seen.ending, seen.step, "All traffic is on the baseline, and the canary is stopped.")
            if (seen.done)
            else None
        )
    if seen.wish is Wish.ABORT:
        return _back(seen, "A person took it back.", State.ABORTED)
    if seen.breach:
        return _back(seen, seen.breach)
    return _FORWARD[seen.state](seen)


def _back(seen: Situation, reason: str, ending: State = State.ROLLED_BACK) -> Move:
    return Move(State.ROLLING_BACK, seen.step, reason, ending)


def _pending(seen: Situation) -> Move | None:
    return None if seen.hold else Move(State.STARTING, 0, "The canary's process is started.")


def _starting(seen: Situation) -> Move | None:
    if seen.ready and not seen.hold:
        return _to(seen, 0, "The canary runs and is healthy.")
    if not seen.ready and seen.for_s > READY_WITHIN_S:
        return _back(seen, f"The canary was not healthy within {READY_WITHIN_S:.0f} s.", State.FAILED)
    return None


def _walking(seen: Situation) -> Move | None:
    if seen.verdict is Verdict.FAIL:
        return _back(seen, "The analysis fails the canary.")
    if seen.wish is not Wish.NONE:
        return _asked(seen)
    if seen.at_step_s >= seen.step_s:
        return Move(State.ANALYSING, seen.step, f"{seen.steps[seen.step]} for {seen.step_s:g} s.")
    return None


def _analysing(seen: Situation) -> Move | None:
    if seen.verdict is Verdict.FAIL:
        return _back(seen, "The analysis fails the canary.")
    if seen.wish is not Wish.NONE:
        return _asked(seen)
    if seen.verdict is Verdict.PASS and not seen.hold:
        return _next(seen, "The analysis passes the canary.")
    if seen.for_s > TELL_WITHIN_S and not seen.hold:
        return Move(
            State.WAITS_FOR_PERSON,
            seen.step,
            f"After {seen.for_s:.0f} s more it cannot be told whether the canary is good: a person has to decide.",
        )
    return None


def _waits(seen: Situation) -> Move | None:
    if seen.verdict is Verdict.FAIL:
        return _back(seen, "The analysis fails the canary.")
    if seen.wish is not Wish.NONE:
        return _asked(seen)
    if seen.for_s > PERSON_WITHIN_S:
        return _back(seen, f"Nobody decided within {PERSON_WITHIN_S / 60:.0f} minutes, and it cannot be told.")
    return None


def _asked(seen: Situation) -> Move | None:
    if seen.hold:
        return None
    if seen.wish is Wish.PROMOTE:
        return Move(State.PROMOTING, len(seen.steps) - 1, "A person promoted it.")
    return _next(seen, "A person let it go on.")


def _next(seen: Situation, reason: str) -> Move:
    return _to(seen, seen.step + 1, reason)


def _to(seen: Situation, step: int, reason: str) -> Move:
    step = min(step, len(seen.steps) - 1)
    state = State.PROMOTING if seen.steps[step].weight == WHOLE else State.WALKING
    return Move(state, step, reason)


def _promoting(seen: Situation) -> Move | None:
    if seen.done:
        return Move(State.PROMOTED, seen.step, "The baseline runs the new release and serves all traffic.")
    if seen.for_s > PROMOTED_WITHIN_S:
        said = f"The baseline did not run the new release within {PROMOTED_WITHIN_S:.0f} s. {seen.hold}".strip()
        return _back(seen, said, State.FAILED)
    return None


_FORWARD = {
    State.PENDING: _pending,
    State.STARTING: _starting,
    State.WALKING: _walking,
    State.ANALYSING: _analysing,
    State.WAITS_FOR_PERSON: _waits,
    State.PROMOTING: _promoting,
}
