"""Why an alert is kept quiet: silences, maintenance windows, inhibition rules. Pure; each answer is a sentence.

Matchers mean what they mean to Alertmanager. In doubt an alert is loud: what cannot be judged does not match.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, Literal, Protocol, get_args
from zoneinfo import ZoneInfo

from sre_platform.incidents import schedule
from sre_platform.kernel.errors import Malformed
from sre_platform.kernel.re2 import compile_re2

Labels = Mapping[str, str]
Op = Literal["=", "!=", "=~", "!~"]
MOST_MATCHERS = 50
LONGEST_VALUE = 1024  # characters of a label that a regular expression looks at; a longer one matches none
LONGEST_ONCE_S, LONGEST_REPEATED_S = 366 * 86400.0, 31 * 86400.0
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_TEXT = re.compile(r"\s*([^\s=!~]*)\s*(=~|!~|!=|=)\s*(.*?)\s*", re.DOTALL)
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_ESCAPED = {"n": "\n", '"': '"', "\\": "\\"}
_AROUND_DST = timedelta(hours=3)  # no zone's clocks are turned by more


@dataclass(frozen=True)
class Matcher:
    """One condition on a label; a label that an alert lacks is the empty text. Raises Malformed."""

    name: str
    op: Op
    value: str

    def __post_init__(self) -> None:
        if not _LABEL.fullmatch(self.name):
            raise Malformed(
                f"{self.name[:80]!r} is not a label name: letters, digits and _, not starting with a digit."
            )
        if self.op not in get_args(Op):
            raise Malformed(f"{self.op!r} is not one of {' '.join(get_args(Op))}.")
        if self.is_regex:
            compile_re2(self.value)

    @property
    def is_regex(self) -> bool:
        return self.op in ("=~", "!~")

    @property
    def is_equal(self) -> bool:
        return self.op in ("=", "=~")

    def matches(self, labels: Labels) -> bool:
        """Whether the alert with these labels meets the condition."""
        return self._test(labels.get(self.name, ""))

    @cached_property
    def _test(self) -> Callable[[str], bool]:
        """Made once: thousands of alerts a second ask."""
        wanted, equal = self.value, self.is_equal
        if not self.is_regex:
            return wanted.__eq__ if equal else wanted.__ne__
        fits = compile_re2(wanted).fullmatch
        return lambda value: len(value) <= LONGEST_VALUE and (fits(value) is not None) == equal

    def as_json(self) -> dict[str, Any]:
        """As API v2 of Alertmanager writes it."""
        return {"name": self.name, "value": self.value, "isRegex": self.is_regex, "isEqual": self.is_equal}

    def __str__(self) -> str:
        escaped = self.value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
        return f'{self.name}{self.op}"{escaped}"'


def parse_matcher(given: Any) -> Matcher:
    """A matcher from text (``severity!="page"``, quotes may be left out) or from API v2's JSON. Raises Malformed."""
    if isinstance(given, str):
        return _from_text(given)
    if not isinstance(given, Mapping):
        raise Malformed('A matcher is a text such as alertname="Foo".')
    name, value = given.get("name"), given.get("value")
    flags = given.get("isRegex"), given.get("isEqual", True)
    if not isinstance(name, str) or not isinstance(value, str) or not all(isinstance(flag, bool) for flag in flags):
        raise Malformed("A matcher has a name, a value, isRegex and isEqual.")
    ops: Mapping[Any, Op] = {(False, True): "=", (False, False): "!=", (True, True): "=~", (True, False): "!~"}
    return Matcher(name, ops[flags], value)


def _from_text(text: str) -> Matcher:
    match = _TEXT.fullmatch(text)
    if not match:
        raise Malformed(f'{text[:80]!r} is not a matcher such as alertname="Foo"; the signs are = != =~ !~.')
    name, op, value = match.groups()
    if quoted := _QUOTED.fullmatch(value):
        value = re.sub(r"\\(.)", lambda m: _ESCAPED.get(m[1], m[0]), quoted[1], flags=re.DOTALL)
    elif value.startswith('"') or value.endswith('"'):
        raise Malformed(f"{text[:80]!r} has a quotation mark too few.")
    return Matcher(name, op, value)  # type: ignore[arg-type]  # the expression lets only these four through


def parse_matchers(given: Any) -> tuple[Matcher, ...]:
    """A list of matchers that not every alert meets. Raises Malformed."""
    if not isinstance(given, (list, tuple)) or not 0 < len(given) <= MOST_MATCHERS:
        raise Malformed(f'Matchers are a list of one to {MOST_MATCHERS} texts, such as ["alertname=\\"Foo\\""].')
    matchers = tuple(parse_matcher(one) for one in given)
    _check_narrow(matchers)
    return matchers


def _check_narrow(matchers: Sequence[Matcher]) -> None:
    """As Alertmanager: what an alert without any label meets, every alert may meet."""
    if matches(matchers, {}):
        raise Malformed("At least one matcher has to ask for something that an alert without labels has not.")


def matches(matchers: Iterable[Matcher], labels: Labels) -> bool:
    """Whether all of them hold."""
    for matcher in matchers:  # noqa: SIM110 half the time of all()
        if not matcher.matches(labels):
            return False
    return True


@dataclass(frozen=True)
class Silence:
    """From ``starts_at`` until ``ends_at`` (aware, not included) alerts that match are quiet. Raises Malformed."""

    id: str
    matchers: tuple[Matcher, ...]
    starts_at: datetime
    ends_at: datetime
    comment: str = ""
    by: str = ""

    def __post_init__(self) -> None:
        _check_narrow(self.matchers)
        if self.ends_at <= self.starts_at:
            raise Malformed("A silence has to end after it starts.")

    def why(self, labels: Labels, at: datetime) -> str:
        if not self.starts_at <= at < self.ends_at or not matches(self.matchers, labels):
            return ""
        said = f": {self.comment}" if self.comment else ""
        return f"silence {self.id} by {self.by or 'somebody'} until {shown(self.ends_at, at)}{said}"


@dataclass(frozen=True)
class MaintenanceWindow:
    """For ``duration_s`` seconds after each start alerts that match are quiet. Raises Malformed.

    ``first_start`` is aware. ``rrule`` is RFC 5545 text, empty for once; its times are on the wall of ``timezone``, so
    02:00 stays 02:00 when the clocks are turned. A time that the wall leaves out counts as before the turn.
    """

    name: str
    matchers: tuple[Matcher, ...]
    first_start: datetime
    duration_s: float
    rrule: str = ""
    timezone: str = "UTC"

    def __post_init__(self) -> None:
        _check_narrow(self.matchers)
        check_times(self)

    def why(self, labels: Labels, at: datetime) -> str:
        if not matches(self.matchers, labels) or (end := active(self, at)) is None:
            return ""
        return f"maintenance window {self.name} until {shown(end, at)}"


class Recurring(Protocol):
    """Planned times, as ``MaintenanceWindow`` describes them: whatever else has these four can be asked too."""

    @property
    def first_start(self) -> datetime: ...
    @property
    def duration_s(self) -> float: ...
    @property
    def rrule(self) -> str: ...
    @property
    def timezone(self) -> str: ...


def check_times(window: Recurring) -> None:
    """Raises Malformed unless ``active`` can answer about it."""
    if window.first_start.tzinfo is None:
        raise Malformed("The first start needs a UTC offset, such as 2027-01-03T02:00:00+01:00.")
    if not 1970 <= window.first_start.year < 9000:
        raise Malformed("The first start lies between the years 1970 and 9000.")
    longest = LONGEST_REPEATED_S if window.rrule else LONGEST_ONCE_S
    if not 0 < window.duration_s <= longest:
        raise Malformed(f"A duration lies between 0 and {longest:.0f} seconds, {window.duration_s} does not.")
    zone(window.timezone)
    if window.rrule:
        schedule.parse(window.rrule)


def zone(name: str) -> ZoneInfo:
    """The time zone. Raises Malformed."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise Malformed(f"{name[:80]!r} is not a time zone such as Europe/Berlin.") from None


def active(window: Recurring, at: datetime) -> datetime | None:
    """When the occurrence that ``at`` lies in ends; None when it lies in none. Looks back a duration, no further."""
    length = timedelta(seconds=window.duration_s)
    if not window.rrule:
        return _within(window.first_start, at, length)
    rule, place = schedule.parse(window.rrule), zone(window.timezone)
    wall, first = (moment.astimezone(place).replace(tzinfo=None) for moment in (at, window.first_start))
    for moment in schedule.newest_first(rule, first, wall, length + _AROUND_DST):
        start = moment.replace(tzinfo=place).astimezone(UTC)
        past_until = rule.until and rule.until.tzinfo and start > rule.until
        if not past_until and (end := _within(start, at, length)):
            return end
    return None


def _within(start: datetime, at: datetime, length: timedelta) -> datetime | None:
    return start + length if start <= at < start + length else None


@dataclass(frozen=True)
class InhibitionRule:
    """While an alert fires that matches ``source``, those that match ``target`` are quiet. Raises Malformed.

    Both have to agree in the labels ``equal``; a label that both lack is equal. An alert that matches both sides is not
    inhibited by another that does, nor by itself.
    """

    name: str
    source: tuple[Matcher, ...]
    target: tuple[Matcher, ...]
    equal: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for matchers in (self.source, self.target):
            _check_narrow(matchers)
        if wrong := [name for name in self.equal if not _LABEL.fullmatch(name)]:
            raise Malformed(f"{wrong[0][:80]!r} is not a label name.")

    def why(self, labels: Labels, firing: Callable[["InhibitionRule"], Iterable[Labels]]) -> str:
        """Empty, or why. ``firing`` is asked only when the alert is a target; it may give more than matches."""
        if not matches(self.target, labels):
            return ""
        both_sides = matches(self.source, labels)
        for other in firing(self):
            if self._inhibits(other, labels, both_sides):
                same = ", ".join(f"{name}={labels.get(name, '')}" for name in self.equal)
                said = f"inhibited by {other.get('alertname', 'an alert')} (rule {self.name})"
                return f"{said}, same {same}" if same else said
        return ""

    def _inhibits(self, other: Labels, labels: Labels, both_sides: bool) -> bool:
        if not matches(self.source, other) or (both_sides and matches(self.target, other)):
            return False
        return all(other.get(name, "") == labels.get(name, "") for name in self.equal)


@dataclass(frozen=True)
class Quiet:
    """Everything that may keep an alert quiet."""

    silences: tuple[Silence, ...] = ()
    windows: tuple[MaintenanceWindow, ...] = ()
    inhibitions: tuple[InhibitionRule, ...] = ()

    def narrowed(self, at: datetime) -> "Quiet":
        """Only what is in force at ``at``: ask once for many alerts, and each of them costs less."""
        silences = tuple(one for one in self.silences if one.starts_at <= at < one.ends_at)
        return Quiet(silences, tuple(one for one in self.windows if active(one, at)), self.inhibitions)


def why_quiet(labels: Labels, at: datetime, rules: Quiet, firing: Callable[[InhibitionRule], Iterable[Labels]]) -> str:
    """The reason why the alert with these labels is quiet at ``at`` (aware), or the empty text.

    ``firing`` gives the labels of alerts that fire, at least those that match the rule's source.
    """
    for silence in rules.silences:
        if reason := silence.why(labels, at):
            return reason
    for window in rules.windows:
        if reason := window.why(labels, at):
            return reason
    for rule in rules.inhibitions:
        if reason := rule.why(labels, firing):
            return reason
    return ""


def shown(end: datetime, at: datetime) -> str:
    """A moment for people who read at another: the day only when it is far away."""
    form = "%H:%M UTC" if end - at < timedelta(days=1) else "%Y-%m-%d %H:%M UTC"
    return end.astimezone(UTC).strftime(form)
