from collections.abc import Iterator, Mapping

from sre_platform.diagnosis.domain import Evidence, Finding
from sre_platform.diagnosis.rca.cpu_budget import CpuBudget, cpu_budget
from sre_platform.diagnosis.rca.documents import Documents
from sre_platform.diagnosis.rca.sched_health import SchedHealth, sched_health
from sre_platform.diagnosis.rca.weighing import weighed

QUEUED_PER_P = 50  # goroutines; the field's rule: more than 50 for each P is a warning


class SchedSaturation:
    """All Ps are busy and goroutines that could run queue up: there is more to do than GOMAXPROCS allows.

    Reads ``go_trace`` (schedtrace), ``go_runtime`` (scheduling latencies) and ``host`` (CPUs, quota, iowait).
    """

    name = "sched_saturation"

    def judge(self, service: str, evidence: Mapping[str, Evidence]) -> Finding | None:
        documents = Documents(evidence)
        health, budget = sched_health(documents), cpu_budget(documents)
        return weighed(
            "go.sched.saturation",
            service,
            "runtime",
            signs=[*_starved(health), *budget.delays()],
            effects=[*_crowded(health)],
            count=health.most_queued if health else None,
            against=[*_idle(health), *documents.unread],
            would_decide=["A CPU profile shows what keeps the Ps busy; GOMAXPROCS helps only where CPUs are left."],
            advice=_advice(budget),
        )


def _starved(health: SchedHealth | None) -> Iterator[str]:
    if health and health.stays(health.starved):
        yield (
            f"In {health.starved} of {health.samples} samples none of {health.procs} Ps is idle and goroutines queue,"
            f" {health.queued:.0f} in the median."
        )


def _crowded(health: SchedHealth | None) -> Iterator[str]:
    if health and health.stays(health.starved) and health.queued > QUEUED_PER_P * health.procs:
        yield f"That is {health.queued / health.procs:.1f} for each P, {QUEUED_PER_P} is a warning."


def _idle(health: SchedHealth | None) -> Iterator[str]:
    if health and not health.stays(health.starved):
        yield f"Only {health.starved} of {health.samples} samples of the scheduler show a queue with no P idle."


def _advice(budget: CpuBudget) -> list[str]:
    is_used_up = budget.usable is not None and budget.procs is not None and budget.procs >= budget.usable
    more = f"All {budget.usable} CPUs are in use already: add replicas or CPU, or shed load with 429."
    return [*([more] if is_used_up else []), *budget.advice(), "Find the hot functions with a CPU profile."]
