"""The doorbells. Arguments are ids; a bell may ring twice or never, because the rows say what is due."""

import os
import socket
from functools import partial

import structlog
from celery import Task
from django.conf import settings
from django.db import transaction
from kombu.exceptions import OperationalError

from sre_platform.celery import app
from sre_platform.engine import digestion, line, reconcile
from sre_platform.incidents import record
from sre_platform.intake.receive import pending
from sre_platform.kernel.errors import Unavailable
from sre_platform.tickets import desk

BATCH = 100  # of each kind that one sweep rings for
LONGEST_TIMED_BELL_S = 5.0  # longer waits are the sweep's: a message that waits would be lost with its worker
log = structlog.get_logger()


@app.task
def digest(delivery_id: int) -> None:
    """Turn a delivery into alerts and incidents."""
    for incident_id in digestion.digest(delivery_id):
        ring(advance, incident_id)


@app.task
def advance(incident_id: int) -> None:
    """Take an incident one stage on."""
    due_in_s = line.advance(incident_id, f"{socket.gethostname()}:{os.getpid()}")
    if due_in_s is None:
        ring_tickets()
    elif due_in_s <= LONGEST_TIMED_BELL_S:
        ring(advance, incident_id, due_in_s)


@app.task
def deliver(ticket_id: int) -> None:
    """Bring a ticket to what is wanted."""
    desk.deliver(ticket_id)


@app.task
def sweep() -> None:
    """Ring for everything that is due: what no bell rang for, or whose bell was lost, or whose worker died."""
    for delivery_id in pending(BATCH):
        ring(digest, delivery_id)
    for incident_id in record.due(BATCH):
        ring(advance, incident_id)
    ring_tickets()


@app.task
def reconcile_alerts() -> None:
    """Find what was lost on the way from the Alertmanagers; the sweep rings for what it mends."""
    reconcile.look(settings.SRE_ALERTMANAGER_URLS)


def ring_tickets() -> None:
    """Ring for the tickets that are due."""
    for ticket_id in desk.due(BATCH):
        ring(deliver, ticket_id)


def ring(task: Task, row_id: int, in_s: float = 0.0) -> None:
    """Ring once the transaction has committed. A broker that is away costs time, never the row: the sweep will ring."""
    transaction.on_commit(partial(_ring, task, row_id, in_s))


def _ring(task: Task, row_id: int, in_s: float) -> None:
    try:
        task.apply_async((row_id,), countdown=in_s or None)
    except OperationalError as error:
        log.warning("bell_not_rung", task=task.name, row=row_id, reason=str(error))


def workers() -> int:
    """How many workers answer within a second. Raises Unavailable when the broker does not."""
    try:
        return len(app.control.ping(timeout=1.0))
    except OperationalError as error:
        raise Unavailable(f"The broker does not answer: {error}.") from error
