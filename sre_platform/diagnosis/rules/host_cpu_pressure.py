from collections.abc import Iterator, Mapping

from sre_platform.diagnosis.domain import Evidence, Finding
from sre_platform.diagnosis.parsers import proc
from sre_platform.diagnosis.rca.cpu_budget import cpu_budget
from sre_platform.diagnosis.rca.documents import Documents
from sre_platform.diagnosis.rca.host_health import stalled
from sre_platform.diagnosis.rca.weighing import weighed

STALLED_SHARE = 0.2  # of the time some task waited for a CPU; ours: a fifth of it is what users feel as latency
IDLE_SHARE = 0.05  # of all CPU time; below it nothing is left
STEAL_SHARE = 0.1  # of all CPU time that the hypervisor gave to others; ours: a tenth of what was paid for


class HostCpuPressure:
    """There is too little CPU time for what runs: on the host, within the quota, or because others take it.

    Reads ``host`` (pressure/cpu, proc_stat, cgroup/cpu.stat) and ``go_runtime`` (scheduling latencies).
    """

    name = "host_cpu_pressure"

    def judge(self, service: str, evidence: Mapping[str, Evidence]) -> Finding | None:
        documents = Documents(evidence)
        budget = cpu_budget(documents)
        signs = [*_stalled(documents), *budget.throttled(), *_used_up(documents)]
        return weighed(
            "host.cpu-pressure",
            service,
            "host",
            signs,
            effects=budget.delays(),
            against=documents.unread,
            would_decide=["pidstat or top on the host tells whether this process uses the CPU, or its neighbours do."],
            advice=["Raise the CPU request or quota, add replicas, or move neighbours away.", *budget.advice()],
        )


def _stalled(documents: Documents) -> Iterator[str]:
    seen = stalled(documents, "cpu", "some")
    if seen and seen.share >= STALLED_SHARE:
        yield f"Tasks waited for a CPU in {seen.share:.0%} {seen.how}, {STALLED_SHARE:.0%} is much."


def _used_up(documents: Documents) -> Iterator[str]:
    looks = documents.looks("host", "proc_stat", "earlier/proc_stat", proc.cpu_times)
    window = looks.now.since(looks.earlier) if looks and looks.earlier else None
    idle, waiting, steal = (window.share(part) if window else None for part in ("idle", "iowait", "steal"))
    if idle is not None and waiting is not None and idle + waiting < IDLE_SHARE:
        yield f"The host's CPUs are idle {idle + waiting:.1%} of the time."
    if steal is not None and steal >= STEAL_SHARE:
        yield f"The hypervisor gives {steal:.0%} of the CPU time to others."
