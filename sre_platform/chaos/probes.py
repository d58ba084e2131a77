"""What experiments look at: how users are, and what the platform has made of it. Times in seconds."""

from collections.abc import Callable
from datetime import datetime
from time import monotonic, sleep

from sre_platform.chaos.lab import from_environment
from sre_platform.clients import http, releases
from sre_platform.incidents.domain import ENDED
from sre_platform.incidents.models import Incident
from sre_platform.intake.models import Delivery
from sre_platform.intake.receive import SOURCES
from sre_platform.kernel.clock import now
from sre_platform.rollouts.models import Rollout
from sre_platform.rollouts.record import ask
from sre_platform.rollouts.walk import Wish
from sre_platform.tickets.models import Ticket

POLL_S = 0.25
USERS_REMEMBER_S = 60.0  # loadgen/journal.go keeps as much
STARTED: datetime = now()  # the runner imports this module before it touches anything


def users_are_well(
    success_rate: float = 0.99, p99_ms: float = 500, window_s: float = 3, patience_s: float = 15
) -> bool:
    """Whether users are served well enough, waiting up to ``patience_s`` for the window to be good."""
    return _wait(lambda: _well(success_rate, p99_ms, window_s), patience_s)


def users_were_well(success_rate: float = 0.99, least_s: float = 30) -> bool:
    """Whether so large a share of the users' requests since the experiment began was answered well.

    Waits until it began ``least_s`` seconds ago, so that the first second alone is not the whole; at most the last
    minute is looked at. A drill in which this is false has failed, whatever became of it afterwards.
    """
    _wait(lambda: _since_start_s() >= least_s, least_s)
    return _well(success_rate, float("inf"), min(_since_start_s(), USERS_REMEMBER_S))


def _since_start_s() -> float:
    return (now() - STARTED).total_seconds()


def _well(success_rate: float, p99_ms: float, window_s: float) -> bool:
    url = f"{from_environment().users_url}/report?window={window_s:g}s"
    report = http.request("GET", url).json()
    return report["requests"] > 0 and report["success_rate"] >= success_rate and report["p99_ms"] <= p99_ms


def settled(timeout_s: float = 60) -> bool:
    """Whether an incident was opened since the experiment began, and all such incidents ended and told their people."""
    return _wait(_all_ended, timeout_s)


def _all_ended() -> bool:
    incidents = Incident.objects.filter(opened_at__gte=STARTED)
    untold = Ticket.objects.filter(incident__in=incidents, actual=Ticket.State.NONE)
    return incidents.exists() and not incidents.exclude(state__in=ENDED).exists() and not untold.exists()


def alert_came_and_went(timeout_s: float = 60) -> bool:
    """Whether an alert and later its end were delivered since the experiment began, and wait to be digested."""
    return _wait(_came_and_went, timeout_s)


def _came_and_went() -> bool:
    waiting = Delivery.objects.filter(received_at__gte=STARTED, state=Delivery.State.PENDING).order_by("pk")
    last = {
        (alert.fingerprint, alert.starts_at): alert.status
        for delivery in waiting
        for alert in SOURCES.get(delivery.source).parse(bytes(delivery.body), {})
    }
    return bool(last) and set(last.values()) == {"resolved"}


def rollout_ended(timeout_s: float = 60) -> bool:
    """Whether a roll-out was started since the experiment began, and has ended."""
    return _wait(_rollout_ended, timeout_s)


def _rollout_ended() -> bool:
    rollouts = Rollout.objects.filter(started_at__gte=STARTED)
    return rollouts.exists() and not rollouts.filter(ended_at=None).exists()


def no_rollout_is_left(timeout_s: float = 30) -> bool:
    """Whether no roll-out is on its way; the one that is gets aborted."""
    for rollout_id in Rollout.objects.filter(ended_at=None).values_list("pk", flat=True):
        ask(rollout_id, Wish.ABORT, "the experiment")
    return _wait(lambda: not Rollout.objects.filter(ended_at=None).exists(), timeout_s)


def release_runs(service: str, release: str) -> bool:
    """Whether this release of a service is linked, and its process runs. A drill in which this is false has failed."""
    lab = from_environment()
    return releases.running(lab.link(service)) == release and lab.supervisor.process(service).running


def _wait(condition: Callable[[], bool], timeout_s: float) -> bool:
    deadline = monotonic() + timeout_s
    while not condition():
        if monotonic() > deadline:
            return False
        sleep(POLL_S)
    return True
