"""Deliveries become alerts, alerts become incidents: a batch in one transaction, wholly or not at all."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

import structlog
from django.db import InterfaceError, OperationalError, transaction

from sre_platform.catalog.models import dependencies
from sre_platform.clients import metrics
from sre_platform.incidents import correlate, quieting
from sre_platform.incidents.board import Board, Key, Placed
from sre_platform.intake import ledger
from sre_platform.intake.ledger import Entry, Read
from sre_platform.intake.models import Alert
from sre_platform.kernel.clock import now

log = structlog.get_logger()


@dataclass(frozen=True)
class Digested:
    """How many deliveries were digested, the incidents that have something new to work on, and which are new."""

    deliveries: int = 0
    incidents: Sequence[int] = ()
    opened: Sequence[int] = ()


def digest() -> Digested:
    """Digest the oldest pending deliveries. None of them when there are none, or while somebody else is at it.

    Whoever is at it reads again after its commit, so what was pending meanwhile is not forgotten. When a batch fails,
    its oldest delivery is tried alone, and put aside if it is the reason: one poisonous webhook must not hold up all.
    """
    try:
        return _digest_some(ledger.read_pending())
    except (OperationalError, InterfaceError):  # the database is away or busy: nobody's fault, so it is tried again
        raise
    except Exception:  # a bug, and whose? each delivery is tried alone, so that one cannot hold up the others
        log.exception("batch_not_digested")
        return _digest_one()


def _digest_one() -> Digested:
    batch = ledger.read_pending(most=1)
    try:
        return _digest_some(batch)
    except (OperationalError, InterfaceError):
        raise
    except Exception as error:  # it is this one: kept and put aside, and the doctor tells of it
        log.exception("delivery_put_aside", delivery=batch[0].delivery.pk)
        ledger.put_aside(batch[0].delivery, f"{type(error).__name__}: {error}")
        return Digested(1)


def _digest_some(batch: Sequence[Read]) -> Digested:
    if not batch:
        return Digested()
    with transaction.atomic():
        if not ledger.take_turn():
            return Digested()
        batch = ledger.dated(ledger.still_pending(batch))
        return _digest(batch) if batch else Digested()


def _digest(batch: Sequence[Read]) -> Digested:
    values = [value for item in batch for value in item.alerts]
    rows = ledger.known_alerts((value.fingerprint, value.starts_at) for value in values)
    began = min(item.delivery.received_at for item in batch)
    board = correlate.set_up(values, began, dependencies(), rows, quieting.judge(began, values))
    placed = [[board.take(value, item.delivery.received_at) for value in item.alerts] for item in batch]
    arrived = {(v.fingerprint, v.starts_at): item.delivery for item in reversed(batch) for v in item.alerts}
    ids = _ids(rows) | ledger.write_alerts(
        {key: (value, arrived[key]) for key, value in board.fresh.items()}, board.ended, board.quieted
    )
    digested = _write(board, ids, len(batch))
    ledger.settle([(item, [_entry(p) for p in found]) for item, found in zip(batch, placed, strict=True)], ids)
    transaction.on_commit(partial(_count, Counter(item.fate.value for found in placed for item in found)))
    return digested


def _count(fates: Mapping[str, int]) -> None:
    for fate, times in fates.items():
        metrics.fate(fate, times)


def _ids(rows: Mapping[Key, Alert]) -> dict[Key, int]:
    return {key: row.pk for key, row in rows.items()}


def _write(board: Board, ids: Mapping[Key, int], deliveries: int) -> Digested:
    touched = correlate.write(board, ids)
    return Digested(deliveries, sorted(touched), sorted(live.pk for live in board.opened))


@transaction.atomic
def reconsider(older_than: timedelta) -> Digested:
    """Place the alerts that were quiet and are so no longer, of those that were looked at longest ago."""
    if not (waiting := ledger.quiet_alerts(now() - older_than)) or not ledger.take_turn():
        return Digested()
    values = [row.as_value() for row in waiting]
    rows = {(row.fingerprint, row.starts_at): row for row in waiting}
    board = correlate.set_up(values, now(), dependencies(), rows, quieting.judge(now(), values))
    placed = [board.take(value, now()) for value in values]
    ledger.write_alerts({}, {}, board.quieted)
    digested = _write(board, _ids(rows), 0)
    ledger.note([_entry(item) for item in placed if item.joins], _ids(rows))
    return digested


@transaction.atomic
def reopen(alert_ids: Sequence[int]) -> int:
    """Alerts that had resolved here and fire all the same; returns how many. ``reconsider`` places the homeless."""
    rows = Alert.objects.filter(pk__in=alert_ids, resolved=True)
    if not alert_ids or not ledger.take_turn():
        return 0
    homeless = correlate.leave_ended(list(rows.values_list("pk", flat=True)))
    Alert.objects.filter(pk__in=homeless).update(quiet="it fires again under the same start", looked_at=now())
    return rows.update(resolved=False, ends_at=None)


def _entry(placed: Placed) -> Entry:
    key = (placed.alert.fingerprint, placed.alert.starts_at)
    return Entry(key, placed.fate.value, placed.live.pk if placed.live else None, str(placed))
