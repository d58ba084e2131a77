from collections.abc import Iterator, Mapping
from math import ceil, floor

from sre_platform.diagnosis.domain import Evidence, Finding
from sre_platform.diagnosis.rca.cpu_budget import CpuBudget, cpu_budget
from sre_platform.diagnosis.rca.documents import Documents
from sre_platform.diagnosis.rca.sched_health import SchedHealth, sched_health
from sre_platform.diagnosis.rca.tuning import LEAST_PROCS
from sre_platform.diagnosis.rca.weighing import weighed


class SchedGomaxprocsQuota:
    """GOMAXPROCS does not fit the CFS quota: more Ps burn it up early in each period, fewer leave some of it unused.

    Reads ``host`` (CPUs, cpu.max, cpu.stat, proc_stat), ``go_trace`` and ``go_runtime`` (GOMAXPROCS, Go's version).
    Too few Ps are a finding only when goroutines wait for one.
    """

    name = "sched_gomaxprocs_quota"

    def judge(self, service: str, evidence: Mapping[str, Evidence]) -> Finding | None:
        documents = Documents(evidence)
        budget, health = cpu_budget(documents), sched_health(documents)
        too_many = [*_too_many(budget)]
        signs = too_many or [*_too_few(budget)]
        effects = [*(budget.throttled() if too_many else _queue(health)), *budget.delays()]
        if not too_many and not effects:
            return None
        return weighed(
            "go.sched.gomaxprocs-quota",
            service,
            "host",
            signs,
            effects,
            count=budget.procs,
            against=[*_not_throttled(budget), *documents.unread],
            would_decide=["cpu.stat over some minutes of load tells how many periods are throttled."],
            advice=[*budget.advice(), _how(budget)],
        )


def _too_many(budget: CpuBudget) -> Iterator[str]:
    procs, quota = budget.procs, budget.quota_cores
    if procs is not None and quota is not None and procs > max(LEAST_PROCS, ceil(quota)):
        yield f"GOMAXPROCS is {procs}, and the quota is {quota:.3g} CPUs."


def _too_few(budget: CpuBudget) -> Iterator[str]:
    procs, quota, usable = budget.procs, budget.quota_cores, budget.usable
    if procs is not None and quota is not None and usable is not None and procs < min(floor(quota), usable):
        yield f"GOMAXPROCS is {procs}, and the quota of {quota:.3g} CPUs allows {min(floor(quota), usable)}."


def _not_throttled(budget: CpuBudget) -> Iterator[str]:
    seen = budget.throttling
    if seen and seen.periods and not budget.throttled():
        yield f"Only {seen.throttled_periods} of {seen.periods} periods were throttled."


def _queue(health: SchedHealth | None) -> Iterator[str]:
    if health and health.stays(health.starved):
        yield f"{health.queued:.0f} goroutines queue and none of {health.procs} Ps is idle."


def _how(budget: CpuBudget) -> str:
    if budget.follows_quota:
        return (
            f"{budget.go_version} follows the quota by itself: remove the GOMAXPROCS variable or call that overrides"
            " it, and set none of GODEBUG's containermaxprocs=0 and updatemaxprocs=0."
        )
    version = budget.go_version or "A Go older than 1.25"
    return f"{version} does not look at the quota: set GOMAXPROCS in the environment, or build with Go 1.25 or newer."
