"""supervisord's own log: when a process was found to have ended, and how.

Lines as ``supervisor/process.py`` (``finish``) and ``supervisor/loggers.py`` of supervisor 4.3 write them:
``2026-03-01 12:00:00,123 WARN exited: payments (exit status 2; not expected)``. What somebody stopped is no exit.
"""

import re
from dataclasses import dataclass
from datetime import datetime

LONGEST_TEXT = 1 << 20  # characters; of a longer log the end is read
_EXIT = re.compile(
    r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d),(\d{3}) [A-Z]{4,5} exited: (\S{1,200}) \(([^;()]{1,200}); (?:not )?expected\)",
    re.ASCII,
)


@dataclass(frozen=True)
class Exit:
    """One end of a process by itself. ``at`` is local time where supervisord runs, ``how`` its words."""

    at: datetime
    how: str


def exits(text: str, process: str) -> list[Exit]:
    """The ends of ``process`` (``name`` or ``group:name``), as they stand in the log; other lines say nothing."""
    name = process.rpartition(":")[2]
    lines = (_EXIT.match(line) for line in text[-LONGEST_TEXT:].split("\n"))
    found = ((_moment(*line.group(1, 2)), line.group(4)) for line in lines if line and line.group(3) == name)
    return [Exit(at, how) for at, how in found if at]


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
