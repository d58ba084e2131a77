"""Webhook bytes become a durable Delivery; ``intake.ledger`` makes alerts of it later.

Crash rules: before the insert commits the sender has no answer and sends again; after it, the row is pending and the
sweep digests it.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import structlog

from sre_platform.intake.domain import Source
from sre_platform.intake.models import Delivery
from sre_platform.kernel.clock import now
from sre_platform.kernel.errors import Malformed
from sre_platform.kernel.registry import Registry
from sre_platform.kernel.storable import storable_text

SOURCES: Registry[Source] = Registry("sre_platform.intake.sources", "source")
REJECTED_BYTES_KEPT = 4096
log = structlog.get_logger()


@dataclass(frozen=True)
class Arrived:
    """A webhook as it came in, from a sender who may send it."""

    source: str
    body: bytes
    sender: str = ""
    mapping: Mapping[str, Any] = field(default_factory=dict)
    at: datetime = field(default_factory=now)


def receive(source: str, body: bytes) -> Delivery:
    """Store one webhook. Raises Malformed, having kept the beginning of the body with the reason, when it is none."""
    [row] = receive_all([Arrived(source, body)])
    if row.state == Delivery.State.REJECTED:
        raise Malformed(row.fate)
    return row


def receive_all(arrived: Sequence[Arrived]) -> list[Delivery]:
    """Store webhooks in one transaction; those that are none are kept in part, as rejected, with the reason."""
    return Delivery.objects.bulk_create([_row(item) for item in arrived])


def _row(item: Arrived) -> Delivery:
    state, fate, kept = Delivery.State.PENDING, "", item.body
    source = SOURCES.get(item.source)
    try:
        source.parse(item.body, item.mapping)
    except Malformed as error:
        state, fate, kept = Delivery.State.REJECTED, storable_text(str(error)), item.body[:REJECTED_BYTES_KEPT]
    except Exception:  # a source may raise anything: that is our fault, so the body is kept whole and not refused
        log.exception("source_failed", source=item.source)
    return Delivery(
        source=item.source,
        sender=item.sender,
        received_at=item.at,
        body=kept,
        size=len(item.body),
        digest=hashlib.sha256(item.body).hexdigest(),
        mapping=dict(item.mapping),
        state=state,
        fate=fate,
    )


def backlog(limit: int) -> int:
    """How many deliveries wait to be digested, counted up to ``limit``."""
    return Delivery.objects.filter(state=Delivery.State.PENDING).order_by("pk")[:limit].count()
