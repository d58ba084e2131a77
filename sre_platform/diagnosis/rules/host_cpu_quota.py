from collections.abc import Iterator, Mapping
from math import ceil

from sre_platform.diagnosis.domain import Evidence, Finding
from sre_platform.diagnosis.rca.cpu_budget import CpuBudget, cpu_budget
from sre_platform.diagnosis.rca.documents import Documents
from sre_platform.diagnosis.rca.host_health import stalled
from sre_platform.diagnosis.rca.tuning import LEAST_PROCS
from sre_platform.diagnosis.rca.weighing import RECORDED, weighed
from sre_platform.diagnosis.rules.host_cpu_pressure import STALLED_SHARE


class HostCpuQuota:
    """The CFS quota is smaller than what the process needs: the kernel stops it, and its goroutines wait.

    Reads ``host`` (cpu.max, cpu.stat, pressure/cpu) and ``go_runtime`` (scheduling latencies). With more Ps than the
    quota has CPUs it is their number that does not fit, which is ``sched_gomaxprocs_quota``'s to say.
    """

    name = "host_cpu_quota"

    def judge(self, service: str, evidence: Mapping[str, Evidence]) -> Finding | None:
        documents = Documents(evidence)
        budget = cpu_budget(documents)
        effects = [*budget.delays(), *_stalled(documents)]
        if budget.quota_cores is None or not effects or _too_many_procs(budget):
            return None
        return weighed(
            "host.cpu-quota",
            service,
            "host",
            signs=budget.throttled(),
            effects=[f"The quota is {budget.quota_cores:.3g} CPUs.", *effects],
            at_least=RECORDED,  # the kernel counts the periods in which it stopped the process
            against=documents.unread,
            would_decide=["cpu.stat over some minutes of load tells how many periods are throttled."],
            advice=["Raise the CPU limit, or take it away and keep the request; a restart changes nothing."],
        )


def _too_many_procs(budget: CpuBudget) -> bool:
    procs, quota = budget.procs, budget.quota_cores
    return procs is not None and quota is not None and procs > max(LEAST_PROCS, ceil(quota))


def _stalled(documents: Documents) -> Iterator[str]:
    seen = stalled(documents, "cpu", "some")
    if seen and seen.share >= STALLED_SHARE:
        yield f"Tasks waited for a CPU in {seen.share:.0%} {seen.how}, {STALLED_SHARE:.0%} is much."
