"""Reads what Go's runtime says about its goroutines, and puts goroutines that wait alike into one bucket.

Understood are the texts of ``/debug/pprof/goroutine?debug=2`` (also SIGQUIT and panic output), ``goroutine?debug=1``
and ``goroutineleak?debug=1``. The forms are those of ``runtime/traceback.go`` (``goroutineheader``,
``printcreatedby1``) and ``runtime/pprof/pprof.go`` (``printCountProfile``), Go 1.5 to 1.27. Plain string operations,
each line looked at a fixed number of times: a text made to hurt costs no more than its length.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from sre_platform.diagnosis.domain import Site
from sre_platform.kernel.errors import Malformed

DUMP_LIMIT = 64 << 20  # bytes; runtime/pprof.writeGoroutineStacks fills a buffer of 64 MiB and stops there
LONGEST_NUMBER = 19  # digits of an int64: whatever is longer is no goroutine id, count or line

CHAN_OPERATION = "chan operation"  # our own word: debug=1 does not tell a send from a receive

# What a goroutine waits for, by the first of these functions on its stack (innermost first). runtime_SemacquireMutex
# is left out on purpose: before Go 1.20 RWMutex and Mutex shared it, their callers tell them apart.
WAITS_BY_FUNCTION = {
    "runtime.chansend1": "chan send",
    "runtime.chanrecv1": "chan receive",
    "runtime.chanrecv2": "chan receive",
    "runtime.selectgo": "select",
    "runtime.block": "select (no cases)",
    "time.Sleep": "sleep",
    "internal/poll.runtime_pollWait": "IO wait",
    "internal/sync.(*Mutex).lockSlow": "sync.Mutex.Lock",
    "sync.(*Mutex).lockSlow": "sync.Mutex.Lock",
    "sync.(*Mutex).Lock": "sync.Mutex.Lock",
    "sync.(*RWMutex).RLock": "sync.RWMutex.RLock",
    "sync.(*RWMutex).Lock": "sync.RWMutex.Lock",
    "sync.(*WaitGroup).Wait": "sync.WaitGroup.Wait",
    "sync.(*Cond).Wait": "sync.Cond.Wait",
    "os/signal.signal_recv": "syscall",
}
WAIT_DEPTH = 5  # pollWait, SemacquireMutex > lockSlow > Mutex.Lock > sync.Mutex.Lock: no wait sits deeper

# debug=1 hides leading runtime frames but prints their addresses: gopark < selectgo, gopark < chansend < chansend1.
WAITS_BY_HIDDEN_FRAMES = {2: "select", 3: CHAN_OPERATION}

STATE_SUFFIXES = (" (durable)", " (scan)", " (leaked)")  # printed in the reverse order; " (nil chan)" is no suffix


@dataclass(frozen=True, slots=True)
class Frame:
    """One call on a stack. ``file`` is as the binary names it, ``line`` counts from 1; there are no arguments."""

    function: str
    file: str
    line: int


@dataclass(frozen=True, slots=True)
class Bucket:
    """Goroutines that wait alike: the same state, the same frames (innermost first), the same creating line.

    ``state`` is the runtime's wait reason ("" when the profile does not tell), ``minutes`` the shortest and longest
    wait that the runtime stamped (not an age, often None), ``leaked`` how many of ``count`` the garbage collector
    proved unreachable, ``sample_id`` the id of the oldest (ids grow) to look up in the raw text, None in debug=1.
    """

    state: str
    frames: tuple[Frame, ...]
    created_by: Site | None
    count: int = 1
    minutes: tuple[int, int] | None = None
    leaked: int = 0
    sample_id: int | None = None

    @property
    def key(self) -> tuple[str, tuple[Frame, ...], str]:
        """What makes two goroutines alike. Equal keys of two dumps of one binary are the same bucket."""
        return self.state, self.frames, str(self.created_by or "")


@dataclass(frozen=True)
class Dump:
    """All goroutines of one process at one moment, largest bucket first.

    ``total`` is how many the text holds (debug=2) or says there are (debug=1). When ``truncated``, all counts are lower
    bounds.
    """

    total: int
    truncated: bool
    buckets: tuple[Bucket, ...]


def parse(text: str) -> Dump:
    """The goroutines in ``text``, a debug=2, debug=1 or goroutineleak profile as the service sent it.

    A text that was cut gives what came before the cut, with ``truncated`` set. Raises Malformed when there is no
    goroutine profile in it at all.
    """
    lines, cut = _whole_lines(text)
    for number, line in enumerate(lines):
        if (title := _title(line)) is not None:
            leaked, total = title
            return _counted(_records(lines[number + 1 :], leaked), total, cut)
        if _header(line) is not None:
            return _listed(_stacks(lines[number:]), cut or _fills_the_buffer(text))
    raise Malformed(
        f"This is not a goroutine profile, it begins with {text[:40]!r}.",
        advice="Fetch /debug/pprof/goroutine?debug=2 (or debug=1) from the service.",
    )


def _whole_lines(text: str) -> tuple[list[str], bool]:
    """The lines of ``text`` without a half one at its end, and whether there was one. Go ends every line."""
    lines = [line.rstrip("\r") for line in text.split("\n")]
    last = lines.pop()
    if " +0x" in last:  # a dump that lost only its last newline on the way
        return [*lines, last], False
    return lines, bool(last.strip())


def _fills_the_buffer(text: str) -> bool:
    return 2 * len(text) >= DUMP_LIMIT and len(text.encode(errors="replace")) >= DUMP_LIMIT


def _counted(records: Iterable[Bucket], total: int, cut: bool) -> Dump:
    buckets = _grouped(records)
    return Dump(total, cut or sum(bucket.count for bucket in buckets) < total, buckets)


def _listed(stacks: Iterable[Bucket], cut: bool) -> Dump:
    buckets = _grouped(stacks)
    return Dump(sum(bucket.count for bucket in buckets), cut, buckets)


def _grouped(parts: Iterable[Bucket]) -> tuple[Bucket, ...]:
    groups: dict[object, Bucket] = {}
    for part in parts:
        key = part.key
        known = groups.get(key)
        groups[key] = merged(known, part) if known else part
    return tuple(sorted(groups.values(), key=lambda bucket: -bucket.count))


def merged(one: Bucket, other: Bucket) -> Bucket:
    """One bucket of two that count as alike, with the key of the first."""
    waits = [*(one.minutes or ()), *(other.minutes or ())]
    return replace(
        one,
        count=one.count + other.count,
        leaked=one.leaked + other.leaked,
        minutes=(min(waits), max(waits)) if waits else None,
        sample_id=min((g for g in (one.sample_id, other.sample_id) if g is not None), default=None),
    )


# --- debug=2: one stack per goroutine ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Header:
    """``goroutine 18 gp=0xc000 m=nil [chan send (leaked), 5 minutes, locked to thread] {"k": v}:``"""

    id: int
    state: str
    leaked: bool
    minutes: int | None


def _header(line: str) -> _Header | None:
    if not line.startswith("goroutine ") or not line.rstrip().endswith(":"):
        return None
    before, opened, rest = line.partition(" [")
    inside, closed, _ = rest.partition("]")  # no wait reason holds a bracket; labels may, but they come later
    number = _number(before.split(" ", 2)[1])
    if number is None or not opened or not closed:
        return None
    state, *notes = inside.split(", ")
    bare, leaked = _bare(state)
    return _Header(number, bare, leaked, _minutes(notes))


def _bare(state: str) -> tuple[str, bool]:
    """The wait reason without the notes behind it, and whether one of them was ``(leaked)``."""
    leaked = False
    for suffix in STATE_SUFFIXES:
        if state.endswith(suffix):
            state = state.removesuffix(suffix)
            leaked = leaked or suffix == " (leaked)"
    return state, leaked


def _minutes(notes: Iterable[str]) -> int | None:
    stamps = (_number(note.removesuffix(" minutes")) for note in notes if note.endswith(" minutes"))
    return next(stamps, None)


def _stacks(lines: Iterable[str]) -> Iterator[Bucket]:
    """One bucket of one per goroutine. ``lines`` begins with a header."""
    header: _Header | None = None
    body: list[str] = []
    for line in lines:
        if (found := _header(line)) is None:
            body.append(line)
            continue
        if header:
            yield _stack(header, body)
        header, body = found, []
    if header:
        yield _stack(header, body)


def _stack(header: _Header, body: Iterable[str]) -> Bucket:
    frames, creator = _calls(body)
    minutes = (header.minutes, header.minutes) if header.minutes is not None else None
    # Before Go 1.20 every lock, WaitGroup and Cond waited in plain "semacquire".
    state = (_wait(frames) or header.state) if header.state == "semacquire" else header.state
    return Bucket(state, frames, creator, 1, minutes, int(header.leaked), header.id)


def _calls(body: Iterable[str]) -> tuple[tuple[Frame, ...], Site | None]:
    """The frames and the creating call: pairs of a call and its place, until an empty line or the creator.

    What is no such pair ("...12 frames elided...", "goroutine running on other thread; stack unavailable") is passed
    over. Stacks of ancestors (GODEBUG=tracebackancestors) follow the creator or stand under their own heading.
    """
    frames: list[Frame] = []
    call = ""
    for line in body:
        if not line.strip() or line.startswith("[originating from "):
            break
        place = _place(line) if call else None
        if place is None:
            call = line.strip()
        elif call.startswith("created by "):
            return tuple(frames), Site(_creator(call), *place)
        else:
            frames.append(Frame(_function(call), *place))
            call = ""
    return tuple(frames), None


def _function(call: str) -> str:
    """``net/http.(*conn).serve`` of ``net/http.(*conn).serve(0xc0001, {0x7})``: no argument holds a parenthesis."""
    return call[: call.rindex("(")] if call.endswith(")") and "(" in call else call


def _creator(call: str) -> str:
    return call.removeprefix("created by ").partition(" in goroutine ")[0]


def _place(text: str) -> tuple[str, int] | None:
    """File and line of ``\\tC:/src/main.go:12 +0x1d fp=0xc0 sp=0xc1 pc=0x47``, or None when it is something else."""
    file, _, tail = text.strip().rpartition(":")
    line = _number(tail.partition(" ")[0])
    return (file, line) if file and line is not None else None


# --- debug=1 and goroutineleak: one record per stack, with a count ----------------------------------------------------


def _title(line: str) -> tuple[bool, int] | None:
    """Whether it is the leak profile, and the total, of ``goroutine profile: total 12``; None when it is no title."""
    name, found, total = line.partition(" profile: total ")
    number = _number(total.strip())
    if not found or name not in ("goroutine", "goroutineleak") or number is None:
        return None
    return name == "goroutineleak", number


def _records(lines: Iterable[str], leaked: bool) -> Iterator[Bucket]:
    """One bucket per record: ``12 @ 0x48cb6a 0x419c8e``, perhaps ``# labels: {...}``, then one ``#`` line per frame."""
    counted: tuple[int, list[str]] | None = None
    body: list[str] = []
    for line in lines:
        if line.startswith("#"):
            body.append(line[1:])
        elif (found := _count(line)) is not None:
            if counted:
                yield _record(*counted, body, leaked)
            counted, body = found, []
    if counted:
        yield _record(*counted, body, leaked)


def _count(line: str) -> tuple[int, list[str]] | None:
    number, found, addresses = line.partition(" @")
    count = _number(number)
    return (count, addresses.split()) if found and count is not None else None


def _record(count: int, addresses: list[str], body: Sequence[str], leaked: bool) -> Bucket:
    parts = [part for part in (line.split(None, 2) for line in body) if len(part) == 3 and part[0] != "labels:"]
    frames = tuple(
        Frame(name.rpartition("+0x")[0], *place) for _, name, where in parts if (place := _place(where)) is not None
    )
    hidden = _hidden(addresses, parts[0][0]) if parts else 0
    state = _wait(frames) or WAITS_BY_HIDDEN_FRAMES.get(hidden, "")
    return Bucket(state, frames, None, count, leaked=count if leaked else 0)


def _hidden(addresses: Sequence[str], first_shown: str) -> int:
    """How many frames stand before the first printed one, whose address is one less than its return address."""
    try:
        return addresses.index(hex(int(first_shown, 16) + 1))
    except ValueError:
        return 0


def _wait(frames: Sequence[Frame]) -> str:
    """The wait reason that the innermost functions give away, or ""."""
    for frame in frames[:WAIT_DEPTH]:
        if state := WAITS_BY_FUNCTION.get(frame.function):
            return state
    return "syscall" if frames and frames[0].function.startswith("syscall.") else ""


def _number(text: str) -> int | None:
    is_number = text.isascii() and text.isdecimal() and len(text) <= LONGEST_NUMBER
    return int(text) if is_number else None
