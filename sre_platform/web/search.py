"""Finding deliveries in the ledger, newest first, in bounded time however many there are.

The numbers of deliveries are walked downwards in stretches, each one query that an index answers; a stretch that cost
little makes the next one longer. A search that has not filled its page in time says how far it got, and goes on from
there when it is asked to.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from time import monotonic

from django.db import connection
from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery

from sre_platform.intake.models import Alert, Delivery, LedgerEntry

PER_PAGE = 50
CARRIED = 3  # alerts that a line of the list names
FEW_ALERTS = 300  # a search for so many is told to the index by their numbers
FIRST_STRETCH, LONGER, CHEAP_S, WITHIN_S = 500, 4, 0.01, 0.08
LAST_CHARACTER = "\U0010ffff"


@dataclass(frozen=True)
class Wanted:
    """What is searched for; what is empty does not matter. ``text`` is how an alert's name or service begins."""

    text: str = ""
    fate: str = ""
    source: str = ""
    sender: str = ""
    incident: int | None = None
    state: str = ""
    quiet: bool = False


@dataclass(frozen=True)
class Line:
    """One delivery with the first alerts in it that fit; ``more`` when there are others."""

    delivery: Delivery
    carried: Sequence[LedgerEntry]
    more: bool


@dataclass(frozen=True)
class Found:
    """One page. ``older`` is where the next one begins; None: this is the last. ``stopped``: time was up before."""

    lines: Sequence[Line]
    older: int | None
    stopped: bool


def find(wanted: Wanted, before: int | None = None) -> Found:
    """The newest deliveries that fit, of those with a lower number than ``before``."""
    top = before or _newest() + 1
    ids, reached = _walk(_Search(wanted), top)
    stopped = len(ids) <= PER_PAGE and reached > 1
    older = ids[PER_PAGE - 1] if len(ids) > PER_PAGE else reached if stopped else None
    return Found(_lines(ids[:PER_PAGE], wanted), older, stopped)


def _newest() -> int:
    return Delivery.objects.order_by("-pk").values_list("pk", flat=True).first() or 0


class _Search:
    """A search, with what is looked up once."""

    def __init__(self, wanted: Wanted) -> None:
        self.wanted = wanted
        self.about = _of_ledger(wanted) & _of_alert(wanted, "alert__") & _few(wanted)

    def within(self, low: int, high: int) -> list[int]:
        """The deliveries that fit from ``low`` up to but without ``high``, newest first, one more than a page."""
        rows = Delivery.objects.filter(_of_delivery(self.wanted), pk__gte=low, pk__lt=high)
        if self.about:
            told = LedgerEntry.objects.filter(self.about, delivery__gte=low, delivery__lt=high)
            rows = rows.filter(pk__in=told.values("delivery"))
        return list(rows.order_by("-pk").values_list("pk", flat=True)[: PER_PAGE + 1])


def _walk(search: _Search, top: int) -> tuple[list[int], int]:
    """The first deliveries below ``top`` that fit, one more than a page at most, and down to where was looked."""
    ids: list[int] = []
    until = monotonic() + WITHIN_S
    for low, high in _stretches(top):
        ids += search.within(low, high)
        if len(ids) > PER_PAGE or monotonic() > until:
            return ids, low
    return ids, 1


def _stretches(top: int) -> Iterator[tuple[int, int]]:
    length, high = FIRST_STRETCH, top
    while high > 1:
        low, began = max(1, high - length), monotonic()
        yield low, high
        high = low
        length = length * LONGER if monotonic() - began < CHEAP_S else max(FIRST_STRETCH, length // LONGER)


def _of_delivery(wanted: Wanted) -> Q:
    told = {"source": wanted.source, "sender": wanted.sender, "state": wanted.state}
    return Q(**{field: value for field, value in told.items() if value})


def _of_ledger(wanted: Wanted) -> Q:
    told = {"fate": wanted.fate or None, "incident": wanted.incident}
    return Q(**{field: value for field, value in told.items() if value is not None})


def _of_alert(wanted: Wanted, path: str = "") -> Q:
    """What an alert has to be; ``path`` leads to it."""
    fits = Q()
    if wanted.text:
        fits &= _begins(f"{path}name", wanted.text) | _begins(f"{path}service", wanted.text)
    if wanted.quiet:
        fits &= Q(**{f"{path}resolved": False, f"{path}looked_at__isnull": False}) & ~Q(**{f"{path}quiet": ""})
    return fits


def _begins(field: str, text: str) -> Q:
    """That a field begins with a text, in the words that this database's index answers."""
    if connection.vendor == "sqlite":
        return Q(**{f"{field}__gte": text, f"{field}__lt": text + LAST_CHARACTER})
    return Q(**{f"{field}__startswith": text})


def _few(wanted: Wanted) -> Q:
    """By their numbers the alerts of that name or service, or else those that are quiet, when they are few."""
    named = [_begins(field, wanted.text) for field in ("name", "service")] if wanted.text else []
    for sides in (named, [_of_alert(Wanted(quiet=True))] if wanted.quiet else []):
        keys = {key for side in sides for key in _keys(Alert.objects.filter(side))}
        if sides and len(keys) <= FEW_ALERTS:
            return Q(alert__in=sorted(keys))
    return Q()


def _keys(rows: QuerySet[Alert]) -> list[int]:
    return list(rows.values_list("pk", flat=True)[: FEW_ALERTS + 1])


def _lines(ids: Sequence[int], wanted: Wanted) -> list[Line]:
    """The deliveries with what they carried, in two queries."""
    fitting = LedgerEntry.objects.filter(_of_ledger(wanted), _of_alert(wanted, "alert__"), delivery=OuterRef("pk"))
    each = fitting.order_by("delivery", "pk").values("pk")
    rows = Delivery.objects.filter(pk__in=ids).defer("body", "mapping").order_by("-pk")
    rows = rows.annotate(**{f"entry_{n}": Subquery(each[n : n + 1]) for n in range(CARRIED)})
    rows = rows.annotate(others=Exists(LedgerEntry.objects.filter(delivery=OuterRef("pk")).order_by()[CARRIED:]))
    found = list(rows)
    keys = {row.pk: [getattr(row, f"entry_{n}") for n in range(CARRIED)] for row in found}
    entries = LedgerEntry.objects.select_related("alert").in_bulk(
        {key for some in keys.values() for key in some if key}
    )
    return [Line(row, [entries[key] for key in keys[row.pk] if key in entries], row.others) for row in found]
