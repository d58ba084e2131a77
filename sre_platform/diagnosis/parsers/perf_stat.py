"""Reads what ``perf stat -x,`` prints: one counter a line, with -I also a time, with -A or --per-* also a place.

The fields are those of "CSV FORMAT" in perf-stat(1): [time,] [place, [CPUs,]] value, unit, event, [variance,] run
time, percentage, [metric, unit of metric]. Nothing is quoted: an event such as ``cpu/event=0x3c,umask=0/`` holds the
separator, and under a locale with a decimal comma so does every decimal but the time.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from sre_platform.diagnosis.parsers.numbers import decimal, whole
from sre_platform.kernel.errors import Malformed

TEXT_LIMIT = 8 << 20  # characters: 100,000 counters
LINE_LIMIT = 2048  # characters of a line that are looked at
FIELD_LIMIT = 40  # fields of a line that are looked at
MOST_METRICS = 16  # of one counter; the topdown events have eight
MOST_BEFORE = 4  # fields before the value: a time, a place, a number of CPUs, and a place with its own separator
NOT_SEEN = {"<not counted>": "not counted", "<not supported>": "not supported"}


@dataclass(frozen=True, slots=True)
class Counter:
    """One counter at one place, over one interval.

    ``value`` is in ``unit`` ("" for a count), scaled up by perf when the counter ran only ``running_share`` (0..1) of
    the time; None when there is none, and ``problem`` says which: "not counted" or "not supported". ``at_s`` is the
    end of the interval (-I) in seconds, ``place`` a CPU, core, die, socket, node or thread as perf names it.
    ``metrics`` are perf's own sums, by their unit.
    """

    event: str
    value: float | None
    unit: str = ""
    problem: str = ""
    running_share: float = 1.0
    at_s: float | None = None
    place: str = ""
    metrics: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class Counters:
    """All counters in the order they were printed, and how many lines could not be understood."""

    counters: tuple[Counter, ...]
    unread: int = 0

    def total(self, *events: str) -> float | None:
        """The sum over all places and intervals of the first of ``events`` that was counted anywhere, else None.

        Modifiers (``:u``) and the two kinds of core of a hybrid CPU (``cpu_core/cycles/``) are one event.
        """
        for event in events:
            values = [c.value for c in self.counters if c.value is not None and bare(c.event) == event]
            if values:
                return sum(values)
        return None

    def ratio(self, above: Sequence[str], below: Sequence[str]) -> float | None:
        """``total(*above) / total(*below)``, None when one is missing or the second is 0."""
        top, bottom = self.total(*above), self.total(*below)
        return top / bottom if top is not None and bottom else None

    def running_share(self, event: str) -> float:
        """The smallest share (0..1) of the time that ``event`` was really counted; 1 when nothing is known."""
        return min((c.running_share for c in self.counters if bare(c.event) == event), default=1.0)


def bare(event: str) -> str:
    """``cycles`` of ``cycles:u``, ``cycles:ukhHG``, ``cpu_core/cycles/`` and ``cpu_atom/cycles/u``."""
    for unit in ("cpu_core/", "cpu_atom/", "cpu/"):
        if event.startswith(unit):
            event = event.removeprefix(unit).partition("/")[0]
    name, found, modifiers = event.rpartition(":")
    return name if found and modifiers.isalpha() and len(modifiers) <= 8 and "/" not in event else event


def parse(text: str, separator: str = ",") -> Counters:
    """The counters in ``text``.

    Raises Malformed when the text is longer than TEXT_LIMIT, or holds lines and no counter.
    """
    if len(text) > TEXT_LIMIT:
        raise Malformed(f"This perf output has {len(text)} characters, more than {TEXT_LIMIT}.")
    found: list[Counter] = []
    unread = 0
    for line in _lines(text):
        fields = [field.strip() for field in line.split(separator, FIELD_LIMIT)]
        counter = _counter(fields)
        if counter:
            found.append(counter)
        elif found and _is_metric_only(fields) and len(found[-1].metrics) < MOST_METRICS:
            found[-1] = replace(found[-1], metrics=(*found[-1].metrics, *_metric(fields)))
        else:
            unread += 1
    if unread and not found:
        raise Malformed(f"This is not the output of perf stat -x, it begins with {text.strip()[:40]!r}.")
    return Counters(tuple(found), unread)


def _lines(text: str) -> Iterator[str]:
    """The lines that hold something, without comments ("# started on ...")."""
    shown = (line[:LINE_LIMIT].strip() for line in text.split("\n"))
    return (line for line in shown if line and not line.startswith("#"))


def _counter(fields: Sequence[str]) -> Counter | None:
    """The counter of one line: the first place where value, unit, event and, behind it, run time and share fit."""
    for at in range(min(MOST_BEFORE + 1, len(fields) - 4)):
        problem, value = NOT_SEEN.get(fields[at], ""), decimal(fields[at])
        event = fields[at + 2]
        if (not problem and value is None) or not event[:1].isalpha() or fields[at + 1][:1].isdecimal():
            continue
        ends = (end for end in range(at + 3, len(fields) - 1) if _are_times(fields[end : end + 2]))
        if (end := next(ends, None)) is not None:
            return _read(fields, at, end, problem)
    return None


def _are_times(pair: Sequence[str]) -> bool:
    """A run time in ns and a percentage."""
    share = decimal(pair[1])
    return whole(pair[0]) is not None and share is not None and 0 <= share <= 101


def _read(fields: Sequence[str], at: int, end: int, problem: str) -> Counter:
    has_comma = "." not in fields[end + 1]  # perf prints "%.2f" there: a locale with a decimal comma has split it
    decimals = fields[end + 2] if has_comma and len(fields) > end + 2 else ""
    running = decimal(f"{fields[end + 1]}.{decimals}" if decimals else fields[end + 1])
    before = list(fields[:at])
    unit, value = fields[at + 1], fields[at]
    is_split = value.isdecimal() and bool(before) and whole(before[-1]) is not None
    if has_comma and unit and is_split:  # what has a unit is printed with decimals
        value = f"{before.pop()}.{value}"
    rest = list(fields[end + 2 :])
    if has_comma:
        rest = _joined(rest[1:])
    event = ",".join(_without_variance(fields[at + 2 : end]))
    at_s, place = _prefix(before)
    share = min(1.0, (running or 0.0) / 100)
    return Counter(event, None if problem else decimal(value), unit, problem, share, at_s, place, _metric(rest))


def _without_variance(fields: Sequence[str]) -> Sequence[str]:
    """The parts of the event's name without the "7.96%" (or "7", "96%") that -r puts behind it."""
    if not fields[-1].endswith("%"):
        return fields
    return fields[:-2] if len(fields) > 2 and "." not in fields[-1] and fields[-2].isdecimal() else fields[:-1]


def _prefix(before: Sequence[str]) -> tuple[float | None, str]:
    """The time, which is never localised, and the place."""
    at_s = decimal(before[0]) if before and "." in before[0] else None
    places = [field for field in before[1 if at_s is not None else 0 :] if field[:1].isalpha()]
    return at_s, places[0] if places else ""


def _joined(rest: list[str]) -> list[str]:
    """``["0", "308", "CPUs utilized"]`` as ``["0.308", "CPUs utilized"]``."""
    is_split = len(rest) >= 3 and whole(rest[0]) is not None and rest[1].isdecimal()
    return [f"{rest[0]}.{rest[1]}", *rest[2:]] if is_split else rest


def _is_metric_only(fields: Sequence[str]) -> bool:
    """A line that adds one more of perf's own sums to the counter above it: value, unit, event, ... are empty."""
    return fields[:-2].count("") >= 3


def _metric(fields: Iterable[str]) -> tuple[tuple[str, float], ...]:
    """Perf's own sum by its unit, from the last two fields that hold something."""
    filled = [field for field in fields if field]
    value = decimal(filled[-2]) if len(filled) >= 2 else None
    return ((filled[-1], value),) if value is not None else ()
