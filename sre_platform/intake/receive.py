"""Webhook bytes become a durable Delivery, and later Alert rows.

Crash rules: before the insert commits the sender has no answer and sends again; after it, the row is pending and the
sweep digests it. Digesting is one transaction: all of a delivery's alerts and its fate, or nothing.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from sre_platform.intake.domain import AlertValue, Source
from sre_platform.intake.models import Alert, Delivery
from sre_platform.kernel.clock import now
from sre_platform.kernel.errors import Malformed
from sre_platform.kernel.registry import Registry
from sre_platform.kernel.storable import storable_text

SOURCES: Registry[Source] = Registry("sre_platform.intake.sources", "source")
REJECTED_BYTES_KEPT = 4096


def receive(source: str, body: bytes) -> Delivery:
    """Store a webhook. Raises Malformed, having kept the beginning of the body with the reason, when it is none."""
    try:
        SOURCES.get(source).parse(body)
    except Malformed as error:
        _store(source, body[:REJECTED_BYTES_KEPT], Delivery.State.REJECTED, str(error))
        raise
    return _store(source, body, Delivery.State.PENDING, "")


def _store(source: str, body: bytes, state: str, fate: str) -> Delivery:
    digest = hashlib.sha256(body).hexdigest()
    fields = {"state": state, "fate": storable_text(fate)}
    return Delivery.objects.create(source=source, received_at=now(), body=body, digest=digest, **fields)


def pending(limit: int) -> Sequence[int]:
    """The oldest deliveries that wait to be digested."""
    return list(
        Delivery.objects.filter(state=Delivery.State.PENDING).order_by("id").values_list("id", flat=True)[:limit]
    )


@dataclass(frozen=True)
class Digested:
    """An alert row and whether this delivery told something new about it."""

    alert: Alert
    is_new: bool
    just_resolved: bool


def claim(delivery_id: int) -> Delivery | None:
    """Take a pending delivery inside the caller's transaction; None when somebody else has digested it."""
    pending = Delivery.objects.filter(pk=delivery_id, state=Delivery.State.PENDING)
    if not pending.update(state=Delivery.State.DIGESTED):
        return None
    return Delivery.objects.get(pk=delivery_id)


def alerts_of(delivery: Delivery) -> list[Digested]:
    """Write the alerts of a claimed delivery. An alert that has resolved never fires again under the same start."""
    values = SOURCES.get(delivery.source).parse(bytes(delivery.body))
    return [_upsert(delivery, value) for value in values]


def _upsert(delivery: Delivery, value: AlertValue) -> Digested:
    resolved = value.status == "resolved"
    alert, is_new = Alert.objects.get_or_create(
        fingerprint=value.fingerprint,
        starts_at=value.starts_at,
        defaults={
            "name": value.labels.get("alertname", "unnamed")[:200],
            "service": value.labels.get("service", "")[:200],
            "labels": dict(value.labels),
            "annotations": dict(value.annotations),
            "generator_url": value.generator_url,
            "resolved": resolved,
            "ends_at": value.ends_at if resolved else None,
            "first_delivery": delivery,
        },
    )
    open_row = Alert.objects.filter(pk=alert.pk, resolved=False)
    just_resolved = resolved and not is_new and bool(open_row.update(resolved=True, ends_at=value.ends_at))
    return Digested(alert, is_new, just_resolved)
