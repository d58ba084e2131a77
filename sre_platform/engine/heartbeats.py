"""Heartbeats: every part says that it is alive, in a row of its own, so that anybody who reads the database can tell.

Crash rules: a row that is not renewed grows old, which is the news. Writing one never raises and never stops a part;
what cannot be written is logged once. The thread opens its connection for one write, and no process forks meanwhile,
so that no child inherits an open one.
"""

import os
import socket
import threading
from datetime import timedelta
from typing import Any

import structlog
from django.db import Error, connection

from sre_platform.engine.models import Heartbeat
from sre_platform.kernel.clock import now

EVERY_S = 5.0
KEPT = timedelta(days=1)
log = structlog.get_logger()
_writing = threading.Lock()
os.register_at_fork(before=_writing.acquire, after_in_parent=_writing.release, after_in_child=_writing.release)


def beat(kind: str, name: str = "", **details: Any) -> None:
    """Write that ``kind`` is alive now. Raises django.db.Error. A part that is new also removes rows a day old."""
    moment = now()
    _, is_new = Heartbeat.objects.update_or_create(
        name=name or kind, defaults={"kind": kind, "at": moment, "details": details}
    )
    if is_new:
        Heartbeat.objects.filter(at__lt=moment - KEPT).delete()


class Pulse:
    """A daemon thread that writes this process's heartbeat every few seconds until ``stop`` is set."""

    def __init__(self, kind: str, every_s: float = EVERY_S) -> None:
        self.kind, self.every_s = kind, every_s
        self.name = f"{kind}@{socket.gethostname()}:{os.getpid()}"
        self.since, self.well = now().isoformat(), True
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def start(self) -> "Pulse":
        self.thread.start()
        return self

    def _run(self) -> None:
        while True:
            self.once()
            if self.stop.wait(self.every_s):
                return

    def once(self) -> None:
        """One beat, on a connection of its own."""
        with _writing:
            try:
                beat(self.kind, self.name, since=self.since, every_s=self.every_s)
                self.well = True
            except (Error, OSError) as error:
                if self.well:
                    log.warning("heartbeat_not_written", name=self.name, reason=str(error))
                self.well = False
            finally:
                connection.close()


def start(kind: str) -> Pulse:
    """Begin to beat for this process."""
    return Pulse(kind).start()
