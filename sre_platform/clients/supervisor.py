"""supervisord's XML-RPC API, spoken through the one HTTP door.

Source: http://supervisord.org/api.html
"""

import xml.parsers.expat
import xmlrpc.client
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

from sre_platform.clients import http
from sre_platform.kernel.errors import Malformed, Rejected, Unavailable

NOT_RUNNING = 70  # supervisor.xmlrpc.Faults
ALREADY_STARTED = 60
NO_FILE = 20
FAILED_WITHIN = 500  # the HTTP status of an exception in supervisord
CALL_S = 15.0  # longer than supervisord waits for a process to stop before it kills it (stopwaitsecs: 10)
AT_REST = frozenset({"STOPPED", "EXITED", "FATAL"})  # supervisor does nothing about it until it is told to


class Failed(Unavailable):
    """supervisord answers, and says that it failed over the question itself."""


@dataclass(frozen=True)
class Process:
    """A supervised process. ``state`` is supervisor's word (RUNNING, EXITED, FATAL, ...); times are epoch seconds.

    ``complaint`` is why it could not be started, in supervisor's words; empty while it could.
    """

    name: str
    state: str
    pid: int
    started: int
    stopped: int
    seen: int
    exit_status: int
    complaint: str = ""

    @property
    def running(self) -> bool:
        return self.state == "RUNNING"

    @property
    def at_rest(self) -> bool:
        """Whether it is not there and nobody tries to start it: in BACKOFF its supervisor does, soon."""
        return self.state in AT_REST


class Supervisor:
    """One supervisord. ``url`` may carry user and password, as in ``http://user:password@127.0.0.1:9001``.

    ``question_s`` is how long it may take to say how a process is.
    """

    def __init__(self, url: str, question_s: float = CALL_S) -> None:
        self._question_s = question_s
        parts = urlsplit(url)
        self._auth = (unquote(parts.username), unquote(parts.password or "")) if parts.username else None
        self._url = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], "/RPC2", "", "")) if url else ""

    def process(self, name: str) -> Process:
        """The state of one process. Raises Rejected for an unknown name, Unavailable when nobody answers."""
        info = self._call("supervisor.getProcessInfo", name, within_s=self._question_s)
        try:
            return Process(
                name=name,
                state=info["statename"],
                pid=info["pid"],
                started=info["start"],
                stopped=info["stop"],
                seen=info["now"],
                exit_status=info["exitstatus"],
                complaint=info.get("spawnerr", ""),
            )
        except (AttributeError, KeyError, TypeError) as error:
            raise Malformed(f"The supervisor does not say how {name} is: {error!r}.") from error

    def processes(self) -> list[str]:
        """The names of all processes."""
        return [info["name"] for info in self._call("supervisor.getAllProcessInfo")]

    def start(self, name: str) -> None:
        """Start a process and wait until it has stayed up for its ``startsecs``; already running is no error."""
        self._call("supervisor.startProcess", name, True, tolerate=ALREADY_STARTED)

    def stop(self, name: str) -> None:
        """Stop a process and wait until it is gone; not running is no error."""
        self._call("supervisor.stopProcess", name, True, tolerate=NOT_RUNNING)

    def signal(self, name: str, signal: str) -> None:
        """Send a signal (``KILL``, ``STOP``, ...) to a running process."""
        self._call("supervisor.signalProcess", name, signal)

    def output_tail(self, name: str, max_bytes: int) -> str:
        """The end of what a process wrote to stderr, or to stdout when both go there or stderr is empty.

        Raises Rejected when the supervisor keeps neither.
        """
        said = self._tail("supervisor.readProcessStderrLog", name, max_bytes=max_bytes, tolerate=NO_FILE)
        return said or self._tail("supervisor.readProcessStdoutLog", name, max_bytes=max_bytes)

    def log_tail(self, max_bytes: int) -> str:
        """The end of supervisord's own log."""
        return self._tail("supervisor.readLog", max_bytes=max_bytes)

    def _tail(self, method: str, *args: str, max_bytes: int, tolerate: int | None = None, fewer: int = 3) -> str:
        """supervisord does not answer when the cut goes through a character: then it is tried some bytes later."""
        try:
            return str(self._call(method, *args, -max_bytes, 0, tolerate=tolerate) or "")
        except Failed:
            if not fewer:
                raise
            return self._tail(method, *args, max_bytes=max_bytes - 1, tolerate=tolerate, fewer=fewer - 1)

    def shutdown(self) -> None:
        """Stop everything and end supervisord itself."""
        self._call("supervisor.shutdown")

    def _call(self, method: str, *args: Any, tolerate: int | None = None, within_s: float = CALL_S) -> Any:
        if not self._url:
            raise Unavailable("No process supervisor is configured.", advice="Set SRE_SUPERVISOR_URL.")
        body = xmlrpc.client.dumps(args, method)
        answer = http.request(
            "POST",
            self._url,
            data=body,
            headers={"Content-Type": "text/xml"},
            auth=self._auth,
            deadline_s=within_s,
            timeout=(2.0, within_s),
            max_bytes=1024 * 1024,
            raise_for_status=False,
        )
        if answer.status == FAILED_WITHIN:
            raise Failed(f"The supervisor failed over {method}{args}: {answer.text[:200]}")
        http.check_status(answer, "POST")
        try:
            [value], _ = xmlrpc.client.loads(answer.text)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode == tolerate:
                return None
            raise Rejected(f"The supervisor refused {method}{args}: {fault.faultString}.") from fault
        except (xml.parsers.expat.ExpatError, xmlrpc.client.Error, ValueError) as error:
            raise Malformed(f"The supervisor's answer to {method} is not XML-RPC: {error}.") from error
        return value
