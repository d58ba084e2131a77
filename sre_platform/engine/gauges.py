"""Gauges that are read from the database when somebody scrapes: how much waits, and for how long.

Every query is bounded: by a LIMIT, or by a partial index that holds only what is open. A database that does not answer
is a gauge of its own, ``sre_database_up 0``, and the others are left out: no value is better than a made-up one.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime

from django.db import Error
from django.db.models import Count
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from sre_platform.engine.models import Alarm, Heartbeat
from sre_platform.incidents.models import Incident
from sre_platform.intake.models import Delivery
from sre_platform.kernel.clock import now

COUNTED_AT_MOST = 100_000
HEARTBEATS = 200


class DatabaseGauges(Collector):
    """Reads the rows at the moment of the scrape."""

    def collect(self) -> Iterable[GaugeMetricFamily]:
        try:
            found = [gauge for read in (_deliveries, _incidents, _heartbeats, _alarms) for gauge in read()]
        except Error:
            return [GaugeMetricFamily("sre_database_up", "Whether the database answered this scrape.", 0)]
        return [GaugeMetricFamily("sre_database_up", "Whether the database answered this scrape.", 1), *found]

    def describe(self) -> Iterable[GaugeMetricFamily]:
        return []  # registering must not ask the database


def _age_s(since: datetime | None) -> float:
    return max(0.0, (now() - since).total_seconds()) if since else 0.0


def _deliveries() -> Iterator[GaugeMetricFamily]:
    """O(pending, at most 100,000) by the index of what is pending."""
    rows = Delivery.objects.filter(state=Delivery.State.PENDING).order_by("id")
    oldest = rows.values_list("received_at", flat=True).first()
    waiting = rows.values("pk")[:COUNTED_AT_MOST].count()
    yield GaugeMetricFamily(
        "sre_pending_deliveries", f"Webhooks to be digested, counted to {COUNTED_AT_MOST}.", waiting
    )
    yield GaugeMetricFamily("sre_pending_age_seconds", "Age of the oldest of them.", _age_s(oldest))


def _incidents() -> Iterator[GaugeMetricFamily]:
    """O(open incidents) by the index of what has a due time, which an incident has until it ends."""
    states = GaugeMetricFamily("sre_incidents", "Incidents that have not ended, by state.", labels=["state"])
    open_rows = Incident.objects.filter(due_at__isnull=False)
    for state, count in open_rows.order_by().values_list("state").annotate(Count("pk")):
        states.add_metric([state], count)
    yield states
    due = open_rows.filter(due_at__lte=now()).order_by("due_at")
    oldest = due.values_list("due_at", flat=True).first()
    yield GaugeMetricFamily("sre_due_incidents", "Incidents whose next stage may run.", due.values("pk").count())
    yield GaugeMetricFamily("sre_due_age_seconds", "How long the longest due of them has been.", _age_s(oldest))


def _heartbeats() -> Iterator[GaugeMetricFamily]:
    """O(parts): a row each, at most 200; one of a kind is told, the freshest."""
    ages = GaugeMetricFamily("sre_heartbeat_age_seconds", "Since the last heartbeat of a kind.", labels=["kind"])
    freshest: dict[str, datetime] = {}
    for kind, at in Heartbeat.objects.order_by("-at").values_list("kind", "at")[:HEARTBEATS]:
        freshest.setdefault(kind, at)
    for kind, at in freshest.items():
        ages.add_metric([kind], _age_s(at))
    yield ages


def _alarms() -> Iterator[GaugeMetricFamily]:
    """O(open alarms): at most one for each check."""
    yield GaugeMetricFamily(
        "sre_alarms", "Alarms about the platform itself.", Alarm.objects.filter(ended_at=None).count()
    )
