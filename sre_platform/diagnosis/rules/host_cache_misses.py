from collections.abc import Iterator, Mapping

from sre_platform.diagnosis.domain import Evidence, Finding
from sre_platform.diagnosis.parsers import proc
from sre_platform.diagnosis.rca.documents import Documents
from sre_platform.diagnosis.rca.host_health import HIGH_MISS_SHARE, SURE_MISS_SHARE, Hardware, hardware
from sre_platform.diagnosis.rca.weighing import weighed

# NUMA: memory of another node takes about 240 ns against 85 ns of the own (the field's measurement).
REMOTE_SHARE = 0.1  # of loads that miss and go to another node; ours


class HostCacheMisses:
    """The working set does not fit the last level cache, or lies in another node's memory.

    Reads ``perf_stat`` (LLC-loads and misses, or cache-references; instructions, cycles, node-loads) and ``host``
    (NUMA nodes). Between 20% and 25% of misses it takes a CPU that mostly waits to say so at all.
    """

    name = "host_cache_misses"

    def judge(self, service: str, evidence: Mapping[str, Evidence]) -> Finding | None:
        documents = Documents(evidence)
        counted = hardware(documents)
        share = counted.last_level_misses if counted else None
        if counted is None or share is None or share < HIGH_MISS_SHARE:
            return None
        if share < SURE_MISS_SHARE and not counted.is_slow:
            return None
        sign = f"{share:.0%} of the accesses to the last level cache miss, {HIGH_MISS_SHARE:.0%} is much."
        return weighed(
            "host.cache-misses",
            service,
            "host",
            [sign],
            effects=[*counted.waits(), *_remote(counted)],
            against=[*_busy(counted), *documents.unread],
            would_decide=["perf record -e LLC-load-misses, or perf c2c, names the lines that miss."],
            advice=[*_advice(documents)],
        )


def _remote(counted: Hardware) -> Iterator[str]:
    share = counted.ratio(("node-load-misses",), ("node-loads",))
    if share is not None and share >= REMOTE_SHARE:
        yield f"{share:.0%} of the loads that leave the cache go to another NUMA node, about 240 ns instead of 85."


def _busy(counted: Hardware) -> Iterator[str]:
    ipc = counted.instructions_a_cycle
    if ipc is not None and not counted.is_slow:
        yield f"The CPU still retires {ipc:.2f} instructions a cycle."


def _advice(documents: Documents) -> Iterator[str]:
    status = documents.text("host", "status", proc.status)
    if status and len(status.mems_allowed) > 1:
        yield f"Bind the process to one of its {len(status.mems_allowed)} NUMA nodes (numactl, topology manager)."
    yield "Shrink what the hot path touches: slices of values instead of pointers, smaller structs, fewer maps."
