from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse

from sre_platform.incidents.models import (
    Incident,
    IncidentAlert,
    InhibitionRule,
    MaintenanceWindow,
    Silence,
    TimelineEntry,
)
from sre_platform.playbook.admin import Kept, ReadOnly

INLINE_MEMBERS = 500  # a storm has far more than a form can hold


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

    def get_inlines(self, request: HttpRequest, obj: Incident | None) -> list[type[admin.options.InlineModelAdmin]]:  # noqa: ARG002
        return [_Members, _Timeline] if obj and obj.alerts <= INLINE_MEMBERS else []

    def view_on_site(self, incident: Incident) -> str:
        return reverse("incident", args=[incident.pk])


@admin.register(TimelineEntry)
class TimelineEntryAdmin(ReadOnly):
    list_display = ["incident", "seq", "at", "name", "to_state", "reason"]
    list_filter = ["name", "to_state"]
    list_select_related = ["incident"]
    search_fields = ["reason", "incident__title"]
    date_hierarchy = "at"


@admin.register(Silence)
class SilenceAdmin(Kept):
    """Whoever makes a silence is written down with it. It is never changed, only ended: others have it as well."""

    list_display = ["__str__", "matchers", "starts_at", "ends_at", "by", "origin", "expired"]
    list_filter = ["expired", "origin"]
    search_fields = ["comment", "by", "matchers"]
    date_hierarchy = "ends_at"
    readonly_fields = ["origin", "external_id", "posted"]
    actions = ["expire"]

    def has_change_permission(self, request: HttpRequest, obj: Silence | None = None) -> bool:
        return obj is None and super().has_change_permission(request, obj)

    def get_exclude(self, _request: HttpRequest, obj: Silence | None = None) -> list[str]:
        return [] if obj else ["by", "expired"]

    def save_model(self, request: HttpRequest, obj: Silence, form: Any, change: bool) -> None:
        obj.by = request.user.get_username()
        super().save_model(request, obj, form, change)

    @admin.action(description="End it now, here and at every Alertmanager", permissions=["change"])
    def expire(self, request: HttpRequest, rows: QuerySet[Silence]) -> None:
        messages.info(request, f"{rows.update(expired=True)} ended.")


@admin.register(MaintenanceWindow)
class MaintenanceWindowAdmin(admin.ModelAdmin):
    list_display = ["name", "matchers", "first_start", "duration_s", "rrule", "timezone", "enabled"]
    list_editable = ["enabled"]
    list_filter = ["enabled"]
    search_fields = ["name", "matchers"]


@admin.register(InhibitionRule)
class InhibitionRuleAdmin(admin.ModelAdmin):
    list_display = ["name", "source", "target", "equal", "enabled"]
    list_editable = ["enabled"]
    list_filter = ["enabled"]
    search_fields = ["name", "source", "target"]
