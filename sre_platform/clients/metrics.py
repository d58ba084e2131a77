"""What the platform counts about itself. It stands in ``clients`` because every room that counts may import it.

Each process counts into files of its own in $PROMETHEUS_MULTIPROC_DIR, named by host and pid, and ``/metrics`` adds
them up; so nothing is lost when a process dies, and containers that all have pid 1 do not meet. Counting never raises.
"""

import os
import re
import socket
from collections.abc import Callable, Iterable
from functools import wraps
from pathlib import Path
from typing import ParamSpec

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest, values
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
SECONDS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 60.0)
P = ParamSpec("P")


def _who() -> str:
    """Host and pid; an underscore would end the name where the files are read."""
    return f"{re.sub('[^A-Za-z0-9.-]', '-', socket.gethostname())}-{os.getpid()}"


def _folder() -> str:
    """The folder to count in, made when missing; empty when it cannot be written: this process then counts alone."""
    folder = os.environ.get(FOLDER, "")
    try:
        if folder:
            Path(folder).mkdir(parents=True, exist_ok=True)
    except OSError:
        return ""
    return folder if folder and os.access(folder, os.W_OK) else ""


values.ValueClass = values.MultiProcessValue(_who) if _folder() else values.MutexValue
_own = CollectorRegistry()
_FATES = Counter("sre_alert_fates", "Alerts by what became of them.", ["fate"], registry=_own)
_DELIVERIES = Counter("sre_deliveries", "Webhooks by source and HTTP status.", ["source", "answer"], registry=_own)
_STAGES = Histogram("sre_stage_seconds", "From claim to settle.", ["stage", "outcome"], registry=_own, buckets=SECONDS)
_EXPIRED = Counter(
    "sre_lease_expired", "Stages taken over from a worker that did not finish.", ["state"], registry=_own
)
_ACTIONS = Counter(
    "sre_actions", "Repairs and their undoing by what became of them.", ["action", "outcome"], registry=_own
)
_RECONCILED = Counter("sre_reconciled", "Differences that reconciliation has found.", ["kind"], registry=_own)


def _never_raising(count: Callable[P, None]) -> Callable[P, None]:
    @wraps(count)
    def counted(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            count(*args, **kwargs)
        except (OSError, ValueError):  # the folder is gone or full: a number is lost, the work is not
            return

    return counted


@_never_raising
def fate(kind: str, times: int = 1) -> None:
    """An alert got its fate: ``kind`` is one of a fixed set of words."""
    _FATES.labels(kind).inc(times)


@_never_raising
def delivery(source: str, answer: int) -> None:
    """A webhook of ``source`` was answered with this HTTP status."""
    _DELIVERIES.labels(source, str(answer)).inc()


@_never_raising
def stage(name: str, outcome: str, seconds: float) -> None:
    """A stage ended: with an event, ``wait``, ``failed``, or ``lost``."""
    _STAGES.labels(name, outcome).observe(seconds)


@_never_raising
def lease_expired(state: str) -> None:
    """Somebody took over from an owner that did not finish in time."""
    _EXPIRED.labels(state).inc()


@_never_raising
def action(name: str, outcome: str) -> None:
    """An action ended: ``applied``, ``failed`` or ``unknown``."""
    _ACTIONS.labels(name, outcome).inc()


@_never_raising
def reconciled(kind: str, times: int) -> None:
    """Reconciliation found so many differences of this kind."""
    _RECONCILED.labels(kind).inc(times)


def exposition(more: Iterable[Collector] = ()) -> bytes:
    """What all processes counted, and what ``more`` collectors read just now, in Prometheus' text format."""
    registry = CollectorRegistry()
    if folder := _folder():
        MultiProcessCollector(registry, folder)
    else:
        registry.register(_Own())
    for collector in more:
        registry.register(collector)
    return generate_latest(registry)


class _Own(Collector):
    def collect(self):
        return _own.collect()
