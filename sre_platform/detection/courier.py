"""Brings webhook bodies to the door, in a thread of its own, until they are taken."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from sre_platform.clients import http
from sre_platform.detection.delivery import Body
from sre_platform.kernel.errors import SreError
from sre_platform.kernel.sample import Labels

log = structlog.get_logger(__name__)

Send = Callable[[Body], None]


def webhook(url: str, token: str) -> Send:
    """What posts a body to ``url`` with a bearer token. It raises what ``http.request`` raises."""

    def send(body: Body) -> None:
        http.request("POST", url, json=body.json, headers={"Authorization": f"Bearer {token}"}, deadline_s=5.0)

    return send


@dataclass
class _Parcel:
    body: Body
    attempts: int = 0
    not_before: float = 0.0  # time.monotonic()


class Courier:
    """Delivers at most one body per group at a time, the newest; what is Unavailable is tried again with backoff.

    A refused body (4xx) is dropped and logged: the evaluator keeps what was not acknowledged and repeats it.
    """

    def __init__(self, send: Send, backoff_s: tuple[float, float] = (0.5, 15.0)) -> None:
        self._send = send
        self._first_s, self._longest_s = backoff_s
        self._pending: dict[Labels, _Parcel] = {}
        self._delivered: list[Body] = []
        self._changed = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="courier", daemon=True)

    def start(self) -> None:
        """Begin to deliver."""
        self._thread.start()

    def put(self, body: Body) -> None:
        """Deliver ``body``, instead of an older one of its group that is still waiting."""
        with self._changed:
            self._pending[body.group] = _Parcel(body)
            self._changed.notify()

    def delivered(self) -> list[Body]:
        """What was taken since the last time this was asked."""
        with self._changed:
            taken, self._delivered = self._delivered, []
        return taken

    def close(self, grace_s: float = 3.0) -> None:
        """Try what is pending once more, for at most ``grace_s`` seconds, and stop."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(grace_s)

    def _run(self) -> None:
        while (parcel := self._next()) is not None:
            self._deliver(parcel)

    def _next(self) -> _Parcel | None:
        """The parcel that is due first, waiting for it; None when there will be no more."""
        with self._changed:
            while True:
                first = min(self._pending.values(), key=lambda parcel: parcel.not_before, default=None)
                if first is None and self._closing:
                    return None
                due_in = None if first is None else first.not_before - time.monotonic()
                if first is not None and (self._closing or due_in is None or due_in <= 0):
                    return first
                self._changed.wait(due_in)

    def _deliver(self, parcel: _Parcel) -> None:
        with self._changed:
            last = self._closing  # one that was on its way before does not count as the try once more
        known = {"group": dict(parcel.body.group), "status": parcel.body.json["status"], "attempt": parcel.attempts + 1}
        try:
            self._send(parcel.body)
        except SreError as error:
            log.warning("delivery_failed", **known, error=str(error), permanent=error.permanent)
            self._settle(parcel, keep=not error.permanent and not last)
        else:
            log.info("delivered", **known)
            self._settle(parcel, keep=False, taken=True)

    def _settle(self, parcel: _Parcel, *, keep: bool, taken: bool = False) -> None:
        with self._changed:
            parcel.attempts += 1
            delay_s = min(self._longest_s, self._first_s * 2 ** min(parcel.attempts - 1, 16))
            parcel.not_before = time.monotonic() + delay_s
            if taken:
                self._delivered.append(parcel.body)
            # A newer body of the group may have come in meanwhile: that one stays.
            if self._pending.get(parcel.body.group) is parcel and not keep:
                del self._pending[parcel.body.group]
