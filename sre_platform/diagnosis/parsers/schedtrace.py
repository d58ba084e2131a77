"""Reads what Go's scheduler says of itself under ``GODEBUG=schedtrace=N``, with or without ``scheddetail=1``.

The lines are printed by ``schedtrace`` of ``runtime/proc.go``: a SCHED line every N ms, and with scheddetail one line
for each P, M and G below it. Go 1.11 to 1.19 know no needspinning, versions before 1.21 write -1 for nil and 0 for
false, Go 1.25 added the ticks of each P to the SCHED line. Unknown names are passed over, lines of others too.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

from sre_platform.diagnosis.parsers.numbers import whole
from sre_platform.kernel.errors import Malformed

TEXT_LIMIT = 64 << 20  # characters: one detailed sample of 100,000 goroutines is 6 MiB
LINE_LIMIT = 1 << 16  # characters of a line that are looked at; 1024 Ps fill about 12,000
SCAN_BIT = 0x1000  # _Gscan of runtime/runtime2.go: the collector looks at the stack, the state is the rest

# _Gidle ... of runtime/runtime2.go; 5 and 7 are unused.
STATES = {
    0: "idle", 1: "runnable", 2: "running", 3: "syscall", 4: "waiting", 6: "dead", 8: "copystack", 9: "preempted",
    10: "leaked", 11: "deadextra",
}  # fmt: skip
GONE = frozenset({"idle", "dead", "deadextra"})  # slots that wait to be used again, not goroutines

Detail = TypeVar("Detail")


@dataclass(frozen=True, slots=True)
class Processor:
    """One P. ``status`` 0 is idle, 1 running, 2 in a system call. Ticks count every dispatch and every system call."""

    id: int
    status: int
    schedtick: int
    syscalltick: int
    m: int | None
    runqsize: int


@dataclass(frozen=True, slots=True)
class Thread:
    """One M, a thread of the operating system. ``blocked`` means parked by the runtime, not busy in a system call."""

    id: int
    p: int | None
    curg: int | None
    preemptoff: str
    locks: int
    spinning: bool
    blocked: bool
    lockedg: int | None


@dataclass(frozen=True, slots=True)
class Goroutine:
    """One G. ``state`` is a word of STATES, ``waitreason`` the runtime's, also that of the wait before."""

    id: int
    state: str
    waitreason: str
    m: int | None
    lockedm: int | None


@dataclass(frozen=True, slots=True)
class Sample:
    """The scheduler at one moment. ``at_ms`` counts from the first trace line of the process.

    ``runqueue`` is the length of the queue that all Ps share, ``local_queues`` and ``schedticks`` are one number a P;
    schedticks is empty where the runtime does not print it. ``processors``, ``threads_seen`` and ``goroutines`` are
    filled by scheddetail only.
    """

    at_ms: int
    gomaxprocs: int
    idleprocs: int
    threads: int
    spinningthreads: int
    needspinning: int | None
    idlethreads: int
    runqueue: int
    local_queues: tuple[int, ...]
    schedticks: tuple[int, ...]
    processors: tuple[Processor, ...] = ()
    threads_seen: tuple[Thread, ...] = ()
    goroutines: tuple[Goroutine, ...] = ()

    @property
    def queued(self) -> int:
        """Goroutines that could run and do not, in all queues."""
        return self.runqueue + sum(self.local_queues)

    @property
    def alive(self) -> int:
        """Goroutines that scheddetail lists, without free slots."""
        return sum(goroutine.state not in GONE for goroutine in self.goroutines)


@dataclass(frozen=True)
class Trace:
    """The samples in the order they were printed, and how many SCHED lines could not be understood."""

    samples: tuple[Sample, ...]
    unread: int = 0

    def neighbours(self) -> Iterator[tuple[Sample, Sample]]:
        """Samples that follow each other in one process: a time that falls is a restart."""
        return ((one, other) for one, other in pairwise(self.samples) if other.at_ms > one.at_ms)


def parse(text: str, last: int | None = None) -> Trace:
    """The samples that ``text``, a log, tells of, or only so many of its ``last``; none when there is no SCHED line.

    Raises Malformed when the text is longer than TEXT_LIMIT, or when it has SCHED lines and none can be understood.
    """
    if len(text) > TEXT_LIMIT:
        raise Malformed(f"This log has {len(text)} characters, more than {TEXT_LIMIT}: give a shorter piece of it.")
    samples: list[Sample] = []
    unread = 0
    for header, details in _blocks(text[_begin(text, last) :] if last else text):
        sample = _sample(header, details)
        if sample:
            samples.append(sample)
        unread += sample is None
    if unread and not samples:
        raise Malformed(f"None of the {unread} SCHED lines has a form that is known from Go 1.11 to 1.27.")
    return Trace(tuple(samples), unread)


def _begin(text: str, last: int) -> int:
    """Where the line of the ``last`` SCHED but so many begins; 0 when there are fewer."""
    at = len(text)
    for _ in range(last):
        at = max(0, text.rfind("SCHED ", 0, at))
    return text.rfind("\n", 0, at) + 1


def _blocks(text: str) -> Iterator[tuple[str, list[str]]]:
    """Every SCHED line without what stands before it, and the lines up to the next."""
    header, details = "", list[str]()
    for raw in text.split("\n"):
        line = raw[:LINE_LIMIT]
        begin = line.find("SCHED ")
        if begin < 0:
            details.append(line)
            continue
        if header:
            yield header, details
        header, details = line[begin:], []
    if header:
        yield header, details


def _sample(header: str, details: list[str]) -> Sample | None:
    when, _, rest = header.removeprefix("SCHED ").partition("ms: ")
    at_ms, known = whole(when), _pairs(rest.partition(" schedticks=[")[0])
    counts = [known.get(name) for name in ("gomaxprocs", "idleprocs", "threads", "idlethreads", "runqueue")]
    if at_ms is None or None in counts:
        return None
    gomaxprocs, idleprocs, threads, idlethreads, runqueue = (count or 0 for count in counts)
    processors = tuple(_each(details, "P", _processor))
    return Sample(
        at_ms, gomaxprocs, idleprocs, threads, known.get("spinningthreads") or 0, known.get("needspinning"),
        idlethreads, runqueue,
        local_queues=tuple(p.runqsize for p in processors) or _list(rest.partition(" schedticks=")[0]),
        schedticks=tuple(p.schedtick for p in processors) or _list(rest.partition(" schedticks=")[2]),
        processors=processors,
        threads_seen=tuple(_each(details, "M", _thread)),
        goroutines=tuple(_each(details, "G", _goroutine)),
    )  # fmt: skip


def _list(text: str) -> tuple[int, ...]:
    """The numbers between the first brackets: ``[ 3 0 ]`` since Go 1.25, ``[3 0]`` before; else none."""
    inside, closed, _ = text.partition("[")[2].partition("]")
    numbers = [whole(word) for word in inside.split()]
    return tuple(number for number in numbers if number is not None) if closed and None not in numbers else ()


def _each(
    details: list[str], letter: str, read: Callable[[int, Mapping[str, int | None], str], Detail | None]
) -> Iterator[Detail]:
    """What ``read`` makes of every ``  P12: a=1 b=2``; others, and those that lack something, are passed over."""
    for line in details:
        name, found, rest = line.strip().partition(": ")
        number = whole(name[1:]) if name[:1] == letter else None
        if found and number is not None and (item := read(number, _pairs(rest), rest)) is not None:
            yield item


def _processor(number: int, fields: Mapping[str, int | None], _rest: str) -> Processor | None:
    status, ticks, calls, size = (fields.get(name) for name in ("status", "schedtick", "syscalltick", "runqsize"))
    if status is None or ticks is None or calls is None or size is None:
        return None
    return Processor(number, status, ticks, calls, fields.get("m"), size)


def _thread(number: int, fields: Mapping[str, int | None], rest: str) -> Thread | None:
    locks, spinning, blocked = fields.get("locks"), fields.get("spinning"), fields.get("blocked")
    if locks is None or spinning is None or blocked is None:
        return None
    # The reason is a sentence or nothing, and always followed by locks.
    reason = rest.partition(" preemptoff=")[2].partition(" locks=")[0]
    held = fields.get("lockedg")
    return Thread(number, fields.get("p"), fields.get("curg"), reason, locks, bool(spinning), bool(blocked), held)


def _goroutine(number: int, fields: Mapping[str, int | None], rest: str) -> Goroutine | None:
    status, opened, after = rest.partition("(")
    state = whole(status.removeprefix("status="))
    reason, closed, tail = after.rpartition(") m=")  # a reason may hold parentheses: "select (no cases)"
    if state is None or not opened or not closed:
        return None
    word = STATES.get(state & ~SCAN_BIT, f"status {state}")
    return Goroutine(number, word, reason, _pairs(f"m={tail}").get("m"), fields.get("lockedm"))


_WORDS = {"true": 1, "false": 0, "nil": None}


def _pairs(text: str) -> dict[str, int | None]:
    """The numbers of ``name=value`` words; true and false are 1 and 0, nil and -1 (before Go 1.21) are None."""
    pairs: dict[str, int | None] = {}
    for word in text.split():
        name, found, value = word.partition("=")
        if found:
            number = _WORDS[value] if value in _WORDS else whole(value)
            pairs[name] = None if number == -1 else number
    return pairs
