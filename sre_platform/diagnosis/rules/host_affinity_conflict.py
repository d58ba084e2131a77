from collections.abc import Iterator, Mapping

from sre_platform.diagnosis.domain import Evidence, Finding
from sre_platform.diagnosis.parsers.proc import Status
from sre_platform.diagnosis.rca.cpu_budget import CpuBudget, cpu_budget
from sre_platform.diagnosis.rca.documents import Documents
from sre_platform.diagnosis.rca.gc_health import gc_health
from sre_platform.diagnosis.rca.host_health import hardware, rate, status_looks
from sre_platform.diagnosis.rca.weighing import weighed

# At the field's 8 us for a migration to another node, 2000 a second cost 1.6% of a core; ours.
SWITCHES_A_SECOND = 2000.0  # voluntary ones, of the thread that /proc/PID/status tells of
MIGRATIONS_A_SECOND = 500.0  # of all threads: a thread that moves finds its caches cold; ours


class HostAffinityConflict:
    """Threads wander over more CPUs than they need: stopping the world waits for them, and their caches are cold.

    Reads ``host`` (status: Cpus_allowed_list, voluntary switches), ``go_trace`` and ``go_runtime`` (pauses) and
    ``perf_stat`` (cpu-migrations). On one CPU there is no conflict.
    """

    name = "host_affinity_conflict"

    def judge(self, service: str, evidence: Mapping[str, Evidence]) -> Finding | None:
        documents = Documents(evidence)
        looks = status_looks(documents)
        if looks is None or len(looks.now.cpus_allowed) <= 1:
            return None
        budget = cpu_budget(documents)
        switches = rate(documents, looks, lambda status: status.voluntary_switches)
        signs = [*_switches(switches, looks.now), *_migrations(documents)]
        return weighed(
            "host.affinity-conflict",
            service,
            "host",
            signs,
            effects=gc_health(documents).pauses(),
            against=[*_narrow(budget), *documents.unread],
            would_decide=[
                "Switches in /proc/PID/task/*/status tell of all threads, perf sched timehist of who moves where."
            ],
            advice=[*_advice(looks.now, budget)],
        )


def _switches(switches: float | None, status: Status) -> Iterator[str]:
    if switches is not None and switches >= SWITCHES_A_SECOND:
        yield (
            f"The thread gives its CPU up {switches:.0f} times a second and may wake on any of"
            f" {len(status.cpus_allowed)} CPUs."
        )


def _migrations(documents: Documents) -> Iterator[str]:
    counted, seconds = hardware(documents), documents.number("perf_stat", "seconds")
    moves = counted.counters.total("cpu-migrations", "migrations") if counted else None
    if moves is not None and seconds and moves / seconds >= MIGRATIONS_A_SECOND:
        yield f"Its threads move to another CPU {moves / seconds:.0f} times a second."


def _narrow(budget: CpuBudget) -> Iterator[str]:
    if budget.procs is not None and budget.cpus is not None and budget.procs >= budget.cpus:
        yield f"GOMAXPROCS is {budget.procs}: the process uses all {budget.cpus} CPUs that it may run on."


def _advice(status: Status, budget: CpuBudget) -> Iterator[str]:
    want = budget.procs or budget.usable or len(status.cpus_allowed)
    nodes = f" of one of the {len(status.mems_allowed)} NUMA nodes" if len(status.mems_allowed) > 1 else ""
    yield f"Pin the process to {want} CPUs{nodes}: a cpuset, taskset, or the kubelet's static CPU manager policy."
    yield "Have fewer, larger wake-ups: batch what is sent and received."
