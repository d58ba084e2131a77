"""debug=2: one stack per goroutine, as ``/debug/pprof/goroutine?debug=2``, SIGQUIT and a panic print them.

The forms are those of ``runtime/traceback.go`` (``goroutineheader``, ``printcreatedby1``), Go 1.5 to 1.27.

Most goroutines of a big dump look like another one. So a goroutine is told by the bytes that such twins share: its
state, its calls without their arguments and its places (every other line: call, place, call, place), which costs a
split and a look into a dict; only what has not been seen before is read call by call. A stack of any other shape is
never remembered, and is read call by call each time: slower, but right.
"""

from array import array
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from sre_platform.diagnosis.domain import Site
from sre_platform.diagnosis.parsers.goroutine_dump import (
    LONGEST_NUMBER,
    SAMPLES,
    Bucket,
    Dump,
    Frame,
    Goroutine,
    number,
    place,
)
from sre_platform.diagnosis.parsers.goroutine_waits import wait_of

STATE_SUFFIXES = (" (durable)", " (scan)", " (leaked)")  # printed in the reverse order; " (nil chan)" is no suffix
LONGEST_SAMPLE = 64 << 10  # characters; a Go stack prints 100 frames at most, some 20 KB
MOST_BUCKETS = 20_000  # different stacks that are told apart; real dumps have a few hundred
MOST_SHAPES = 50_000  # keys that are remembered, some 1 KB each
MOST_SAMPLED = 16 << 20  # bytes of printed goroutines that are kept in all
HEAD = b"goroutine "
CREATED = "created by "
CREATED_BY = CREATED.encode()
ANCESTORS = "[originating from "
NEVER = 1 << 63  # larger than any goroutine's number and any wait


Shape = tuple[bytes, bytes, bytes, int]  # the state, the names, the places and how many calls are well-formed


class Stacks:
    """Counts goroutines by bucket as their text comes in. Memory grows with different stacks, not with goroutines."""

    def __init__(self) -> None:
        self._shapes: dict[Shape, tuple[_Tally, int]] = {}
        self._tallies: dict[Hashable, _Tally] = {}
        self._minutes: dict[bytes, int | None] = {b"": None}
        self._room = MOST_SAMPLED
        self.goroutines = 0

    def add(self, blocks: Iterable[bytes]) -> None:
        """Count the goroutines of ``blocks``: each the text between two empty lines. O(bytes)."""
        shapes, minutes = self._shapes, self._minutes
        for block in blocks:
            lines = block.split(b"\n")
            head = lines[0]
            state, _, notes = head.partition(b" [")[2].partition(b"]")[0].partition(b", ")
            shape = state, _names(lines[1::2]), b"\n".join(lines[2::2]), block.count(b")\n")
            known = shapes.get(shape)
            if known is None or (goroutine := _id(head)) is None:
                self._read(block, shape)
                continue
            tally, leaked = known
            tally.count += 1
            tally.leaked += leaked
            tally.ids.append(goroutine)
            if notes:
                tally.wait(minutes[notes] if notes in minutes else self._remember(notes))
            if len(tally.samples) < SAMPLES:
                self._sample(tally, _as_printed(goroutine, block.decode(errors="replace")))
            self.goroutines += 1

    def dump(self, truncated: bool) -> Dump:
        """What has been counted."""
        buckets = sorted((tally.bucket() for tally in self._tallies.values()), key=lambda bucket: -bucket.count)
        return Dump(self.goroutines, truncated, tuple(buckets))

    def _read(self, block: bytes, shape: Shape) -> None:
        """A block like none before: perhaps no goroutine, perhaps several that lost the empty line between them."""
        read = list(stacks(block.decode(errors="replace").split("\n")))
        for bucket in read:
            tally = self._tally(bucket)
            tally.add(bucket)
            for sample in bucket.samples:
                self._sample(tally, sample)
        self.goroutines += len(read)
        if len(read) == 1 and _is_regular(block.split(b"\n")) and len(self._shapes) < MOST_SHAPES:
            self._shapes[shape] = tally, read[0].leaked

    def _tally(self, bucket: Bucket) -> "_Tally":
        key: Hashable = bucket.key
        if key not in self._tallies and len(self._tallies) >= MOST_BUCKETS:
            key = bucket.state  # told apart by no more than that: there is nothing to be learned from such a dump
            bucket = replace(bucket, frames=(), created_by=None)
        return self._tallies.setdefault(key, _Tally(bucket))

    def _sample(self, tally: "_Tally", goroutine: Goroutine) -> None:
        if len(tally.samples) < SAMPLES and len(goroutine.text) <= self._room:
            tally.samples.append(goroutine)
            self._room -= len(goroutine.text)

    def _remember(self, notes: bytes) -> int | None:
        if len(self._minutes) >= MOST_SHAPES:
            self._minutes.clear()
        self._minutes[notes] = minutes = _minutes(notes.decode(errors="replace").split(", "))
        return minutes


class _Tally:
    """A bucket that is being counted."""

    __slots__ = ("count", "first", "ids", "leaked", "longest", "samples", "shortest")

    def __init__(self, first: Bucket) -> None:
        self.first = first
        self.count = 0
        self.leaked = 0
        self.shortest = NEVER
        self.longest = -1
        self.ids = array("q")  # 8 bytes each
        self.samples: list[Goroutine] = []

    def add(self, bucket: Bucket) -> None:
        """Count what was read call by call: a bucket of one."""
        self.count += bucket.count
        self.leaked += bucket.leaked
        self.ids.extend(bucket.ids)
        self.wait(bucket.minutes[0] if bucket.minutes else None)

    def wait(self, minutes: int | None) -> None:
        if minutes is not None:
            self.shortest = min(self.shortest, minutes)
            self.longest = max(self.longest, minutes)

    def bucket(self) -> Bucket:
        return replace(
            self.first,
            count=self.count,
            leaked=self.leaked,
            minutes=(self.shortest, self.longest) if self.longest >= 0 else None,
            sample_id=min(self.ids),
            samples=tuple(self.samples),
            ids=self.ids,
        )


def _names(calls: Sequence[bytes]) -> bytes:
    """The names of well-formed calls: without their arguments, which hold no parenthesis, and the creator's number."""
    if calls and calls[-1].startswith(CREATED_BY):
        *calls, creator = calls
        return b"\n".join([*(call.rpartition(b"(")[0] for call in calls), creator.partition(b" in goroutine ")[0]])
    return b"\n".join([call.rpartition(b"(")[0] for call in calls])


def _is_regular(lines: Sequence[bytes]) -> bool:
    """Whether its names and places are all there is to it: a header, then a call and its place, again and again."""
    calls = [call for call in lines[1::2] if not call.startswith(CREATED_BY)]
    return len(lines) % 2 == 1 and lines[0].endswith(b":") and all(call.endswith(b")") for call in calls)


def _id(head: bytes) -> int | None:
    """The goroutine's number of the header ``goroutine 18 gp=0xc000 m=nil [select]:``, or None."""
    if not head.startswith(HEAD) or not head.endswith(b":"):
        return None
    digits = head[len(HEAD) : head.find(b" ", len(HEAD))]
    return int(digits) if digits.isdigit() and len(digits) < LONGEST_NUMBER else None


# --- one goroutine, call by call --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Header:
    """``goroutine 18 gp=0xc000 m=nil [chan send (leaked), 5 minutes, locked to thread] {"k": v}:``"""

    id: int
    state: str
    leaked: bool
    minutes: int | None


def is_header(line: str) -> bool:
    """Whether a goroutine's stack begins here."""
    return _header(line) is not None


def _header(line: str) -> _Header | None:
    if not line.startswith("goroutine ") or not line.rstrip().endswith(":"):
        return None
    before, opened, rest = line.partition(" [")
    inside, closed, _ = rest.partition("]")  # no wait reason holds a bracket; labels may, but they come later
    id_ = number(before.removeprefix("goroutine ").partition(" ")[0])
    if id_ is None or id_ >= NEVER or not opened or not closed:
        return None
    state, *notes = inside.split(", ")
    bare, leaked = _bare(state)
    return _Header(id_, bare, leaked, _minutes(notes))


def _bare(state: str) -> tuple[str, bool]:
    """The wait reason without the notes behind it, and whether one of them was ``(leaked)``."""
    leaked = False
    for suffix in STATE_SUFFIXES:
        if state.endswith(suffix):
            state = state.removesuffix(suffix)
            leaked = leaked or suffix == " (leaked)"
    return state, leaked


def _minutes(notes: Iterable[str]) -> int | None:
    stamps = (number(note.removesuffix(" minutes")) for note in notes if note.endswith(" minutes"))
    return next(stamps, None)


def stacks(lines: Iterable[str]) -> Iterator[Bucket]:
    """One bucket of one per goroutine. What comes before the first header (a panic's message, a log) is passed over."""
    header: _Header | None = None
    body: list[str] = []
    for line in lines:
        if (found := _header(line)) is None:
            body.append(line)
            continue
        if header:
            yield _stack(header, body)
        header, body = found, [line]
    if header:
        yield _stack(header, body)


def _stack(header: _Header, body: Sequence[str]) -> Bucket:
    """``body`` begins with the header's own line."""
    frames, creator = _frames(body[1:])
    minutes = (header.minutes, header.minutes) if header.minutes is not None else None
    # Before Go 1.20 every lock, WaitGroup and Cond waited in plain "semacquire".
    state = (wait_of(frames) or header.state) if header.state == "semacquire" else header.state
    sample = _as_printed(header.id, "\n".join(body))
    return Bucket(state, frames, creator, 1, minutes, int(header.leaked), header.id, (sample,), (header.id,))


def _as_printed(goroutine: int, text: str) -> Goroutine:
    """``text`` is its whole print; the creator is named on the last line but one."""
    _, created, rest = text.rpartition("\ncreated by ")
    parent = rest.partition("\n")[0].rpartition(" in goroutine ")[2] if created else ""
    return Goroutine(goroutine, number(parent), text[:LONGEST_SAMPLE])


def _frames(body: Iterable[str]) -> tuple[tuple[Frame, ...], Site | None]:
    """The frames and the creating call: pairs of a call and its place, until an empty line or the creator.

    What is no such pair ("...12 frames elided...", "goroutine running on other thread; stack unavailable") is passed
    over. Stacks of ancestors (GODEBUG=tracebackancestors) follow the creator or stand under their own heading.
    """
    frames: list[Frame] = []
    call = ""
    for line in body:
        if not line.strip() or line.startswith(ANCESTORS):
            break
        where = place(line) if call else None
        if where is None:
            call = line.strip()
        elif call.startswith(CREATED):
            return tuple(frames), Site(_creator(call), *where)
        else:
            frames.append(Frame(function_of(call), *where))
            call = ""
    return tuple(frames), None


def function_of(call: str) -> str:
    """``net/http.(*conn).serve`` of ``net/http.(*conn).serve(0xc0001, {0x7})``: no argument holds a parenthesis."""
    return call[: call.rindex("(")] if call.endswith(")") and "(" in call else call


def _creator(call: str) -> str:
    return call.removeprefix(CREATED).partition(" in goroutine ")[0]
