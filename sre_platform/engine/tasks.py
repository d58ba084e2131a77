"""The doorbells. Arguments are ids; a bell may ring twice or never, because the rows say what is due."""

import os
import socket
from datetime import timedelta
from functools import partial
from time import monotonic

import structlog
from celery import Task
from django.conf import settings
from django.db import transaction
from kombu.exceptions import OperationalError

from sre_platform.catalog.models import changes_since, topology
from sre_platform.celery import app
from sre_platform.diagnosis import baselines
from sre_platform.diagnosis.turns import DatabaseTurns
from sre_platform.engine import (
    digestion,
    heartbeats,
    line,
    reconcile,
    relapses,
    retention,
    rollout_telling,
    rollouts,
    tracing,
)
from sre_platform.incidents import record
from sre_platform.intake.receive import backlog
from sre_platform.kernel.clock import now
from sre_platform.kernel.errors import Unavailable
from sre_platform.rollouts import record as rollout_record
from sre_platform.tickets import desk

BATCH = 100  # of each kind that one sweep rings for
LOOK_AGAIN = timedelta(seconds=10)  # at alerts that are quiet
DIGEST_FOR_S = 10.0  # then the next worker takes over: far below the time limit of a task
LONGEST_TIMED_BELL_S = 5.0  # longer waits are the sweep's: a message that waits would be lost with its worker
log = structlog.get_logger()


@app.task
def digest() -> None:
    """Turn what is pending into alerts and incidents, for as long as there is something and time for it."""
    until = monotonic() + DIGEST_FOR_S
    while (digested := digestion.digest()).deliveries:
        tracing.received(digested.opened)
        for incident_id in digested.incidents:
            ring(advance, incident_id)
        if monotonic() > until:
            ring(digest)
            return


@app.task
def advance(incident_id: int) -> None:
    """Take an incident one stage on."""
    due_in_s = line.advance(incident_id, f"{socket.gethostname()}:{os.getpid()}")
    if due_in_s is None:
        ring_tickets()
    elif due_in_s <= LONGEST_TIMED_BELL_S:
        ring(advance, incident_id, in_s=due_in_s)


@app.task
def watch(incident_id: int) -> None:
    """Look again at an incident that was repaired."""
    if relapses.look(incident_id):
        ring(advance, incident_id)


@app.task
def deliver(ticket_id: int) -> None:
    """Bring a ticket to what is wanted."""
    began = now()
    if incident_id := desk.deliver(ticket_id):
        tracing.ticket(incident_id, ticket_id, began)


@app.task
def walk_rollout(rollout_id: int) -> None:
    """Walk a roll-out for some seconds."""
    due_in_s = rollouts.advance(rollout_id, f"{socket.gethostname()}:{os.getpid()}")
    if due_in_s is not None and due_in_s <= LONGEST_TIMED_BELL_S:
        ring(walk_rollout, rollout_id, in_s=due_in_s)
    ring_rollout_tickets()


@app.task
def tell_rollout(rollout_id: int) -> None:
    """Tell people of a roll-out."""
    rollout_telling.tell(rollout_id)


@app.task
def sweep() -> None:
    """Ring for everything that is due: what no bell rang for, or whose bell was lost, or whose worker died."""
    if backlog(1):
        ring(digest)
    for incident_id in digestion.reconsider(LOOK_AGAIN).incidents:
        ring(advance, incident_id)
    for incident_id in record.due(BATCH):
        ring(advance, incident_id)
    for rollout_id in rollout_record.due(BATCH):
        ring(walk_rollout, rollout_id)
    for incident_id in record.watched(BATCH):
        ring(watch, incident_id)
    ring_tickets()
    ring_rollout_tickets()
    heartbeats.beat("sweep")


@app.task
def reconcile_alerts() -> None:
    """Find what was lost on the way from the Alertmanagers; the sweep rings for what it mends."""
    reconcile.look(settings.SRE_ALERTMANAGER_URLS)


@app.task
def prune() -> None:
    """Delete what has become old, as much as there is time for."""
    retention.prune()


@app.task
def take_baselines() -> None:
    """Take the profiles of good days that are missing, while no incident is open."""
    baselines.take(topology(), changes_since, DatabaseTurns())


def ring_tickets() -> None:
    """Ring for the tickets that are due."""
    for ticket_id in desk.due(BATCH):
        ring(deliver, ticket_id)


def ring_rollout_tickets() -> None:
    """Ring for the roll-outs of which people have to be told."""
    for rollout_id in rollout_telling.due(BATCH):
        ring(tell_rollout, rollout_id)


def ring(task: Task, *row_id: int, in_s: float = 0.0) -> None:
    """Ring once the transaction has committed. A broker that is away costs time, never the row: the sweep will ring."""
    transaction.on_commit(partial(_ring, task, row_id, in_s))


def ring_digest() -> None:
    """Ring for a digester now: what there is has been committed."""
    _ring(digest, (), 0.0)


def _ring(task: Task, row_id: tuple[int, ...], in_s: float) -> None:
    try:
        task.apply_async(row_id, countdown=in_s or None)
    except OperationalError as error:
        log.warning("bell_not_rung", task=task.name, **about(task, *row_id), reason=str(error))


def about(task: Task, row_id: int | None = None) -> dict[str, int]:
    """The log field that says what a task is about: ``incident``, ``ticket`` or ``rollout``; none for the others."""
    fields = {
        advance.name: "incident",
        watch.name: "incident",
        deliver.name: "ticket",
        walk_rollout.name: "rollout",
    }
    field = fields.get(task.name)
    return {field: row_id} if field and row_id is not None else {}


def workers() -> int:
    """How many workers answer within a second. Raises Unavailable when the broker does not."""
    try:
        return len(app.control.ping(timeout=1.0))
    except OperationalError as error:
        raise Unavailable(f"The broker does not answer: {error}.") from error
