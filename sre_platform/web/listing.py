"""The list of incidents, each in a few words, in a number of queries that does not depend on how many there are.

All of them: those without a parent, and below each the newest of its children. Narrowed: every one that fits alone.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.core.paginator import Page, Paginator
from django.db.models import Count, F, Max, Prefetch, Q, QuerySet, Window
from django.db.models.functions import RowNumber

from sre_platform.diagnosis.models import FindingRow
from sre_platform.incidents.domain import ENDED, State
from sre_platform.incidents.models import Incident, TimelineEntry
from sre_platform.kernel.clock import now
from sre_platform.remediation.models import Step

PER_PAGE = 50
CHILDREN_SHOWN = 5
RECENTLY = timedelta(days=1)
RECENT_LIMIT = 1000
WITH_PEOPLE = (State.AWAITING_APPROVAL, State.ESCALATED)
FILTERS: Mapping[str, tuple[str, Q]] = {
    "": ("All", Q(parent=None)),
    "active": ("In progress", ~Q(state__in=[*ENDED, State.AWAITING_APPROVAL])),
    "people": ("With people", Q(state__in=WITH_PEOPLE)),
    "resolved": ("Resolved", Q(state=State.RESOLVED)),
}


@dataclass(frozen=True)
class Tab:
    """One filter of the list and how many incidents it shows."""

    key: str
    name: str
    count: int


@dataclass(frozen=True)
class Line:
    """One incident in the list. ``recovery_s`` is None until it has been resolved.

    ``below`` says that it stands below its parent; ``children`` is how many it has itself.
    """

    incident: Incident
    cause: FindingRow | None
    step: Step | None
    alerts: int
    started_at: datetime
    children: int = 0
    below: bool = False

    @property
    def unshown(self) -> int:
        """How many of its children the list leaves out."""
        return max(0, self.children - CHILDREN_SHOWN)

    @property
    def recovery_s(self) -> float | None:
        ended = self.incident.ended_at if self.incident.state == State.RESOLVED else None
        return (ended - self.started_at).total_seconds() if ended else None

    @property
    def running(self) -> bool:
        return self.incident.state not in ENDED


def page(show: str, number: str | int) -> Page:
    """One page of lines, newest incident first. An unknown filter shows all."""
    show = show if show in FILTERS else ""
    found = Paginator(_rows(FILTERS[show][1]), PER_PAGE).get_page(number)
    rows = list(found.object_list)
    lines = [_line(row) for row in rows] if show else list(_families(rows))
    return Page(lines, found.number, found.paginator)


def _families(rows: Sequence[Incident]) -> Iterator[Line]:
    """Each incident and, below it, the newest of its children."""
    number = Window(RowNumber(), partition_by=F("parent"), order_by=[F("opened_at").desc(), F("pk").desc()])
    size = Window(Count("pk"), partition_by=F("parent"))
    children = _rows(Q(parent__in=rows)).annotate(number=number, size=size).filter(number__lte=CHILDREN_SHOWN)
    below: dict[int | None, list] = defaultdict(list)
    for child in children:
        below[child.parent_id].append(child)
    for row in rows:
        yield _line(row, children=below[row.pk][0].size if below[row.pk] else 0)
        yield from (_line(child, below=True) for child in below[row.pk])


def tabs() -> Sequence[Tab]:
    """The filters with their counts, in one query."""
    counts = Incident.objects.aggregate(
        **{f"show_{key}": Count("pk", filter=condition) for key, (_, condition) in FILTERS.items()}
    )
    return [Tab(key, name, counts[f"show_{key}"]) for key, (name, _) in FILTERS.items()]


def recovery_median_s() -> float | None:
    """The median time to recovery of the last day's resolved incidents, in seconds, or None when there were none."""
    resolved = Incident.objects.filter(state=State.RESOLVED, ended_at__gte=now() - RECENTLY)
    rows = resolved.values_list("first_alert_at", "opened_at", "ended_at")
    times = sorted((ended - (first or opened)).total_seconds() for first, opened, ended in rows[:RECENT_LIMIT] if ended)
    return times[len(times) // 2] if times else None


def mark() -> str:
    """A text that changes whenever an incident does: every change leaves a timeline entry. One query."""
    return str(TimelineEntry.objects.aggregate(newest=Max("pk"))["newest"] or 0)


def _rows(condition: Q) -> QuerySet[Incident]:
    likeliest = Prefetch("findings", FindingRow.objects.filter(rank=1).order_by("-round"), to_attr="likeliest")
    repairs = Prefetch("steps", Step.objects.repairs().order_by("-pk"), to_attr="repairs")
    return Incident.objects.filter(condition).prefetch_related(likeliest, repairs).order_by("-opened_at", "-pk")


def _line(row, children: int = 0, below: bool = False) -> Line:
    cause, step = next(iter(row.likeliest), None), next(iter(row.repairs), None)
    return Line(row, cause, step, row.alerts, row.first_alert_at or row.opened_at, children, below)
