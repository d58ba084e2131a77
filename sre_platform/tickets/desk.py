"""The ticket desk: file what has to be told, and bring each system to what is wanted there.

Crash rules: filing is a row in the transaction that ends the incident. Delivering repeats calls that are idempotent by
key, so dying between a call and its note costs one repeated call and never a second ticket.
"""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import structlog
from django.conf import settings

from sre_platform.incidents.record import append
from sre_platform.kernel.clock import now
from sre_platform.kernel.errors import SreError
from sre_platform.kernel.registry import Registry
from sre_platform.tickets.domain import Draft, TicketSystem, compose
from sre_platform.tickets.models import Ticket

SYSTEMS: Registry[TicketSystem] = Registry("sre_platform.tickets.systems", "ticket system")
RETRY_S = (5, 15, 60, 300)  # seconds until the next try; the last one repeats
CLAIM_S = 60
log = structlog.get_logger()


def file(incident_id: int, facts: Mapping[str, Any], labels: Sequence[str], done: bool) -> None:
    """Want a ticket about the incident at every configured system: open, or opened and closed when ``done``."""
    for system in settings.SRE_TICKET_SYSTEMS:
        ticket, is_new = Ticket.objects.get_or_create(
            system=system,
            key=f"sre-incident-{incident_id}",
            defaults={
                "incident_id": incident_id,
                "title": f"[{facts['state']}] {facts['title']}"[:300],
                "body": compose(facts),
                "labels": list(labels),
                "due_at": now(),
            },
        )
        if done or not is_new:
            wanted = Ticket.State.CLOSED if done else Ticket.State.OPEN
            closing = f"The incident is {facts['state']}. {facts['reason']}"
            Ticket.objects.filter(pk=ticket.pk).update(wanted=wanted, closing=closing, due_at=now())


def due(limit: int) -> list[int]:
    """Tickets that are not yet as wanted."""
    return list(Ticket.objects.filter(due_at__lte=now()).order_by("due_at").values_list("pk", flat=True)[:limit])


def deliver(ticket_id: int) -> int | None:
    """Bring one ticket to what is wanted; what fails is tried again later, and says why on the incident's page.

    Returns the incident that the ticket is about, or None when it was not due.
    """
    claimed = Ticket.objects.filter(pk=ticket_id, due_at__lte=now())
    if not claimed.update(due_at=now() + timedelta(seconds=CLAIM_S)):
        return None
    ticket = Ticket.objects.get(pk=ticket_id)
    with structlog.contextvars.bound_contextvars(incident=ticket.incident_id, ticket=ticket.pk):
        _deliver(ticket)
    return ticket.incident_id


def _deliver(ticket: Ticket) -> None:
    try:
        _bring(ticket, SYSTEMS.get(ticket.system))
    except SreError as error:
        _try_later(ticket, error)
        return
    settled = Ticket.objects.filter(pk=ticket.pk, wanted=ticket.wanted, closing=ticket.closing)
    settled.update(due_at=None, trouble="")


def _bring(ticket: Ticket, system: TicketSystem) -> None:
    if ticket.actual == Ticket.State.NONE:
        draft = Draft(ticket.key, ticket.title, ticket.body, ticket.labels)
        reference, url = system.open(draft)
        _note(ticket, actual=Ticket.State.OPEN, reference=reference, url=url)
        append(ticket.incident_id, "ticket_opened", f"Ticket {reference} at {ticket.system}: {url}", _facts(ticket))
    if ticket.closing:
        system.comment(ticket.reference, _comment_key(ticket), ticket.closing)
    if ticket.wanted == Ticket.State.OPEN and ticket.actual == Ticket.State.CLOSED:
        system.reopen(ticket.reference)
        _note(ticket, actual=Ticket.State.OPEN)
    if ticket.wanted == Ticket.State.CLOSED and ticket.actual == Ticket.State.OPEN:
        system.close(ticket.reference)
        _note(ticket, actual=Ticket.State.CLOSED)


def _comment_key(ticket: Ticket) -> str:
    """The same text is the same comment; an incident that is escalated after a second approval says something new."""
    return f"{ticket.key}-{ticket.wanted}-{hashlib.sha256(ticket.closing.encode()).hexdigest()[:12]}"


def _note(ticket: Ticket, **values: str) -> None:
    Ticket.objects.filter(pk=ticket.pk).update(**values)
    for name, value in values.items():
        setattr(ticket, name, value)


def _facts(ticket: Ticket) -> dict[str, str]:
    return {"system": ticket.system, "reference": ticket.reference, "url": ticket.url}


def _try_later(ticket: Ticket, error: SreError) -> None:
    wait_s = RETRY_S[min(ticket.attempts, len(RETRY_S) - 1)]
    log.warning("ticket_not_delivered", system=ticket.system, reason=str(error), retry_s=wait_s)
    rows = Ticket.objects.filter(pk=ticket.pk)
    rows.update(due_at=now() + timedelta(seconds=wait_s), attempts=ticket.attempts + 1, trouble=str(error))
