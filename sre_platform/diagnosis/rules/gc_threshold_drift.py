from collections.abc import Iterator, Mapping

from sre_platform.diagnosis.domain import Evidence, Finding
from sre_platform.diagnosis.rca.documents import Documents
from sre_platform.diagnosis.rca.gc_health import LATER_SHARE, LOW_GOGC, Cycles, GcHealth, gc_health
from sre_platform.diagnosis.rca.tuning import MIB
from sre_platform.diagnosis.rca.weighing import weighed

SQUEEZED = 0.5  # of what GOGC asks for: the goal lies that much lower, so something else sets it
NEAR_LIMIT = 0.8  # of GOMEMLIMIT that the heap's goal fills when the limit is what squeezes it


class GcThresholdDrift:
    """GOGC or GOMEMLIMIT is set so low that collections follow each other, or the two fight.

    Reads ``go_trace`` (gctrace), ``go_runtime`` (go_gc_gogc_percent, go_gc_gomemlimit_bytes, CPU classes), ``host``
    (cgroup/memory.max, for the advice) and ``recent_changes``. A low goal that costs nothing is a symptom.
    """

    name = "gc_threshold_drift"

    def judge(self, service: str, evidence: Mapping[str, Evidence]) -> Finding | None:
        documents = Documents(evidence)
        health = gc_health(documents)
        signs = [*_signs(health)]
        return weighed(
            "go.gc.threshold-drift",
            service,
            "runtime",
            signs,
            effects=[*health.effects(), *_changes(evidence.get("recent_changes"))],
            against=[*health.calm(), *documents.unread],
            would_decide=["Compare GOGC, GOMEMLIMIT and calls of debug.SetGCPercent with the release before."],
            advice=[*health.advice(), "Set GOGC and GOMEMLIMIT in one place only: the environment or the code."],
        )


def _signs(health: GcHealth) -> Iterator[str]:
    yield from _low(health)
    if fight := _fight(health):
        yield fight
    cycles = health.cycles
    if cycles and cycles.collapse is not None and cycles.collapse <= LATER_SHARE:
        yield f"The interval between cycles fell to {cycles.collapse:.0%} of what it was, with the same live heap."


def _low(health: GcHealth) -> Iterator[str]:
    """The goal is low as it was measured, or as it was configured: one sign, for they are one thing."""
    cycles, configured = health.cycles, health.configured_gogc
    if cycles and cycles.effective_gogc is not None and health.goal_is_low:
        yield (
            f"The heap may grow by {cycles.effective_gogc:.0f}% of what lives before it is collected again"
            f" (live {cycles.live_mib} MiB, goal {cycles.goal_mib} MiB{_every(cycles)}); the default is 100%."
        )
    elif configured is not None and configured < LOW_GOGC:
        yield f"GOGC is {configured:.0f} by the service's metrics; the default is 100."


def _every(cycles: Cycles) -> str:
    return f", a cycle every {cycles.interval_s:.3g} s" if cycles.interval_s is not None else ""


def _fight(health: GcHealth) -> str:
    """GOMEMLIMIT keeps the heap below what GOGC asks for, or ""."""
    cycles, asked, limit = health.cycles, health.configured_gogc, health.memory_limit_bytes
    if cycles is None or cycles.effective_gogc is None or asked is None or limit is None:
        return ""
    if cycles.effective_gogc > SQUEEZED * asked or cycles.goal_mib * MIB < NEAR_LIMIT * limit:
        return ""
    return (
        f"GOGC={asked:.0f} and GOMEMLIMIT={limit / MIB:.0f}MiB fight: the limit holds the goal"
        f" at {cycles.goal_mib} MiB, as GOGC={cycles.effective_gogc:.0f} would."
    )


def _changes(seen: Evidence | None) -> Iterator[str]:
    """The newest change of release or configuration, which may have brought the value."""
    changes = seen.data.get("changes", ()) if seen and not seen.missing else ()
    for change in changes[:1]:
        was, now, before_s = change["before"], change["after"], change["seconds_before"]
        yield f"A {change['kind']} changed {was} to {now} {before_s:.0f} s before."
