"""What is said of a cause: reasons with the figures seen, what speaks against it, what would decide, how sure it is."""

from collections.abc import Iterator, Sequence

from sre_platform.diagnosis.parsers.goroutines import CHAN_OPERATION, Frame
from sre_platform.diagnosis.rca.goroutine_growth import MIN_GROWTH, idle_connections
from sre_platform.diagnosis.rca.goroutine_report import Cause, Report

# Confidence follows the kind of evidence (goroutines.md, "What separates a leak from health", 7).
BY_PROOF, BY_LOCK_CYCLE, BY_GROWTH_AND_SIGNATURE, BY_GROWTH = 0.97, 0.9, 0.85, 0.8
BY_SHAPE, BY_STATE = 0.5, 0.35
# A few goroutines that can never go on are a bug, but hardly why an alert fires: below what lets a playbook act.
BY_PROOF_OF_FEW = 0.75
# Clients open connections as they need them, and keep them: that some came within a second is no reason to act. Their
# number is one from here on: more than 5,000 goroutines and growing is the warning that teams in production use.
MANY_CONNECTIONS = 5_000
NOT_THERE = "; the call that left them there is not on their stacks"


def confidence(cause: Cause) -> float:
    """0..1, how sure it is that this is what is wrong."""
    if cause.evidence == "gc-proof":
        few = cause.growth is not None and cause.growth < MIN_GROWTH and cause.bucket.count < MIN_GROWTH
        return BY_PROOF_OF_FEW if few and not cause.why else BY_PROOF
    if cause.evidence == "lock-cycle":
        return BY_LOCK_CYCLE
    if cause.evidence == "growth":
        if _clients_choice(cause):
            return BY_SHAPE
        return BY_GROWTH_AND_SIGNATURE if cause.signed else BY_GROWTH
    return BY_SHAPE if cause.signed else BY_STATE


def _clients_choice(cause: Cause) -> bool:
    return idle_connections(cause.bucket) and cause.bucket.count < MANY_CONNECTIONS


def because(cause: Cause, report: Report, seconds_apart: float | None = None) -> Iterator[str]:
    """Whole sentences with the figures, the weightiest first. ``seconds_apart`` lie between the two dumps."""
    bucket = cause.bucket
    more = _more(cause.growth, seconds_apart)
    yield f"{_crowd(cause)} {_place(cause)}{more}{'' if cause.site else NOT_THERE}."
    if bucket.leaked:
        yield f"The garbage collector proved {bucket.leaked} of them unreachable (goroutineleak profile)."
    if cause.why:
        yield cause.why
    if bucket.created_by:
        yield f"Created by {bucket.created_by.function} at {bucket.created_by}."
    if bucket.minutes:
        yield f"The longest of these waits that the runtime has stamped lasts {bucket.minutes[1]} min."
    if bucket.state in ("", CHAN_OPERATION):
        yield "This profile does not tell a send from a receive: the line does."
    if report.truncated:
        yield "The dump was cut: its counts are lower bounds."


def against(cause: Cause) -> Iterator[str]:
    """What speaks against it."""
    if cause.evidence == "gc-proof" and cause.growth is not None and cause.growth <= 0:
        yield "They do not grow in number: an old leak, perhaps not the reason for what is seen now."
    if cause.evidence == "growth" and _clients_choice(cause):
        yield "Clients open as many connections as they need, and keep them for a while: a burst of requests does this."
    if cause.evidence == "state":
        yield "Nothing shows that they grow or can never go on: an idle service may look like this."


def would_decide(cause: Cause) -> Iterator[str]:
    """What to look at to be sure."""
    if cause.growth is None and cause.evidence != "gc-proof":
        yield "A second dump of the same process some seconds later: a leak grows, an idle service does not."
    if not cause.bucket.leaked and cause.evidence != "lock-cycle":
        yield "The goroutineleak profile (Go 1.26 and later): what it lists can never go on."
    if cause.site is None and cause.bucket.created_by:
        yield f"Who calls {cause.bucket.created_by.function}: the guilty call has returned already."


def in_dump(cause: Cause) -> bool:
    """Whether the guilty call is on a stack; a missing unlock or an unclosed body has returned long ago."""
    return cause.site is not None


def _crowd(cause: Cause) -> str:
    bucket = cause.bucket
    noun, verb = ("goroutine", "waits") if bucket.count == 1 else ("goroutines", "wait")
    return f"{bucket.count} {noun} {verb} in {bucket.state or CHAN_OPERATION}"


def _place(cause: Cause) -> str:
    if cause.site:
        return f"at {cause.site}"
    return f"under {_outermost(cause.bucket.frames)}"


def _outermost(frames: Sequence[Frame]) -> str:
    return f"{frames[-1].function} at {frames[-1].file}:{frames[-1].line}" if frames else "an unknown function"


def _more(growth: int | None, seconds_apart: float | None) -> str:
    if not growth or growth < 0:
        return ""
    before = f"{seconds_apart:.1f} s before" if seconds_apart else "in the earlier dump"
    return f", {growth} more than {before}"
