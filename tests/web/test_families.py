"""Incidents that wait for another one, and storms: on the list, and on their own pages."""

import pytest
from django.urls import reverse
from django.utils.timezone import now

from sre_platform.incidents.models import Incident, IncidentAlert
from sre_platform.web import listing, reading, timeline
from tests.web import factories
from tests.web.test_pages import queries, text

pytestmark = pytest.mark.django_db


def family(children: int = 1) -> tuple[Incident, list[Incident]]:
    """A cause, and those that it is the cause of."""
    parent = factories.opened(title="The database is gone").incident
    rows = [factories.opened(title=f"Caller {number} fails").incident for number in range(children)]
    Incident.objects.filter(pk__in=[row.pk for row in rows]).update(parent=parent)
    return parent, rows


def storm(members: int) -> Incident:
    """A storm of so many alerts of six services."""
    row = factories.opened(title="Alerts of many services", service="").incident
    for number in range(members - 1):
        alert = factories.alert(f"Alert{number}", f"svc-{number % 5}")
        IncidentAlert.objects.create(incident=row, alert=alert, reason="the storm")
    Incident.objects.filter(pk=row.pk).update(storm=True, alerts=members, last_alert_at=now())
    return row


def page_of(web, incident: Incident) -> str:
    return text(web, reverse("incident", args=[incident.pk]))


def lines(web, show: str = "") -> list[tuple[int, bool]]:
    return [(line.incident.pk, line.below) for line in web.get("/", {"show": show}).context["page"].object_list]


def test_a_child_says_what_it_waits_for_and_the_parent_lists_it(web):
    parent, [child] = family()
    page = page_of(web, child)
    assert f'Waits for <a id="parent" href="{reverse("incident", args=[parent.pk])}">' in page
    assert "which is the cause" in page
    assert reverse("incident", args=[child.pk]) in page_of(web, parent)


def test_a_child_waits_no_longer_once_its_parent_is_resolved(web):
    parent, [child] = family()
    Incident.objects.filter(pk=parent.pk).update(state="resolved", ended_at=now())
    page = page_of(web, child)
    assert "Waits for" not in page
    assert "The cause is" in page


def test_the_list_shows_children_below_their_parent(web):
    other = factories.opened().incident
    parent, children = family(7)
    newest = [child.pk for child in reversed(children)][: listing.CHILDREN_SHOWN]
    assert lines(web) == [(parent.pk, False), *((pk, True) for pk in newest), (other.pk, False)]
    page = text(web, "/")
    assert "cause of 7 others" in page
    assert f"caused by #{parent.pk}" in page


def test_a_narrowed_list_shows_every_incident_that_fits(web):
    parent, [child] = family()
    Incident.objects.filter(pk=parent.pk).update(state="escalated", ended_at=now())
    assert lines(web, "active") == [(child.pk, False)]
    assert [tab.count for tab in listing.tabs()] == [1, 1, 1, 0]


def test_the_list_takes_as_many_queries_for_many_children_as_for_one(web):
    family()
    few = queries(web, "/")
    for _ in range(3):
        family(10)
    assert queries(web, "/") == few <= 14


def test_a_storm_says_so_and_shows_only_the_first_of_its_alerts(web):
    row = storm(reading.MEMBERS_SHOWN + 10)
    page = page_of(web, row)
    assert "A storm: too many services at once" in page
    assert "and 10 more" in page
    assert f"/ledger/?incident={row.pk}" in page
    assert "Alert48" in page
    assert "Alert49" not in page
    services = reading.read(Incident.objects.get(pk=row.pk)).services.shown
    assert services == [("svc-0", 12), ("svc-1", 12), ("svc-2", 12), ("svc-3", 12), ("svc-4", 11), ("", 1)]
    assert "storm" in text(web, "/")


def test_an_incident_takes_as_many_queries_for_many_alerts_and_children_as_for_few(web):
    few, many = storm(2), storm(60)
    for parent, children in ((few, 1), (many, 60)):
        rows = [factories.opened().incident.pk for _ in range(children)]
        Incident.objects.filter(pk__in=rows).update(parent=parent)
    assert queries(web, reverse("incident", args=[few.pk])) == queries(web, reverse("incident", args=[many.pk])) <= 20
    assert len(web.get(reverse("incident", args=[many.pk])).context["case"].children.shown) == reading.CHILDREN_SHOWN


def test_alerts_that_join_again_and_again_are_one_moment():
    story = factories.opened()
    for number in range(20):
        story.tell(1, "alert_joined", f"Batch {number} joined.")
    story.tell(1, "waits", "Waits for incident 1.")
    told = timeline.moments(reading.read(Incident.objects.get(pk=story.incident.pk)))
    assert [moment.reason for moment in told[1:4]] == [
        "Batch 0 joined.",
        "Batch 1 joined.",
        "The last time: Batch 19 joined.",
    ]
    assert told[3].title == "Alerts joined 18 more times"
    assert told[4].title == "Waits"


def test_the_admin_page_of_a_storm_does_not_list_its_alerts(web):
    row = storm(3)
    assert "Alert1" in text(web, reverse("admin:incidents_incident_change", args=[row.pk]))
    Incident.objects.filter(pk=row.pk).update(alerts=50_000)
    assert "Alert1" not in text(web, reverse("admin:incidents_incident_change", args=[row.pk]))
