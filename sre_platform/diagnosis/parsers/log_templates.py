"""Log lines to templates: what a line says once its numbers, names and addresses are masked. Pure, linear, bounded.

Reads JSON objects a line (slog, zap, logrus, structlog), and plain lines with or without a time before them. The idea
is Drain's (He et al., ICWS 2017), without its tree: masking alone is linear, and needs no order of lines.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

MAX_LINE = 16_384  # characters of a line that are looked at
MAX_TEMPLATE, MAX_SAMPLE = 300, 500  # characters
MAX_TEMPLATES = 200  # lines of any further one are counted as OTHER
OTHER = "(other lines)"
MASK = "<*>"

_TIME_KEYS = ("time", "ts", "timestamp", "@timestamp", "t")
_MESSAGE_KEYS = ("msg", "message", "event", "error", "err")
_LEVEL_KEYS = ("level", "severity", "lvl", "log.level")
_LEVELS = {
    "trace": "debug",
    "debug": "debug",
    "info": "info",
    "information": "info",
    "notice": "info",
    "warn": "warning",
    "warning": "warning",
    "err": "error",
    "error": "error",
    "crit": "critical",
    "critical": "critical",
    "fatal": "critical",
    "panic": "critical",
    "dpanic": "critical",
}
_LEVEL = re.compile(rf"\b({'|'.join(_LEVELS)})\b", re.IGNORECASE)
# 2026-11-21T12:00:00.123Z, 2026-11-21 12:00:00,123 and 2026/11/21 12:00:00 (Go's log), within the first characters.
_TIME = re.compile(r"(\d{4})[-/](\d\d)[-/](\d\d)[T ](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9}))?(Z|[+-]\d\d:?\d\d)?")
_TIME_WITHIN = 64
# Whatever is quoted or holds a digit changes from line to line. No part can match in two ways, so this is linear.
_WORD = re.compile(r'"[^"\n]{0,200}"|\'[^\'\n]{0,200}\'|[\w.:/@%+-]+')
_DIGIT = re.compile(r"\d")
_SPACES = re.compile(r"\s+")


@dataclass(frozen=True)
class Line:
    """A line of a log: when it was written (None when it does not say), how bad it is, and what it says masked."""

    at: datetime | None
    level: str
    template: str
    text: str


@dataclass
class Template:
    """Lines that say the same: ``count`` since the change, ``count_before`` before it."""

    template: str
    level: str
    sample: str
    count: int = 0
    count_before: int = 0
    first_at: datetime | None = None

    def as_json(self) -> dict[str, Any]:
        """A JSON-safe dict of all fields; ``first_at`` in ISO 8601, None when no line says when it was written."""
        return {
            "template": self.template,
            "level": self.level,
            "count": self.count,
            "count_before": self.count_before,
            "first_at": self.first_at.isoformat() if self.first_at else None,
            "sample": self.sample,
        }


def templates(lines: Iterable[str], since: datetime, changed_at: datetime) -> tuple[int, list[Template]]:
    """How many lines were written since ``since``, and what they say, most frequent after the change first.

    A line without a time was written when the one before it was; lines before the first time are left out. Never
    raises on a line, whatever it holds. O(characters), MAX_TEMPLATES + 1 templates at most.
    """
    found: dict[tuple[str, str], Template] = {}
    total = 0
    for line in _timed(map(read, lines)):
        if line.at is None or line.at < since:
            continue
        total += 1
        _count(found, line, line.at < changed_at)
    order = sorted(found.values(), key=lambda t: (-t.count, -t.count_before, t.template, t.level))
    return total, order


def _timed(lines: Iterable[Line | None]) -> Iterator[Line]:
    at: datetime | None = None
    for line in lines:
        if line:
            at = line.at or at
            yield Line(at, line.level, line.template, line.text)


def _count(found: dict[tuple[str, str], Template], line: Line, before: bool) -> None:
    key = (line.template, line.level)
    if key not in found and len(found) >= MAX_TEMPLATES:
        key = (OTHER, "")
    known = found.setdefault(key, Template(key[0], key[1], line.text[:MAX_SAMPLE], first_at=line.at))
    known.count += not before
    known.count_before += before
    if line.at and known.first_at and line.at < known.first_at:
        known.first_at = line.at


def read(line: str) -> Line | None:
    """One line; None when it is empty."""
    text = line[:MAX_LINE].strip()
    if not text:
        return None
    fields = _fields(text)
    return _structured(fields, text) if fields else _plain(text)


def _fields(text: str) -> Mapping[str, Any] | None:
    if text[0] != "{":
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _structured(fields: Mapping[str, Any], text: str) -> Line:
    said = next((str(fields[key]) for key in _MESSAGE_KEYS if isinstance(fields.get(key), str)), "")
    level = next((str(fields[key]) for key in _LEVEL_KEYS if isinstance(fields.get(key), str)), "")
    at = next((at for key in _TIME_KEYS if key in fields and (at := _moment(fields[key]))), None)
    return Line(at, _LEVELS.get(level.lower(), ""), mask(said or " ".join(sorted(fields))), text)


def _moment(value: Any) -> datetime | None:
    """A time as loggers write it: ISO 8601, or seconds or milliseconds since 1970."""
    if isinstance(value, str):
        return _time(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return datetime.fromtimestamp(value / 1000 if value > 1e11 else value, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _plain(text: str) -> Line:
    match = _TIME.search(text[:_TIME_WITHIN])
    said = text[match.end() :] if match else text
    level = _LEVEL.search(said[:_TIME_WITHIN]) or (_LEVEL.search(text[: match.start()]) if match else None)
    return Line(_time(text[:_TIME_WITHIN]), _LEVELS[level[1].lower()] if level else "", mask(said), text)


def _time(text: str) -> datetime | None:
    match = _TIME.search(text)
    if not match:
        return None
    date, fraction, zone = match.groups()[:6], (match[7] or "0")[:6].ljust(6, "0"), (match[8] or "Z")
    offset = "+00:00" if zone == "Z" else zone
    year, month, day, hour, minute, second = date
    try:
        return datetime.fromisoformat(f"{year}-{month}-{day}T{hour}:{minute}:{second}.{fraction}{offset}")
    except ValueError:
        return None


def mask(text: str) -> str:
    """What a line says with ``<*>`` for whatever is quoted or holds a digit. Linear in its length."""
    return _SPACES.sub(" ", _WORD.sub(_masked, text)).strip()[:MAX_TEMPLATE]


def _masked(match: re.Match[str]) -> str:
    word = match[0]
    return MASK if word[0] in "\"'" or _DIGIT.search(word) else word
