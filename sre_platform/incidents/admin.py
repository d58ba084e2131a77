from django.contrib import admin
from django.urls import reverse

from sre_platform.incidents.models import Incident, IncidentAlert, TimelineEntry
from sre_platform.playbook.admin import ReadOnly


class _Members(admin.TabularInline):
    model = IncidentAlert
    extra = 0
    fields = ["alert", "reason"]


class _Timeline(admin.TabularInline):
    model = TimelineEntry
    extra = 0
    fields = ["seq", "at", "name", "from_state", "to_state", "reason"]


@admin.register(Incident)
class IncidentAdmin(ReadOnly):
    """Incidents are moved by the line only; "View on site" leads to the page that people read."""

    list_display = ["id", "title", "service", "state", "opened_at", "ended_at", "claimed_by"]
    list_filter = ["state", "service"]
    search_fields = ["title", "service", "key"]
    date_hierarchy = "opened_at"
    inlines = [_Members, _Timeline]

    def view_on_site(self, incident: Incident) -> str:
        return reverse("incident", args=[incident.pk])


@admin.register(TimelineEntry)
class TimelineEntryAdmin(ReadOnly):
    list_display = ["incident", "seq", "at", "name", "to_state", "reason"]
    list_filter = ["name", "to_state"]
    list_select_related = ["incident"]
    search_fields = ["reason", "incident__title"]
    date_hierarchy = "at"
