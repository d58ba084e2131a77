"""Owners that are really killed: a forked process that works until it sends itself SIGKILL at a chosen instruction.

Nothing of it is cleaned up: no ``finally``, no ``with``, no open transaction is ended. The database is a file (or a
server), and the fakes at the other end of the wire are threads of the parent, which count what has reached them.
"""

import os
import random
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from django.db import connections

import sre_platform

ROOT = Path(sre_platform.__file__).parent
# Where a step is carried out. What waits for an answer inside the HTTP client is killed from the other end instead.
INSIDE = ("remediation/", "incidents/record.py", "clients/control.py", "clients/rotated.py", "clients/releases.py")
INSIDE += ("clients/supervisor.py",)
SEED = 5  # what lands must not depend on luck
Work = Callable[[], Any]


class _Instructions:
    """Counts lines or single bytecode instructions of the traced files; dies before number ``last`` is executed."""

    def __init__(self, last: int, *, opcodes: bool) -> None:
        self.count, self.last, self.opcodes = 0, last, opcodes
        self._known: dict[CodeType, bool] = {}

    def _traced(self, code: CodeType) -> bool:
        if code not in self._known:
            path = Path(code.co_filename)
            inside = path.is_relative_to(ROOT) and path.relative_to(ROOT).as_posix().startswith(INSIDE)
            self._known[code] = inside
        return self._known[code]

    def trace(self, frame: FrameType, event: str, _arg: Any) -> Any:
        if not self._traced(frame.f_code):
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = self.opcodes, not self.opcodes
        if event == ("opcode" if self.opcodes else "line"):
            self.count += 1
            if self.count == self.last:
                os.kill(os.getpid(), signal.SIGKILL)
        return self.trace


def _child(work: Work, report: int, steps: _Instructions) -> None:
    code = 1
    try:
        sys.settrace(steps.trace)
        work()
        sys.settrace(None)
        os.write(report, str(steps.count).encode())
        code = 0
    except BaseException:
        os.write(report, traceback.format_exc()[-3000:].encode())
    finally:
        os._exit(code)


def _run(work: Work, last: int, *, opcodes: bool, armed: Callable[[int], None] = lambda _pid: None) -> tuple[bool, str]:
    """Whether it was killed, and what it reported otherwise. ``armed`` is called with its pid before it begins."""
    connections.close_all()  # or parent and child would share one
    report, ends = os.pipe()
    begins, begin = os.pipe()
    pid = os.fork()
    if not pid:
        os.read(begins, 1)
        _child(work, ends, _Instructions(last, opcodes=opcodes))
    os.close(ends)
    armed(pid)
    os.write(begin, b".")
    said = b"".join(iter(lambda: os.read(report, 65536), b"")).decode()
    _, status = os.waitpid(pid, 0)
    for descriptor in (report, begins, begin):
        os.close(descriptor)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True, ""
    assert os.WEXITSTATUS(status) == 0, said
    return False, said


def instructions(work: Work, *, opcodes: bool) -> int:
    """How many there are from the beginning to the end: it is done once, in a process of its own."""
    killed, said = _run(work, 0, opcodes=opcodes)
    assert not killed
    return int(said)


def dies(work: Work, last: int, *, opcodes: bool) -> bool:
    """Do it in a process that is killed before its ``last``-th instruction; False when it came to its end before."""
    return _run(work, last, opcodes=opcodes)[0]


def dies_when(work: Work, armed: Callable[[Callable[[], None]], None]) -> bool:
    """Do it in a process that is killed when somebody else says so: ``armed`` is given what kills it."""
    return _run(work, 0, opcodes=False, armed=lambda pid: armed(lambda: os.kill(pid, signal.SIGKILL)))[0]


def places(total: int, most: int) -> Sequence[int]:
    """All places where it can die, or so many of them, the first and the last always: the same ones in every run."""
    if total <= most:
        return range(1, total + 1)
    drawn = random.Random(SEED).sample(range(2, total), most - 2)
    return sorted({1, *drawn, total})
