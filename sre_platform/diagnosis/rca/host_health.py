"""How the host treats a process: what it is short of, and what the CPU's own counters say."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from sre_platform.diagnosis.parsers import perf_stat, proc
from sre_platform.diagnosis.parsers.perf_stat import Counters
from sre_platform.diagnosis.parsers.proc import Pressure, Stall, Status
from sre_platform.diagnosis.rca.documents import Documents, Looks

RAN_ENOUGH = 0.25  # of the time that a counter really counted; below, perf's scaling guesses more than it saw
LOW_IPC = 1.0  # instructions a cycle; CPUs retire four and more, below one they wait most of the time
LAST_LEVEL_MISSES, LAST_LEVEL_LOADS = ("LLC-load-misses", "cache-misses"), ("LLC-loads", "cache-references")
HIGH_MISS_SHARE = 0.2  # of loads that reach the last level; the field's rule: 20 to 25%
SURE_MISS_SHARE = 0.25
HIGH_TLB_MISSES = 0.001  # dTLB load misses a cycle; the field's rule


@dataclass(frozen=True)
class Hardware:
    """What perf counted. Every number is None when the CPU has no such counter, or it ran too short a time."""

    counters: Counters

    @property
    def instructions_a_cycle(self) -> float | None:
        return self.ratio(("instructions",), ("cycles",))

    @property
    def last_level_misses(self) -> float | None:
        """The share (0..1) of accesses to the last level cache that missed: loads, else all references."""
        for misses, accesses in zip(LAST_LEVEL_MISSES, LAST_LEVEL_LOADS, strict=True):
            if (share := self.ratio((misses,), (accesses,))) is not None:
                return share
        return None

    @property
    def tlb_misses_a_cycle(self) -> float | None:
        return self.ratio(("dTLB-load-misses",), ("cycles",))

    @property
    def is_slow(self) -> bool:
        """Whether the CPU waits more than it works."""
        ipc = self.instructions_a_cycle
        return ipc is not None and ipc < LOW_IPC

    def ratio(self, above: tuple[str, ...], below: tuple[str, ...]) -> float | None:
        """The quotient of two counters that both ran long enough."""
        ran = (self.counters.running_share(event) for event in (*above, *below))
        return self.counters.ratio(above, below) if min(ran) >= RAN_ENOUGH else None

    def waits(self) -> Iterator[str]:
        """A sentence when the CPU waits more than it works."""
        if self.is_slow:
            ipc = self.instructions_a_cycle
            yield f"The CPU retires {ipc:.2f} instructions a cycle, below {LOW_IPC:.0f} it mostly waits."


def hardware(documents: Documents) -> Hardware | None:
    """What ``perf_stat`` counted."""
    counters = documents.text("perf_stat", "perf", perf_stat.parse)
    return Hardware(counters) if counters else None


@dataclass(frozen=True)
class Stalled:
    """The share of time (0..1) in which tasks waited, and how it was found out: of the window, or the last 10 s."""

    share: float
    how: str


def stalled(documents: Documents, resource: str, kind: Literal["some", "full"]) -> Stalled | None:
    """PSI of ``resource`` ("cpu", "memory", "io"): between two looks where there are two, else the kernel's average."""
    looks = documents.looks("host", f"pressure/{resource}", f"earlier/pressure/{resource}", proc.pressure)
    seconds = documents.number("host", "seconds_apart")
    now = _kind(looks.now, kind) if looks else None
    before = _kind(looks.earlier, kind) if looks and looks.earlier else None
    if now and before and seconds and now.total_us >= before.total_us:
        return Stalled(min(1.0, (now.total_us - before.total_us) / 1e6 / seconds), f"of the last {seconds:.1f} s")
    return Stalled(now.avg10, "of the last 10 s") if now else None


def _kind(pressure: Pressure, kind: Literal["some", "full"]) -> Stall | None:
    return pressure.some if kind == "some" else pressure.full


def rate(documents: Documents, looks: Looks[Status] | None, of: Callable[[Status], int | None]) -> float | None:
    """How often a second ``of`` rose between two looks at ``status``."""
    seconds = documents.number("host", "seconds_apart")
    now, before = (of(looks.now), of(looks.earlier)) if looks and looks.earlier else (None, None)
    return (now - before) / seconds if now is not None and before is not None and seconds and now >= before else None


def status_looks(documents: Documents) -> Looks[Status] | None:
    """``/proc/PID/status`` at two moments."""
    return documents.looks("host", "status", "earlier/status", proc.status)
