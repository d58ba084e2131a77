"""The auditor: one who looks at the platform from outside of its workers, remembers what was wrong, and tells."""

import threading
from collections.abc import Callable
from contextlib import suppress

import structlog
from django.db import Error, connection

from sre_platform.engine import alarms
from sre_platform.engine.checks import Check, examine
from sre_platform.engine.heartbeats import Pulse
from sre_platform.engine.stuck import ALL
from sre_platform.kernel.clock import now

WRITTEN_WITHIN_S = 5.0
log = structlog.get_logger()


class Auditor:
    """``for_s`` is how long a check must be not well before it is told, ``every_s`` how often a round is made."""

    def __init__(self, for_s: float, every_s: float) -> None:
        self.watch, self.ways = alarms.Watch(for_s), alarms.ways()
        self.pulse = Pulse("auditor", every_s=every_s)
        self.writer: threading.Thread | None = None

    def round(self) -> tuple[list[Check], list[alarms.News]]:
        """Look at everything once and tell what is new, on every way, also what was not taken before. Never raises."""
        self._write(self.pulse.once)
        found = examine(ALL)
        news = self.watch.round(found, now())
        for way in self.ways:
            try:
                way.tell(news)
            except Exception:  # one way's fault is not the next one's, not even that of a closed standard error
                with suppress(OSError, ValueError):
                    log.exception("alarm_way_failed", way=way.name)
        self._write(lambda: alarms.keep(found, self.watch.raised()))
        return found, news

    def _write(self, write: Callable[[], None]) -> None:
        """In a thread that is left behind when the database hangs: nothing may keep the auditor from telling."""
        if self.writer and self.writer.is_alive():
            return
        self.writer = threading.Thread(target=_quietly, args=(write,), daemon=True)
        self.writer.start()
        self.writer.join(WRITTEN_WITHIN_S)


def _quietly(write: Callable[[], None]) -> None:
    try:
        write()
    except Error as error:
        log.debug("alarm_rows_not_written", reason=str(error))  # that it does not answer is an alarm of its own
    finally:
        connection.close()
