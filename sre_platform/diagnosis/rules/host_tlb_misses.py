from collections.abc import Iterator, Mapping

from sre_platform.diagnosis.domain import Evidence, Finding
from sre_platform.diagnosis.parsers import proc
from sre_platform.diagnosis.rca.documents import Documents
from sre_platform.diagnosis.rca.host_health import HIGH_TLB_MISSES, hardware
from sre_platform.diagnosis.rca.weighing import weighed

MANY_MAPPINGS = 10_000  # of the default limit of 65,530 (vm.max_map_count): an address space in pieces
SMALL_PAGES_SHARE = 0.1  # of anonymous memory in huge pages; below, nearly all of it needs a TLB entry for each 4 KiB
WORTH_BYTES = 256 << 20  # of anonymous memory; 1536 entries of a second level TLB reach 6 MiB in small pages


class HostTlbMisses:
    """The addresses in use do not fit the TLB: memory lies in small pages, or in very many mappings.

    Reads ``perf_stat`` (dTLB-load-misses, instructions, cycles) and ``host`` (smaps_rollup, maps, status).
    """

    name = "host_tlb_misses"

    def judge(self, service: str, evidence: Mapping[str, Evidence]) -> Finding | None:
        documents = Documents(evidence)
        counted = hardware(documents)
        misses = counted.tlb_misses_a_cycle if counted else None
        if counted is None or misses is None or misses <= HIGH_TLB_MISSES:
            return None
        return weighed(
            "host.tlb-misses",
            service,
            "host",
            [f"{misses:.4f} loads a cycle miss the data TLB, {HIGH_TLB_MISSES} is much."],
            effects=[*counted.waits(), *_small_pages(documents), *_many_mappings(documents)],
            against=documents.unread,
            would_decide=["perf record -e dTLB-load-misses names the lines; AnonHugePages in smaps the mappings."],
            advice=[
                "Let the heap have huge pages: transparent_hugepage/enabled madvise or always, and no"
                " GODEBUG=disablethp=1.",
                "Keep what is used together in one place: fewer, larger arenas instead of many small mappings.",
            ],
        )


def _small_pages(documents: Documents) -> Iterator[str]:
    sums = documents.text("host", "smaps_rollup", proc.smaps_rollup)
    anonymous, huge = (sums.anonymous_bytes, sums.anonymous_huge_bytes) if sums else (None, None)
    if anonymous is None or huge is None or anonymous < WORTH_BYTES or huge >= SMALL_PAGES_SHARE * anonymous:
        return
    status = documents.text("host", "status", proc.status)
    off = ", which are switched off for it" if status and status.huge_pages_enabled is False else ""
    yield f"{huge / anonymous:.0%} of {anonymous >> 20} MiB of anonymous memory are in huge pages{off}."


def _many_mappings(documents: Documents) -> Iterator[str]:
    maps = documents.text("host", "maps", proc.maps)
    if maps and len(maps) >= MANY_MAPPINGS:
        yield f"The address space has {len(maps)} mappings."
