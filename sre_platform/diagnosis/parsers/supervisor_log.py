"""supervisord's own log: when a process ended, how, and whether somebody had asked for it.

Lines as ``supervisor/process.py`` and ``supervisor/loggers.py`` of supervisor 4.3 write them, such as
``2026-03-01 12:00:00,123 WARN exited: payments (exit status 2; not expected)``.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

LONGEST_TEXT = 1 << 20  # characters; of a longer log the end is read
_LINE = re.compile(
    r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d),(\d{3}) [A-Z]{4,5} (\w{1,20}): '?([^\s']{1,200})'?(.{0,500})", re.ASCII
)
_HOW = re.compile(r" \(([^;()]{1,200})(?:; (?:not )?expected)?\)", re.ASCII)


@dataclass(frozen=True)
class End:
    """One end of a process. ``at`` is local time where supervisord runs, ``how`` its words.

    ``asked``: somebody had it stopped. ``ran``: it had been up for so long that supervisord called it RUNNING.
    """

    at: datetime
    how: str
    asked: bool
    ran: bool


def ends(text: str, process: str) -> list[End]:
    """The ends of ``process`` (``name`` or ``group:name``), as they stand in the log; other lines say nothing."""
    return list(_ends(text, process.rpartition(":")[2]))


def _ends(text: str, name: str) -> Iterator[End]:
    ran = False
    for line in text[-LONGEST_TEXT:].split("\n"):
        found = _LINE.match(line)
        if found is None or found.group(4) != name:
            continue
        verb, how = found.group(3), _HOW.match(found.group(5))
        if verb in ("spawned", "success"):
            ran = verb == "success"
        elif verb in ("exited", "stopped") and how and (at := _moment(*found.group(1, 2))):
            yield End(at, how.group(1), asked=verb == "stopped", ran=ran)
            ran = False


def about(text: str, process: str) -> str:
    """The whole lines of the log that name ``process``."""
    name = process.rpartition(":")[2]
    wanted = re.compile(rf"(?<![\w.-]){re.escape(name)}(?![\w.-])")
    return "".join(f"{line}\n" for line in text[-LONGEST_TEXT:].split("\n") if wanted.search(line))


def _moment(second: str, milliseconds: str) -> datetime | None:
    try:
        return datetime.fromisoformat(f"{second}.{milliseconds}")
    except ValueError:
        return None
