from collections.abc import Iterator, Mapping

from sre_platform.diagnosis.domain import Evidence, Finding
from sre_platform.diagnosis.rca.documents import Documents
from sre_platform.diagnosis.rca.host_health import HIGH_MISS_SHARE, HIGH_TLB_MISSES, Hardware, hardware
from sre_platform.diagnosis.rca.weighing import weighed

BRANCH_MISSES = 0.05  # of branches; ours: good predictors miss 1 to 2%, each miss costs 15 to 20 cycles
STALLED_FRONT_END = 0.3  # of the cycles; ours
INSTRUCTION_TLB = 0.001  # misses a cycle, as for data


class HostFrontEnd:
    """The CPU waits, and neither for the last level cache nor for the TLB: for instructions or guessed branches.

    Reads ``perf_stat`` (instructions, cycles, branches, stalled-cycles-frontend, iTLB-load-misses). What is left when
    memory was ruled out: needs counters of both to say so.
    """

    name = "host_front_end"

    def judge(self, service: str, evidence: Mapping[str, Evidence]) -> Finding | None:
        documents = Documents(evidence)
        counted = hardware(documents)
        if counted is None or not counted.is_slow or not _memory_is_fine(counted):
            return None
        return weighed(
            "host.front-end",
            service,
            "host",
            [*_signs(counted)],
            effects=[*counted.waits()],
            against=documents.unread,
            would_decide=["perf stat --topdown splits the cycles into front end, bad speculation and back end."],
            advice=[
                "Build with a profile (go build -pgo): it inlines what is hot and lays out its branches.",
                "Take unpredictable branches and interface calls out of the hot loops that a CPU profile shows.",
            ],
        )


def _memory_is_fine(counted: Hardware) -> bool:
    cache, tlb = counted.last_level_misses, counted.tlb_misses_a_cycle
    return cache is not None and cache < HIGH_MISS_SHARE and tlb is not None and tlb <= HIGH_TLB_MISSES


def _signs(counted: Hardware) -> Iterator[str]:
    missed = counted.ratio(("branch-misses",), ("branches",))
    if missed is not None and missed >= BRANCH_MISSES:
        yield f"{missed:.1%} of the branches were guessed wrong, {BRANCH_MISSES:.0%} is much."
    stalled = counted.ratio(("stalled-cycles-frontend",), ("cycles",))
    if stalled is not None and stalled >= STALLED_FRONT_END:
        yield f"In {stalled:.0%} of the cycles no instruction was there to run."
    tlb = counted.ratio(("iTLB-load-misses",), ("cycles",))
    if tlb is not None and tlb > INSTRUCTION_TLB:
        yield f"{tlb:.4f} instruction fetches a cycle miss the TLB."
