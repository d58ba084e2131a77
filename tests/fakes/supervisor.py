"""supervisord as its clients see it: XML-RPC over HTTP with basic auth, processes with pids, and supervisord's faults.

Fault codes and their conditions: supervisor/xmlrpc.py and supervisor/rpcinterface.py of supervisor 4.3.
"""

import base64
import xmlrpc.client
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from threading import Event
from time import time
from typing import Any

from tests.fakes.wire import Answer, Call, serving

UNKNOWN_METHOD, BAD_NAME, BAD_SIGNAL, NO_FILE, SPAWN_ERROR, ALREADY_STARTED, NOT_RUNNING = 1, 10, 11, 20, 50, 60, 70
METHODS = (
    "getProcessInfo", "getAllProcessInfo", "startProcess", "stopProcess", "signalProcess", "readProcessStdoutLog",
    "readProcessStderrLog", "readLog",
)  # fmt: skip
RUNNING_STATES = ("RUNNING", "STARTING", "BACKOFF")
SIGNALS = ("KILL", "TERM", "HUP", "STOP", "CONT", "USR1")
USER, PASSWORD = "sre", "p@ss:word"
_pids = count(1000)


@dataclass
class Process:
    """A supervised process; ``pid`` is 0 unless it runs."""

    name: str
    state: str = "RUNNING"
    pid: int = field(default_factory=lambda: next(_pids))
    exit_status: int = 0
    can_start: bool = True
    since: int = field(default_factory=lambda: int(time()) - 300)
    stdout: bytes | None = None  # None: no such log is kept
    stderr: bytes | None = None
    complaint: str = ""

    def die(self, state: str = "EXITED", exit_status: int = 0) -> None:
        self.state, self.pid, self.exit_status, self.since = state, 0, exit_status, int(time())

    def spawn(self) -> None:
        self.state, self.pid, self.since = "RUNNING", next(_pids), int(time())

    def info(self) -> dict[str, Any]:
        up = self.state in RUNNING_STATES
        start, stop = (self.since, 0) if up else (self.since - 300, self.since)
        moment = {"start": start, "stop": stop, "now": int(time())}
        return {
            "name": self.name, "group": self.name, "state": 20, "statename": self.state, "pid": self.pid,
            "exitstatus": self.exit_status, "spawnerr": self.complaint, **moment,
        }  # fmt: skip


class FakeSupervisor:
    """The fake's inside: ``effects`` is what was done to processes, in order, as (verb, name).

    ``fail`` maps a method such as ``stopProcess`` to what goes wrong, once: ``hang`` (no answer before the test ends),
    ``refuse`` (FAILED), ``die_before`` and ``die_after`` (the answer is a 500 before or after the effect).
    ``watch`` is called right before each effect, in the server's thread.
    """

    def __init__(self, *names: str) -> None:
        self.processes = {name: Process(name) for name in names}
        self.effects: list[tuple[str, str]] = []
        self.fail: dict[str, str] = {}
        self.watch: Callable[[str, str], None] = lambda _verb, _name: None
        self.down = False
        self.log = b""
        self.ended = Event()
        self.url = ""

    def did(self, verb: str) -> int:
        return sum(done == verb for done, _ in self.effects)

    def _effect(self, verb: str, name: str, do: Callable[[], None]) -> bool:
        self.watch(verb, name)
        do()
        self.effects.append((verb, name))
        return True

    def _process(self, name: str) -> Process:
        if name not in self.processes:
            raise xmlrpc.client.Fault(BAD_NAME, f"BAD_NAME: {name}")
        return self.processes[name]

    def getProcessInfo(self, name: str) -> dict[str, Any]:  # noqa: N802
        return self._process(name).info()

    def getAllProcessInfo(self) -> list[dict[str, Any]]:  # noqa: N802
        return [process.info() for process in self.processes.values()]

    def startProcess(self, name: str, wait: bool) -> bool:  # noqa: N802
        process = self._process(name)
        if process.state in RUNNING_STATES:
            raise xmlrpc.client.Fault(ALREADY_STARTED, f"ALREADY_STARTED: {name}")
        if not process.can_start:
            process.die("FATAL", 1)
            raise xmlrpc.client.Fault(SPAWN_ERROR, f"SPAWN_ERROR: {name}")
        return self._effect("start", name, process.spawn)

    def stopProcess(self, name: str, wait: bool) -> bool:  # noqa: N802
        process = self._process(name)
        if process.state not in RUNNING_STATES:
            raise xmlrpc.client.Fault(NOT_RUNNING, f"NOT_RUNNING: {name}")
        return self._effect("stop", name, lambda: process.die("STOPPED"))

    def signalProcess(self, name: str, signal: str) -> bool:  # noqa: N802
        process = self._process(name)
        if signal not in SIGNALS:
            raise xmlrpc.client.Fault(BAD_SIGNAL, f"BAD_SIGNAL: {signal}")
        if process.state not in RUNNING_STATES:
            raise xmlrpc.client.Fault(NOT_RUNNING, f"NOT_RUNNING: {name}")
        died = (lambda: process.die("EXITED", -1)) if signal == "KILL" else lambda: None
        return self._effect(f"signal {signal}", name, died)

    def readProcessStdoutLog(self, name: str, offset: int, length: int) -> str:  # noqa: N802
        return _end(self._process(name).stdout, offset, length, name)

    def readProcessStderrLog(self, name: str, offset: int, length: int) -> str:  # noqa: N802
        return _end(self._process(name).stderr, offset, length, name)

    def readLog(self, offset: int, length: int) -> str:  # noqa: N802
        return _end(self.log, offset, length, "supervisord")

    def answer(self, call: Call) -> Answer:
        wanted = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if call.headers.get("authorization") != wanted:
            return Answer(401, b"unauthorized")
        if self.down:
            return Answer(503, b"shutting down")
        args, method = xmlrpc.client.loads(call.body.decode())
        name = str(method).removeprefix("supervisor.")
        failure = self.fail.pop(name, "")
        if failure == "hang":
            self.ended.wait(30)
        if failure in ("hang", "die_before"):
            return Answer(500, b"died before")
        try:
            if failure == "refuse":
                raise xmlrpc.client.Fault(30, "FAILED")
            done = self._call(name, args)
        except xmlrpc.client.Fault as fault:
            done = fault
        except UnicodeDecodeError:  # supervisord does not answer when the cut goes through a character
            return Answer(500, b"decoding")
        if failure == "die_after":
            return Answer(500, b"died after")
        result = done if isinstance(done, xmlrpc.client.Fault) else (done,)
        return Answer(200, xmlrpc.client.dumps(result, methodresponse=True).encode(), {"Content-Type": "text/xml"})

    def _call(self, name: str, args: tuple[Any, ...]) -> Any:
        if name not in METHODS:
            raise xmlrpc.client.Fault(UNKNOWN_METHOD, "UNKNOWN_METHOD")
        return getattr(self, name)(*args)


def _end(log: bytes | None, offset: int, length: int, name: str) -> str:
    """As supervisor.options.readFile and as_string do it, for an offset from the end."""
    assert offset < 0 == length
    if log is None:
        raise xmlrpc.client.Fault(NO_FILE, f"NO_FILE: {name}")
    return log[offset:].decode()


@contextmanager
def supervising(*names: str) -> Iterator[FakeSupervisor]:
    """A supervisord with these processes running; its ``url`` carries user and password."""
    fake = FakeSupervisor(*names)
    with serving(fake.answer) as wire:
        fake.url = f"http://{USER}:p%40ss%3Aword@{wire.address}"
        try:
            yield fake
        finally:
            fake.ended.set()
