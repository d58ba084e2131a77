"""The doorbell of the intake: rung at once when it was quiet, and at most every so often while much comes in."""

import threading
from time import sleep

from sre_platform.engine import tasks

REST_S = 0.02


class Bell:
    """Rings for a digester from a thread of its own, so that a broker that is away holds up nobody at the door."""

    def __init__(self) -> None:
        self._wanted = threading.Event()
        self._thread: threading.Thread | None = None

    def ring(self) -> None:
        """There is something to digest."""
        self._wanted.set()
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._run, name="doorbell", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while self._wanted.wait():
            self._wanted.clear()
            tasks.ring_digest()
            sleep(REST_S)
