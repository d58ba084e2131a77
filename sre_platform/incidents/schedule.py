"""Recurring moments as RFC 5545 writes them (``FREQ=WEEKLY;BYDAY=SU``), found backwards from a given day. Pure.

python-dateutil walks from the first occurrence on, and through all years up to 9999 when a rule never comes true. Here
the cost depends on how far back one looks and on nothing else. ``tests/incidents/test_schedule.py`` compares both.
"""

import calendar
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import product
from typing import Any

from sre_platform.kernel.errors import Malformed

WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
LONGEST_TEXT, MOST_TIMES_A_DAY, LONGEST_INTERVAL = 500, 96, 1000
_A_DAY = timedelta(days=1)
_BY_DAY = re.compile(r"([+-]?\d{1,2})?(MO|TU|WE|TH|FR|SA|SU)")
_UNTIL = re.compile(r"(\d{4})(\d\d)(\d\d)(?:T(\d\d)(\d\d)(\d\d)(Z?))?")


@dataclass(frozen=True)
class Recurrence:
    """A rule, read. ``by_day`` holds (ordinal, weekday), ordinal 0 is every one; Monday is 0. Empty means: any.

    ``until`` is inclusive; aware, or naive in the window's own time zone.
    """

    freq: str
    interval: int = 1
    by_day: tuple[tuple[int, int], ...] = ()
    by_monthday: tuple[int, ...] = ()
    by_month: tuple[int, ...] = ()
    by_hour: tuple[int, ...] = ()
    by_minute: tuple[int, ...] = ()
    by_setpos: tuple[int, ...] = ()
    until: datetime | None = None
    week_start: int = 0


@lru_cache(maxsize=512)
def parse(text: str) -> Recurrence:
    """Read a rule. Raises Malformed with one sentence that says what is wrong."""
    if len(text) > LONGEST_TEXT:
        raise Malformed(f"A recurrence may have {LONGEST_TEXT} characters, this one has {len(text)}.")
    fields: dict[str, Any] = {}
    for part in text.upper().removeprefix("RRULE:").split(";"):
        name, equals, value = part.strip().partition("=")
        if not equals or name not in _PARTS or _PARTS[name][0] in fields:
            raise Malformed(_ADVICE.get(name) or f"{part[:80]!r} is no part of a recurrence; known are: {_KNOWN}.")
        key, read = _PARTS[name]
        fields[key] = read(name, value)
    return _checked(Recurrence(**{"freq": ""} | fields))


def _checked(rule: Recurrence) -> Recurrence:
    if rule.freq not in _PERIODS:
        raise Malformed(
            f"FREQ has to be one of {', '.join(_PERIODS)}; for several times a day give BYHOUR and BYMINUTE."
        )
    if max(len(rule.by_hour), 1) * max(len(rule.by_minute), 1) > MOST_TIMES_A_DAY:
        raise Malformed(f"BYHOUR and BYMINUTE give more than {MOST_TIMES_A_DAY} times a day.")
    wide = rule.freq in ("MONTHLY", "YEARLY")
    if not wide and (rule.by_setpos or any(ordinal for ordinal, _ in rule.by_day)):
        raise Malformed("BYSETPOS, and numbers in BYDAY, need FREQ=MONTHLY or FREQ=YEARLY.")
    if rule.freq == "WEEKLY" and rule.by_monthday:
        raise Malformed("BYMONTHDAY needs another FREQ than WEEKLY.")
    return rule


def newest_first(rule: Recurrence, first: datetime, at: datetime, back: timedelta) -> Iterator[datetime]:
    """The rule's moments between ``at - back`` and ``at``, perhaps some around, newest first, none before ``first``.

    All times are naive, on the wall of the rule's time zone; an aware ``until`` is the caller's to apply.
    """
    full = _with_defaults(rule, first)
    index_of, days_of = _PERIODS[rule.freq]
    begin, newest, oldest = index_of(first.date(), rule), index_of(at.date(), rule), index_of((at - back).date(), rule)
    for index in range(newest - (newest - begin) % rule.interval, max(begin, oldest) - 1, -rule.interval):
        days = [day for day in days_of(index, rule) if _matches(full, day)]
        moments = _picked(full, [datetime.combine(day, moment) for day in days for moment in _times(full, first)])
        yield from (moment for moment in reversed(moments) if moment >= first and _not_after(moment, rule.until))


def _with_defaults(rule: Recurrence, first: datetime) -> Recurrence:
    """What a rule leaves open is as in its first moment."""
    if rule.by_day or rule.by_monthday or rule.freq == "DAILY":
        return rule
    if rule.freq == "WEEKLY":
        return _replaced(rule, by_day=((0, first.weekday()),))
    months = rule.by_month or ((first.month,) if rule.freq == "YEARLY" else ())
    return _replaced(rule, by_monthday=(first.day,), by_month=months)


def _replaced(rule: Recurrence, **fields: Any) -> Recurrence:
    return Recurrence(**(vars(rule) | fields))


def _times(rule: Recurrence, first: datetime) -> list[time]:
    hours, minutes = rule.by_hour or (first.hour,), rule.by_minute or (first.minute,)
    return [time(hour, minute, first.second) for hour, minute in product(hours, minutes)]


def _picked(rule: Recurrence, moments: list[datetime]) -> list[datetime]:
    moments.sort()
    if not rule.by_setpos:
        return moments
    size = len(moments)
    places = {place - 1 if place > 0 else size + place for place in rule.by_setpos}
    return [moments[place] for place in sorted(places) if 0 <= place < size]


def _not_after(moment: datetime, until: datetime | None) -> bool:
    return until is None or until.tzinfo is not None or moment <= until


def _matches(rule: Recurrence, day: date) -> bool:
    if rule.by_month and day.month not in rule.by_month:
        return False
    length = calendar.monthrange(day.year, day.month)[1]
    if rule.by_monthday and day.day not in rule.by_monthday and day.day - length - 1 not in rule.by_monthday:
        return False
    return not rule.by_day or any(_is_nth(rule, day, length, *wanted) for wanted in rule.by_day)


def _is_nth(rule: Recurrence, day: date, length: int, ordinal: int, weekday: int) -> bool:
    """Whether ``day`` is the ``ordinal``-th such weekday of its month, or of its year (YEARLY without BYMONTH)."""
    if day.weekday() != weekday:
        return False
    place = day.day
    if rule.freq == "YEARLY" and not rule.by_month:
        place, length = day.timetuple().tm_yday, 365 + calendar.isleap(day.year)
    return ordinal in (0, (place - 1) // 7 + 1, -((length - place) // 7 + 1))


def _span(start: date, days: int) -> Iterator[date]:
    return (start + timedelta(days=n) for n in range(days))


def _week(day: date, rule: Recurrence) -> int:
    return (day.toordinal() - 1 - rule.week_start) // 7


def _days_of_month(index: int, _rule: Recurrence) -> Iterator[date]:
    year, month = divmod(index, 12)
    return _span(date(year, month + 1, 1), calendar.monthrange(year, month + 1)[1])


# For each FREQ: the number of the period that a day lies in, and the days of the period with a number.
_PERIODS: Mapping[str, tuple[Callable[[date, Recurrence], int], Callable[[int, Recurrence], Iterator[date]]]] = {
    "DAILY": (lambda day, _: day.toordinal(), lambda index, _: _span(date.fromordinal(index), 1)),
    "WEEKLY": (_week, lambda index, rule: _span(date.fromordinal(index * 7 + 1 + rule.week_start), 7)),
    "MONTHLY": (lambda day, _: day.year * 12 + day.month - 1, _days_of_month),
    "YEARLY": (lambda day, _: day.year, lambda year, _: _span(date(year, 1, 1), 365 + calendar.isleap(year))),
}


def _word(_name: str, value: str) -> str:
    return value


def _numbers(least: int, most: int, signed: bool = False) -> Callable[[str, str], tuple[int, ...]]:
    def read(name: str, value: str) -> tuple[int, ...]:
        items = value.split(",")
        if not all(re.fullmatch(r"[+-]?\d{1,4}", item) for item in items):
            raise Malformed(f"{name} needs whole numbers, not {value[:80]!r}.")
        numbers = tuple(sorted({int(item) for item in items}))
        if not all(least <= (abs(number) if signed else number) <= most for number in numbers):
            raise Malformed(f"{name} lies between {least} and {most}; {value[:80]} does not.")
        return numbers

    return read


def _interval(name: str, value: str) -> int:
    numbers = _numbers(1, LONGEST_INTERVAL)(name, value)
    if len(numbers) != 1:
        raise Malformed("INTERVAL is one number.")
    return numbers[0]


def _days(name: str, value: str) -> tuple[tuple[int, int], ...]:
    found = [_BY_DAY.fullmatch(item) for item in value.split(",")]
    days = [(int(match[1] or 0), WEEKDAYS.index(match[2])) for match in found if match]
    if len(days) < len(found) or any(match and match[1] and not int(match[1]) for match in found):
        raise Malformed(f"{name} needs weekdays such as MO, 1SU or -1FR, not {value[:80]!r}.")
    return tuple(sorted(set(days)))


def _weekday(name: str, value: str) -> int:
    if value not in WEEKDAYS:
        raise Malformed(f"{name} is one of {', '.join(WEEKDAYS)}, not {value[:80]!r}.")
    return WEEKDAYS.index(value)


def _until(name: str, value: str) -> datetime:
    """A day counts to its end."""
    match = _UNTIL.fullmatch(value)
    try:
        year, month, day, *clock = [int(part) for part in match.groups()[:6] if part is not None] if match else []
        hour, minute, second = clock or (0, 0, 0)
        moment = datetime(year, month, day, hour, minute, second)  # noqa: DTZ001 local to the window
    except ValueError:
        raise Malformed(f"{name} is written as 20271231 or 20271231T235959Z, not {value[:80]!r}.") from None
    if not clock:
        return moment + _A_DAY - timedelta(microseconds=1)
    return moment.replace(tzinfo=UTC) if match and match[7] else moment


_PARTS: Mapping[str, tuple[str, Callable[[str, str], Any]]] = {
    "FREQ": ("freq", _word),
    "INTERVAL": ("interval", _interval),
    "BYDAY": ("by_day", _days),
    "BYMONTHDAY": ("by_monthday", _numbers(1, 31, signed=True)),
    "BYMONTH": ("by_month", _numbers(1, 12)),
    "BYHOUR": ("by_hour", _numbers(0, 23)),
    "BYMINUTE": ("by_minute", _numbers(0, 59)),
    "BYSETPOS": ("by_setpos", _numbers(1, 366, signed=True)),
    "UNTIL": ("until", _until),
    "WKST": ("week_start", _weekday),
}
_KNOWN = ", ".join(_PARTS)
_ADVICE = {"COUNT": "COUNT would have to be counted from the beginning each time: give UNTIL instead."}
