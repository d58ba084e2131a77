"""Reads what Go's garbage collector says of each cycle under ``GODEBUG=gctrace=1``, out of a log with other lines.

The line is printed by ``gcMarkTermination`` of ``runtime/mgc.go`` and documented in ``runtime/extern.go``. Go 1.11 to
1.17 print no stacks and globals, Go 1.18 to 1.27 do, Go 1.26 adds a note behind the percentage when the cycle looked
for leaked goroutines. Lines of the pacer, the scavenger and gctrace=2 are passed over. Every pattern is bounded, so a
text made to hurt costs no more than its length.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from sre_platform.kernel.errors import Malformed

TEXT_LIMIT = 16 << 20  # characters: about 120,000 cycles, far more than anybody listens to
LINE_LIMIT = 4096  # characters of a line that are looked at; the longest trace line is below 300
_BEGIN = re.compile(r"\bgc \d{1,10} @")
_MS = r"(\d{1,15}(?:\.\d{1,9})?)"
_LINE = re.compile(
    r"\bgc (\d{1,10}) @(\d{1,12}(?:\.\d{1,9})?)s (\d{1,3})%(?: \([^()]{1,80}\))?: "
    rf"{_MS}\+{_MS}\+{_MS} ms clock, {_MS}\+{_MS}/{_MS}/{_MS}\+{_MS} ms cpu, "
    r"(\d{1,9})->(\d{1,9})->(\d{1,9}) MB, (\d{1,12}) MB goal, "
    r"(?:(\d{1,9}) MB stacks, (\d{1,9}) MB globals, )?(\d{1,6}) P\b( \(forced\))?"
)


@dataclass(frozen=True, slots=True)
class Cycle:
    """One collection. Times in ms are wall-clock unless named ``cpu``; the runtime's MB are MiB, rounded down.

    ``at_s`` is when it began, in seconds since the program started, and ``cpu_percent`` the share of all CPU time that
    collections took since then. ``sweep_pause_ms`` and ``termination_pause_ms`` stop the world, marking does not.
    ``assist_cpu_ms`` was taken from goroutines that allocated, ``background_cpu_ms`` from the workers that the
    collector is entitled to (dedicated and fractional), ``idle_cpu_ms`` from Ps that had nothing else to do.
    ``heap_goal_mib`` was set when the cycle before ended.
    """

    number: int
    at_s: float
    cpu_percent: int
    sweep_pause_ms: float
    mark_ms: float
    termination_pause_ms: float
    sweep_cpu_ms: float
    assist_cpu_ms: float
    background_cpu_ms: float
    idle_cpu_ms: float
    termination_cpu_ms: float
    heap_start_mib: int
    heap_end_mib: int
    heap_live_mib: int
    heap_goal_mib: int
    stacks_mib: int | None
    globals_mib: int | None
    procs: int
    forced: bool

    @property
    def pause_ms(self) -> float:
        """How long the world stood still in this cycle, both pauses."""
        return self.sweep_pause_ms + self.termination_pause_ms

    @property
    def taken_cpu_ms(self) -> float:
        """The CPU time that the program could have used itself: everything but idle marking."""
        return self.sweep_cpu_ms + self.assist_cpu_ms + self.background_cpu_ms + self.termination_cpu_ms

    @property
    def wall_ms(self) -> float:
        """From the first pause to the end of the second."""
        return self.pause_ms + self.mark_ms


@dataclass(frozen=True)
class Trace:
    """The cycles in the order they were printed, and how many trace lines could not be understood (cut, mixed)."""

    cycles: tuple[Cycle, ...]
    unread: int = 0

    def intervals_s(self) -> tuple[float, ...]:
        """Seconds from the begin of each cycle to that of the next, where both were seen in one process."""
        return tuple(later.at_s - earlier.at_s for earlier, later in self.neighbours())

    def neighbours(self) -> Iterator[tuple[Cycle, Cycle]]:
        """Cycles that follow each other. A number that falls is a restart, one that jumps means lost lines."""
        for earlier, later in pairwise(self.cycles):
            if later.number == earlier.number + 1 and later.at_s >= earlier.at_s:
                yield earlier, later


def parse(text: str, last: int | None = None) -> Trace:
    """The collections that ``text``, a log, tells of, or only so many of its ``last``; none when there was none.

    Raises Malformed when the text is longer than TEXT_LIMIT, or when it has trace lines and none can be understood.
    """
    if len(text) > TEXT_LIMIT:
        raise Malformed(f"This log has {len(text)} characters, more than {TEXT_LIMIT}: give a shorter piece of it.")
    cycles: list[Cycle] = []
    unread = 0
    lines = [*_trace_lines(text)]
    for line in lines[-last:] if last else lines:
        if found := _LINE.search(line):
            cycles.append(_cycle(found.groups(default="")))
        else:
            unread += 1
    if unread and not cycles:
        raise Malformed(f"None of the {unread} gctrace lines has a form that is known from Go 1.11 to 1.27.")
    return Trace(tuple(cycles), unread)


def _trace_lines(text: str) -> Iterator[str]:
    shown = (line[:LINE_LIMIT] for line in text.split("\n"))
    return (line for line in shown if _BEGIN.search(line))


def _cycle(fields: Sequence[str]) -> Cycle:
    number, at, percent, *times = fields[:11]
    sweep, mark, termination, sweep_cpu, assist, background, idle, termination_cpu = map(float, times)
    start, end, live, goal = map(int, fields[11:15])
    stacks, global_data, procs, forced = fields[15:]
    return Cycle(
        int(number), float(at), int(percent),
        sweep, mark, termination, sweep_cpu, assist, background, idle, termination_cpu,
        start, end, live, goal,
        stacks_mib=int(stacks) if stacks else None,
        globals_mib=int(global_data) if global_data else None,
        procs=int(procs),
        forced=bool(forced),
    )  # fmt: skip
