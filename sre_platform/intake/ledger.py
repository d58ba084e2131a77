"""Digesting, the intake's part: read what is pending, write its alerts, and say what became of each.

Crash rules: everything is written in the caller's one transaction, so a batch is digested wholly or is still pending.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple, TypeVar

from django.db import connection
from django.db.models import QuerySet

from sre_platform.intake.domain import UNDATED, AlertValue
from sre_platform.intake.models import Alert, Delivery, LedgerEntry, Turn
from sre_platform.intake.receive import SOURCES
from sre_platform.kernel.clock import now
from sre_platform.kernel.errors import Malformed, Unknown
from sre_platform.kernel.storable import storable_text

BATCH, BATCH_BYTES = 100, 512 * 1024  # one transaction: large enough to be cheap, short enough to wait for
AT_ONCE = 400  # rows in one statement
QUIET_LENGTH = 300
PUT_ASIDE = "It could not be digested: "
LOOKED_AT = 10_000  # the newest deliveries, in which those that were put aside are looked for
SPELLED_OUT = 3  # a delivery with more alerts has its fates counted; the ledger has each
Key = tuple[str, datetime]
T = TypeVar("T")


@dataclass(frozen=True)
class Read:
    """A pending delivery with its alerts, or with the reason why it cannot be read."""

    delivery: Delivery
    alerts: Sequence[AlertValue] = ()
    trouble: str = ""


class Entry(NamedTuple):
    """What became of one alert of a delivery."""

    key: Key
    fate: str
    incident: int | None
    says: str


def read_pending(most: int = BATCH) -> list[Read]:
    """The oldest pending deliveries, at least one if there is any, up to ``most`` and about ``BATCH_BYTES``."""
    pending = Delivery.objects.filter(state=Delivery.State.PENDING).order_by("pk").values_list("pk", "size")
    chosen, size = [], 0
    for pk, more in pending[:most]:
        chosen.append(pk)
        size += more
        if size >= BATCH_BYTES:
            break
    return [_read(row) for row in Delivery.objects.filter(pk__in=chosen).order_by("pk")] if chosen else []


def _read(row: Delivery) -> Read:
    try:
        return Read(row, SOURCES.get(row.source).parse(bytes(row.body), row.mapping))
    except (Malformed, Unknown) as error:  # stored by a version that could read it: it is put aside, not tried for ever
        return Read(row, trouble=str(error))
    except Exception as error:  # a source may raise anything
        return Read(row, trouble=f"Source {row.source} failed: {type(error).__name__}: {error}")


def put_aside(delivery: Delivery, why: str) -> None:
    """Give up on a delivery that cannot be digested, so that those behind it are; its body is kept."""
    rows = Delivery.objects.filter(pk=delivery.pk, state=Delivery.State.PENDING)
    rows.update(state=Delivery.State.REJECTED, fate=storable_text(f"{PUT_ASIDE}{why}"))


def aside() -> QuerySet[Delivery]:
    """What was given up on among the newest LOOKED_AT deliveries, oldest first. O(LOOKED_AT) by their key."""
    newest = Delivery.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    rows = Delivery.objects.filter(pk__gt=newest - LOOKED_AT, state=Delivery.State.REJECTED)
    return rows.filter(fate__startswith=PUT_ASIDE).order_by("pk")


def take_up_again(deliveries: QuerySet[Delivery]) -> int:
    """Have them digested after all; returns how many. One that is refused again is put aside again."""
    return deliveries.order_by().update(state=Delivery.State.PENDING, fate="")


def take_turn() -> bool:
    """Be the only one who digests until the caller's transaction ends; False when somebody else is at it."""
    Turn.objects.get_or_create(name="digestion")
    rows = Turn.objects.select_for_update(skip_locked=connection.features.has_select_for_update_skip_locked)
    return bool(rows.filter(name="digestion").values_list("name"))


def still_pending(batch: Iterable[Read]) -> list[Read]:
    """Those that nobody has digested since they were read."""
    batch = list(batch)
    keys = [item.delivery.pk for item in batch]
    rows = Delivery.objects.filter(pk__in=keys, state=Delivery.State.PENDING)
    left = set(rows.values_list("pk", flat=True))
    return [item for item in batch if item.delivery.pk in left]


def dated(batch: Sequence[Read]) -> list[Read]:
    """The batch with every start filled in: an alert whose sender tells none is about the occurrence that is open."""
    undated = {value.fingerprint for item in batch for value in item.alerts if value.starts_at == UNDATED}
    if not undated:
        return list(batch)
    rows = Alert.objects.filter(fingerprint__in=undated, resolved=False).order_by("starts_at")
    begun = dict(rows.values_list("fingerprint", "starts_at"))
    return [
        replace(item, alerts=[dated_value(value, item.delivery.received_at, begun) for value in item.alerts])
        for item in batch
    ]


def dated_value(value: AlertValue, received_at: datetime, begun: dict[str, datetime]) -> AlertValue:
    """The alert with its start filled in. ``begun`` has the open occurrences and is kept up to date."""
    if value.starts_at != UNDATED:
        return value
    starts_at = begun.pop(value.fingerprint, received_at)
    if value.status == "firing":
        begun[value.fingerprint] = starts_at
    return replace(value, starts_at=starts_at)


def known_alerts(keys: Iterable[Key]) -> dict[Key, Alert]:
    """The rows of those occurrences that were seen before, with what identifies them only."""
    found: dict[Key, Alert] = {}
    wanted = set(keys)
    for chunk in chunks(sorted(wanted)):
        prints, starts = {key[0] for key in chunk}, {key[1] for key in chunk}
        rows = Alert.objects.filter(fingerprint__in=prints, starts_at__in=starts)
        for row in rows.only("fingerprint", "starts_at", "resolved"):
            if (row.fingerprint, row.starts_at) in wanted:
                found[row.fingerprint, row.starts_at] = row
    return found


def write_alerts(
    fresh: Mapping[Key, tuple[AlertValue, Delivery]], ended: Mapping[Key, AlertValue], quieted: Mapping[Key, str]
) -> dict[Key, int]:
    """Write new occurrences, each with its delivery, and what is over or quiet; returns the new rows' ids."""
    rows = [_row(value, delivery, ended.get(key)) for key, (value, delivery) in fresh.items()]
    _hush(known_alerts(key for key in quieted if key not in fresh), quieted)
    for row in rows:
        row.quiet = quieted.get((row.fingerprint, row.starts_at), "")[:QUIET_LENGTH]
        row.looked_at = now() if row.quiet else None
    Alert.objects.bulk_create(rows, batch_size=AT_ONCE)
    over = known_alerts(key for key in ended if key not in fresh)
    for key, row in over.items():
        row.resolved, row.ends_at = True, ended[key].ends_at
    Alert.objects.bulk_update(over.values(), ["resolved", "ends_at"], batch_size=AT_ONCE)
    return {(row.fingerprint, row.starts_at): row.pk for row in rows}


def _hush(rows: Mapping[Key, Alert], quieted: Mapping[Key, str]) -> None:
    for why in {quieted[key] for key in rows}:
        keys = [row.pk for key, row in rows.items() if quieted[key] == why]
        Alert.objects.filter(pk__in=keys).update(quiet=why[:QUIET_LENGTH], looked_at=now() if why else None)


def quiet_alerts(looked_at_before: datetime) -> list[Alert]:
    """Firing alerts that were quiet when they were last looked at, longest ago first."""
    rows = Alert.objects.filter(resolved=False, looked_at__lt=looked_at_before)
    return list(rows.order_by("looked_at")[:AT_ONCE])


def _row(value: AlertValue, delivery: Delivery, end: AlertValue | None) -> Alert:
    over = end or (value if value.status == "resolved" else None)
    return Alert(
        fingerprint=value.fingerprint,
        starts_at=value.starts_at,
        ends_at=over.ends_at if over else None,
        resolved=over is not None,
        name=value.name,
        service=value.service,
        labels=dict(value.labels),
        annotations=dict(value.annotations),
        generator_url=value.generator_url,
        source=delivery.source,
        received_at=delivery.received_at,
    )


def settle(batch: Sequence[tuple[Read, Sequence[Entry]]], alert_ids: Mapping[Key, int]) -> None:
    """Write down what became of every delivery, and of every alert in it."""
    for item, entries in batch:
        state = Delivery.State.REJECTED if item.trouble else Delivery.State.DIGESTED
        item.delivery.state, item.delivery.fate = state, item.trouble or fate(entries)
    Delivery.objects.bulk_update([item.delivery for item, _ in batch], ["state", "fate"], batch_size=AT_ONCE)
    rows = [_entry(entry, alert_ids, item.delivery) for item, entries in batch for entry in entries]
    LedgerEntry.objects.bulk_create(rows, batch_size=AT_ONCE)


def note(entries: Sequence[Entry], alert_ids: Mapping[Key, int]) -> None:
    """Write down what became of alerts that no delivery brought."""
    LedgerEntry.objects.bulk_create([_entry(entry, alert_ids, None) for entry in entries])


def _entry(entry: Entry, alert_ids: Mapping[Key, int], delivery: Delivery | None) -> LedgerEntry:
    facts = {"fate": entry.fate, "incident": entry.incident, "says": entry.says}
    return LedgerEntry(delivery=delivery, alert_id=alert_ids[entry.key], **facts)


def fate(entries: Sequence[Entry]) -> str:
    """What became of a delivery in a sentence."""
    if len(entries) <= SPELLED_OUT:
        return "; ".join(entry.says for entry in entries) or "no alerts in it"
    counted = Counter(entry.fate for entry in entries)
    return f"{len(entries)} alerts: " + ", ".join(f"{times} {word}" for word, times in counted.most_common())


def chunks(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """``items`` in portions that fit into one statement."""
    for start in range(0, len(items), AT_ONCE):
        yield items[start : start + AT_ONCE]
