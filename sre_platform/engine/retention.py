"""What has become old goes: deliveries with their ledger, alerts that no incident is about, raw texts of evidence.

Incidents with their timelines, findings and the alerts they gathered are history and stay, and so does whatever is
pending or belongs to an incident that is open. Crash rules: every portion is a transaction of its own and asks again
what may go, so a run that dies has deleted less, and two at once delete nothing twice. Documents are let go of first;
their blobs go once nothing refers to them, and nobody has lately (diagnosis/store.py says why).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from time import monotonic

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from sre_platform.diagnosis import store
from sre_platform.diagnosis.models import EvidenceDocument, EvidenceRow
from sre_platform.incidents.domain import ENDED
from sre_platform.incidents.models import IncidentAlert
from sre_platform.intake.models import Alert, Delivery, LedgerEntry
from sre_platform.kernel.clock import now
from sre_platform.rollouts.models import RolloutSample

A_PORTION = 1000  # rows in one transaction
A_FEW = 100  # of those that may be large
FOR_S = 20.0
log = structlog.get_logger()


@dataclass
class Pruned:
    """How many rows went, or would go. ``finished``: nothing that is old is left.

    ``texts`` counts the rows of evidence whose raw documents went, ``blobs`` the documents that nothing refers to,
    ``samples`` those of roll-outs, whose decisions with their numbers stay.
    """

    deliveries: int = 0
    ledger: int = 0
    alerts: int = 0
    texts: int = 0
    blobs: int = 0
    samples: int = 0
    finished: bool = True


def prune(for_s: float = FOR_S) -> Pruned:
    """Delete what is older than SRE_KEEP_DAYS, oldest first, for ``for_s`` seconds at most."""
    pruned, until = Pruned(), monotonic() + for_s
    if settings.SRE_KEEP_DAYS > 0:
        for kind, count in _portions(_before()):
            setattr(pruned, kind, getattr(pruned, kind) + count)
            if monotonic() > until:
                pruned.finished = False
                break
        log.info("pruned", **asdict(pruned))
    return pruned


def prunable() -> Pruned:
    """What ``prune`` would delete if it had the time, and nothing deleted. Counts whole tables."""
    if settings.SRE_KEEP_DAYS <= 0:
        return Pruned()
    before = _before()
    rows, entries = _deliveries(before), LedgerEntry.objects.filter(delivery__in=_deliveries(before).values("pk"))
    left = _alerts(before, LedgerEntry.objects.exclude(delivery__in=_deliveries(before).values("pk")))
    texts = _texts(before)
    blobs = store.garbage(without=texts.values("pk")).count()
    samples = _samples(before).count()
    return Pruned(rows.count(), entries.count(), left.count(), texts.count(), blobs, samples)


def _before() -> datetime:
    return now() - timedelta(days=settings.SRE_KEEP_DAYS)


def _portions(before: datetime) -> Iterator[tuple[str, int]]:
    """Delete portion by portion; yields what went and how many of it."""
    while oldest := _keys(_deliveries(before).order_by("received_at"), A_FEW):
        while gone := _forget(oldest, before):
            yield "ledger", gone
        yield "deliveries", _delete(_deliveries(before).filter(pk__in=oldest))
    yield from _walk(
        lambda last: _keys(_alerts(before).filter(pk__gt=last).order_by("pk"), A_PORTION), "alerts", before
    )
    yield from _walk(lambda last: _keys(_texts(before).filter(pk__gt=last).order_by("pk"), A_FEW), "texts", before)
    yield from _collect_garbage()
    while samples := _keys(_samples(before).order_by("pk"), A_PORTION):
        yield "samples", _delete(_samples(before).filter(pk__in=samples))


def _walk(next_after: Callable[[int], Sequence[int]], kind: str, before: datetime) -> Iterator[tuple[str, int]]:
    last = 0
    while keys := next_after(last):
        last = keys[-1]
        if kind == "alerts":
            yield kind, _delete(_alerts(before).filter(pk__in=keys))
        else:
            yield kind, _drop_documents(before, keys)


def _keys(rows: QuerySet, most: int) -> list[int]:
    return list(rows.values_list("pk", flat=True)[:most])


@transaction.atomic
def _forget(deliveries: Sequence[int], before: datetime) -> int:
    """Delete a portion of what the ledger says about these deliveries, of those that may still go."""
    still = _deliveries(before).filter(pk__in=deliveries).values("pk")
    rows = LedgerEntry.objects.filter(delivery__in=still)
    return _delete(LedgerEntry.objects.filter(pk__in=_keys(rows.order_by("delivery", "pk"), A_PORTION)))


@transaction.atomic
def _delete(rows: QuerySet) -> int:
    """Delete rows without reading them whole; returns how many there were, without those that went with them."""
    return rows.only("pk").delete()[1].get(rows.model._meta.label, 0)


def _deliveries(before: datetime) -> QuerySet[Delivery]:
    over = [Delivery.State.DIGESTED, Delivery.State.REJECTED]
    return Delivery.objects.filter(received_at__lt=before, state__in=over)


def _alerts(before: datetime, told: QuerySet[LedgerEntry] | None = None) -> QuerySet[Alert]:
    """Alerts that were over by then, that no incident gathered, and of which no delivery that is ``told`` is left."""
    told = LedgerEntry.objects.all() if told is None else told
    over = Q(ends_at__lt=before) | Q(ends_at=None, received_at__lt=before)
    left = Exists(told.filter(alert=OuterRef("pk"), delivery__isnull=False))
    gathered = Exists(IncidentAlert.objects.filter(alert=OuterRef("pk")))
    return Alert.objects.filter(over, ~gathered, ~left, resolved=True)


def _samples(before: datetime) -> QuerySet[RolloutSample]:
    """Samples of roll-outs that had ended by then."""
    return RolloutSample.objects.filter(rollout__ended_at__lt=before)


def _texts(before: datetime) -> QuerySet[EvidenceRow]:
    """Evidence of incidents that had ended by then and that still has its raw texts."""
    ended = EvidenceRow.objects.filter(incident__state__in=sorted(ENDED), incident__ended_at__lt=before)
    return ended.filter(Exists(EvidenceDocument.objects.filter(evidence=OuterRef("pk"))))


@transaction.atomic
def _drop_documents(before: datetime, keys: Sequence[int]) -> int:
    """Let go of the documents of these rows, of those that may still go; returns of how many rows."""
    still = _keys(_texts(before).filter(pk__in=keys).order_by("pk"), A_FEW)
    EvidenceDocument.objects.filter(evidence__in=still).delete()
    return len(still)


def _collect_garbage() -> Iterator[tuple[str, int]]:
    """Delete the blobs that nothing refers to, asking again in the statement that deletes."""
    last = ""
    while digests := list(store.garbage().filter(pk__gt=last).order_by("pk").values_list("pk", flat=True)[:A_FEW]):
        last = digests[-1]
        yield "blobs", store.delete_garbage(digests)
