"""The last words of a process: a Go panic or fatal error, or a Python traceback, found in the end of its log.

Forms: ``runtime/panic.go`` (``printpanics``, ``fatalthrow``) and ``runtime/traceback.go`` of Go 1.5 to 1.27;
``traceback.TracebackException.format`` of Python 3.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from sre_platform.diagnosis.parsers.goroutine_dump import Frame, number
from sre_platform.diagnosis.parsers.goroutine_stacks import is_header, stacks

LONGEST_TEXT = 1 << 20  # characters; of a longer log the end is read
LONGEST_SAID = 300  # characters of the message that are kept
MOST_FRAMES = 200  # Go prints 100 of a stack, Python up to 1000 when told to; the innermost ones tell
MOST_BETWEEN = 40  # lines between a panic and the stack below it: panics in deferred calls, a long message, a signal
CRASHES = 50  # of one log; of more the last ones count

GO = ("panic: ", "fatal error: ")
PYTHON = "Traceback (most recent call last):"
CHAINED = ("During handling of the above exception", "The above exception was the direct cause")
_CALL = re.compile(r'  File "([^"]{1,1000})", line (\d{1,10})(?:, in (.{1,500}))?')


@dataclass(frozen=True)
class Crash:
    """One end of a process. ``said`` is its message, ``frames`` the stack that failed, innermost first.

    ``lines_after`` is how much of the log comes after it: a crash that was long ago is not why it ended now.
    """

    language: Literal["go", "python"]
    said: str
    frames: tuple[Frame, ...]
    lines_after: int = 0


def crashes(text: str) -> list[Crash]:
    """What the text shows, oldest first, CRASHES at most; a Python traceback may also be one that was only logged.

    Anything may stand before, between and after. A crash whose stack is cut off has the frames that are left, and one
    without any stack is none. O(characters).
    """
    lines = text[-LONGEST_TEXT:].split("\n")
    found: list[Crash] = []
    at = 0
    while at < len(lines):
        crash, after = _at(lines, at)
        if crash:
            crash = replace(crash, lines_after=len(lines) - after)
            found = [*(found[:-1] if found and _continues(lines, at) else found), crash][-CRASHES:]
        at = after
    return found


def _at(lines: Sequence[str], at: int) -> tuple[Crash | None, int]:
    """The crash that begins at this line, and the line after it."""
    if lines[at].startswith(GO):
        return _go(lines, at)
    if lines[at].rstrip() == PYTHON:
        return _python(lines, at)
    return None, at + 1


def _go(lines: Sequence[str], at: int) -> tuple[Crash | None, int]:
    said, last = lines[at], min(len(lines), at + MOST_BETWEEN)
    for line in range(at + 1, last):
        if is_header(lines[line]):
            body, after = _block(lines, line)
            bucket = next(stacks(body), None)
            frames = bucket.frames[:MOST_FRAMES] if bucket else ()
            return (Crash("go", _short(said), frames) if frames else None), after
        if lines[line].startswith("\tpanic: "):  # raised while that panic was on its way: this one ended it
            said = lines[line]
        elif lines[line].startswith((*GO, PYTHON)):
            return None, line
    return None, last


def _block(lines: Sequence[str], at: int) -> tuple[list[str], int]:
    """A header and the calls below it, each with its place; and the line after them, which may be another's."""
    end = at + 1
    while end < len(lines) and end - at <= 2 * MOST_FRAMES and (_is_place(lines, end) or _is_place(lines, end + 1)):
        end += 1
    return list(lines[at:end]), end


def _is_place(lines: Sequence[str], at: int) -> bool:
    return at < len(lines) and lines[at].startswith("\t") and not lines[at].startswith("\tpanic: ")


def _python(lines: Sequence[str], at: int) -> tuple[Crash | None, int]:
    calls: list[Frame] = []
    for line in range(at + 1, len(lines)):
        text = lines[line]
        if found := _CALL.match(text):
            calls = [*calls[-(MOST_FRAMES - 1) :], *_frame(found)]
        elif not text.startswith(" "):
            is_whole = bool(text.strip()) and text.rstrip() != PYTHON
            frames = tuple(reversed(calls))
            return (Crash("python", _short(text), frames) if is_whole and frames else None), line + is_whole
    return None, len(lines)


def _frame(found: re.Match[str]) -> Iterator[Frame]:
    file, line, function = found.groups()
    at = number(line)
    if at is not None:
        yield Frame((function or "").strip(), file, at)


def _continues(lines: Sequence[str], at: int) -> bool:
    """Whether the traceback that begins here says how the one before it went on."""
    before = [lines[line] for line in range(max(0, at - 3), at)]
    return any(line.startswith(CHAINED) for line in before)


def _short(said: str) -> str:
    return said.strip().removesuffix(" [recovered]")[:LONGEST_SAID]
