"""The values that every goroutine profile becomes, whatever its form was: goroutines that wait alike, in buckets."""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from sre_platform.diagnosis.domain import Site

LONGEST_NUMBER = 19  # digits of an int64: whatever is longer is no goroutine id, count or line
SAMPLES = 64  # goroutines of a bucket that are kept as they were printed, for their arguments and parents
CHAN_OPERATION = "chan operation"  # our own word: debug=1 does not tell a send from a receive


@dataclass(frozen=True, slots=True)
class Frame:
    """One call on a stack. ``file`` is as the binary names it, ``line`` counts from 1; there are no arguments."""

    function: str
    file: str
    line: int


@dataclass(frozen=True, slots=True)
class Goroutine:
    """One goroutine as the dump printed it (``text``). ``parent`` is the id of its creator, None before Go 1.21."""

    id: int
    parent: int | None
    text: str


@dataclass(frozen=True, slots=True)
class Bucket:
    """Goroutines that wait alike: the same state, the same frames (innermost first), the same creating line.

    ``state`` is the runtime's wait reason ("" when the profile does not tell), ``minutes`` the shortest and longest
    wait that the runtime stamped (not an age, often None), ``leaked`` how many of ``count`` the garbage collector
    proved unreachable, ``sample_id`` the lowest id, None in debug=1. ``ids`` are those of all its goroutines and
    ``samples`` at most SAMPLES of them as they were printed, in the order of the dump; only debug=2 has any.
    """

    state: str
    frames: tuple[Frame, ...]
    created_by: Site | None
    count: int = 1
    minutes: tuple[int, int] | None = None
    leaked: int = 0
    sample_id: int | None = None
    samples: tuple[Goroutine, ...] = field(default=(), compare=False, repr=False)
    ids: Sequence[int] = field(default=(), compare=False, repr=False)

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


def merged(one: Bucket, other: Bucket) -> Bucket:
    """One bucket of two that count as alike, with the key of the first."""
    waits = [*(one.minutes or ()), *(other.minutes or ())]
    return replace(
        one,
        count=one.count + other.count,
        leaked=one.leaked + other.leaked,
        minutes=(min(waits), max(waits)) if waits else None,
        sample_id=min((g for g in (one.sample_id, other.sample_id) if g is not None), default=None),
        samples=(one.samples + other.samples)[:SAMPLES],
        ids=(*one.ids, *other.ids),
    )


def grouped(parts: Iterable[Bucket]) -> tuple[Bucket, ...]:
    """The parts with those of one key merged, largest first."""
    groups: dict[Hashable, Bucket] = {}
    for part in parts:
        key = part.key
        known = groups.get(key)
        groups[key] = merged(known, part) if known else part
    return tuple(sorted(groups.values(), key=lambda bucket: -bucket.count))


def place(text: str) -> tuple[str, int] | None:
    """File and line of ``\\tC:/src/main.go:12 +0x1d fp=0xc0 sp=0xc1 pc=0x47``, or None when it is something else."""
    file, _, tail = text.strip().rpartition(":")
    line = number(tail.partition(" ")[0])
    return (file, line) if file and line is not None else None


def number(text: str) -> int | None:
    """The int that ``text`` is, or None: only ASCII digits, and not more of them than an int64 has."""
    is_number = text.isascii() and text.isdecimal() and len(text) <= LONGEST_NUMBER
    return int(text) if is_number else None
