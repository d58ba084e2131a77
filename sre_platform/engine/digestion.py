"""Deliveries become alerts, alerts become incidents: a batch in one transaction, wholly or not at all."""

from dataclasses import dataclass

from django.db import transaction

from sre_platform.catalog.models import dependencies
from sre_platform.incidents import correlate
from sre_platform.incidents.board import Placed
from sre_platform.intake import ledger
from sre_platform.intake.ledger import Entry, Read


@dataclass(frozen=True)
class Digested:
    """How many deliveries were digested, and the incidents that have something new to work on."""

    deliveries: int
    incidents: list[int]


def digest() -> Digested:
    """Digest the oldest pending deliveries. None of them when there are none, or while somebody else is at it.

    Whoever is at it reads again after its commit, so what was pending meanwhile is not forgotten.
    """
    batch = ledger.read_pending()
    if not batch:
        return Digested(0, [])
    with transaction.atomic():
        if not ledger.take_turn():
            return Digested(0, [])
        batch = ledger.dated(ledger.still_pending(batch))
        return Digested(len(batch), sorted(_digest(batch)) if batch else [])


def _digest(batch: list[Read]) -> set[int]:
    values = [value for item in batch for value in item.alerts]
    rows = ledger.known_alerts((value.fingerprint, value.starts_at) for value in values)
    began = min(item.delivery.received_at for item in batch)
    board = correlate.set_up(values, began, dependencies(), rows)
    placed = [[board.take(value, item.delivery.received_at) for value in item.alerts] for item in batch]
    arrivals = {
        (v.fingerprint, v.starts_at): item.delivery.received_at for item in reversed(batch) for v in item.alerts
    }
    fresh = {key: (value, arrivals[key]) for key, value in board.fresh.items()}
    ids = {key: row.pk for key, row in rows.items()} | ledger.write_alerts(fresh, board.ended)
    touched = correlate.write(board, ids)
    ledger.settle([(item, [_entry(p) for p in found]) for item, found in zip(batch, placed, strict=True)], ids)
    return touched


def _entry(placed: Placed) -> Entry:
    key = (placed.alert.fingerprint, placed.alert.starts_at)
    return Entry(key, placed.fate.value, placed.live.pk if placed.live else None, str(placed))
