"""A stage, watched: its log fields, how long it took with which outcome, and its span in the incident's trace."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic
from typing import Any, TypeVar

import structlog

from sre_platform.clients import metrics
from sre_platform.engine import tracing
from sre_platform.incidents.record import Lease
from sre_platform.kernel.clock import now
from sre_platform.kernel.errors import Lost

T = TypeVar("T")
log = structlog.get_logger()


@dataclass
class Seen:
    """What became of the stage: an event's name, ``wait``, ``failed``, ``lost``; ``error`` while nothing is known."""

    outcome: str = "error"

    def found(self, outcome: T) -> T:
        """Note what the stage returned, and hand it on."""
        event: Any = getattr(outcome, "event", None)
        self.outcome = event.value if event else "failed" if getattr(outcome, "failed", False) else "wait"
        return outcome

    def lost(self, lost: Lost) -> None:
        """Note that somebody else has the incident now."""
        self.outcome = "lost"
        log.info("lease_lost", reason=str(lost))


@contextmanager
def stage(lease: Lease, name: str) -> Iterator[Seen]:
    """Around one stage of a claimed incident."""
    began, began_at, seen = monotonic(), now(), Seen()
    with structlog.contextvars.bound_contextvars(incident=lease.incident_id, stage=name):
        try:
            yield seen
        finally:
            metrics.stage(name, seen.outcome, monotonic() - began)
            tracing.stage(lease.incident_id, name, seen.outcome, began_at)
