"""Storing webhooks: those that arrive while one transaction commits share the next one.

One thread writes, so that sixteen senders at once cost two commits and not sixteen, and each still has its answer only
after the commit that holds its row. The thread, its connection and its queue belong to one process and end with it:
what was not committed was not acknowledged either.
"""

import asyncio
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import Full, Queue
from time import monotonic

import structlog
from django.db import Error as DatabaseFailure
from django.db import connection

from sre_platform.intake.models import Delivery
from sre_platform.intake.receive import Arrived, backlog, receive_all
from sre_platform.kernel.errors import Unavailable

AT_ONCE, AT_ONCE_BYTES = 64, 8 * 1024 * 1024
WAITING = 512  # webhooks in the queue of one process: beyond it, senders are told to come back
BACKLOG_ASKED_S = 0.5
log = structlog.get_logger()


@dataclass(frozen=True)
class Waiting:
    """A webhook, and where to tell what became of it."""

    arrived: Arrived
    answer: "asyncio.Future[Delivery]"
    loop: asyncio.AbstractEventLoop

    def tell(self, result: Delivery | Exception) -> None:
        """Answer from any thread; somebody who no longer waits is not told."""
        try:
            self.loop.call_soon_threadsafe(self._settle, result)
        except RuntimeError:  # the loop is closed: the process ends
            return

    def _settle(self, result: Delivery | Exception) -> None:
        if self.answer.done():
            return
        if isinstance(result, Exception):
            self.answer.set_exception(result)
        else:
            self.answer.set_result(result)


def commit_for_good() -> None:
    """On SQLite, let this thread's commits survive a power cut too; PostgreSQL's do.

    Everybody else commits with ``synchronous=NORMAL``: what they lose then is done again from what was acknowledged.
    """
    if connection.vendor == "sqlite" and connection.connection is None:
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA synchronous=FULL")


class Writer:
    """``stored`` is called after every commit; ``most`` bounds what may wait to be digested."""

    def __init__(self, stored: Callable[[], None], most: int) -> None:
        self._stored, self._most = stored, most
        self._queue: Queue[Waiting | None] = Queue(WAITING)
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._backlog, self._asked = 0, -BACKLOG_ASKED_S

    async def store(self, arrived: Arrived) -> Delivery:
        """Store one webhook; returns its committed row. Raises Unavailable when there is too much of everything."""
        self._start()
        loop = asyncio.get_running_loop()
        waiting = Waiting(arrived, loop.create_future(), loop)
        try:
            self._queue.put_nowait(waiting)
        except Full:
            raise Unavailable("Too many webhooks at once.") from None
        return await waiting.answer

    def _start(self) -> None:
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="intake-writer", daemon=True)
                self._thread.start()

    def stop(self) -> None:
        """End the thread once it has written what waits, and close its connection."""
        if self._thread and self._thread.is_alive():
            self._queue.put(None)
            self._thread.join()

    def _run(self) -> None:
        while batch := self._next():
            self._write(batch)
        connection.close()

    def _next(self) -> Sequence[Waiting]:
        """All that waits, at least one, up to ``AT_ONCE`` and about ``AT_ONCE_BYTES``; nothing once it has to stop."""
        batch, size, item = [], 0, self._queue.get()
        while item is not None:
            batch.append(item)
            size += len(item.arrived.body)
            if len(batch) >= AT_ONCE or size >= AT_ONCE_BYTES or self._queue.empty():
                break
            item = self._queue.get()  # only this thread takes from it
        return batch

    def _write(self, batch: Sequence[Waiting]) -> None:
        results: Sequence[Delivery | Exception]
        try:
            commit_for_good()
            self._refuse_when_behind()
            results = rows = receive_all([item.arrived for item in batch])
            if any(row.state == Delivery.State.PENDING for row in rows):
                self._stored()
        except Unavailable as error:
            results = [error] * len(batch)
        except DatabaseFailure as error:
            log.warning("webhooks_not_stored", count=len(batch), reason=str(error))
            connection.close()  # the next batch begins with a fresh one
            results = [Unavailable("The database did not take it.")] * len(batch)
        except Exception as error:
            log.exception("webhooks_not_stored", count=len(batch))
            results = [error] * len(batch)
        for item, result in zip(batch, results, strict=True):
            item.tell(result)

    def _refuse_when_behind(self) -> None:
        if monotonic() - self._asked >= BACKLOG_ASKED_S:
            self._backlog, self._asked = backlog(self._most), monotonic()
        if self._backlog >= self._most:
            raise Unavailable(f"{self._most} webhooks wait to be digested already.")
