from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from sre_platform.guardrails.models import (
    ActionLimit,
    FreezeWindow,
    KillSwitch,
    PolicyVersion,
    RemediationPolicy,
    set_kill_switch,
)
from sre_platform.playbook.admin import Kept, ReadOnly


class RemediationPolicyAdmin(admin.ModelAdmin):
    """Whoever saves a policy is written down with its new version. The engine registers it: it knows the actions."""

    list_display = [
        "name",
        "precedence",
        "service",
        "tier",
        "environment",
        "cause",
        "action",
        "mode",
        "cooldown_s",
        "max_actions",
        "enabled",
        "version",
    ]
    list_editable = ["precedence", "mode", "enabled"]
    list_filter = ["mode", "enabled"]
    search_fields = ["name", "service", "cause", "action"]
    readonly_fields = ["version"]

    def save_model(self, request: HttpRequest, obj: RemediationPolicy, form: Any, change: bool) -> None:
        obj.changed_by = request.user.get_username()
        super().save_model(request, obj, form, change)


@admin.register(PolicyVersion)
class PolicyVersionAdmin(ReadOnly):
    list_display = ["name", "version", "by", "at"]
    list_filter = ["name"]
    search_fields = ["name", "by"]
    date_hierarchy = "at"


@admin.register(ActionLimit)
class ActionLimitAdmin(admin.ModelAdmin):
    list_display = [
        "name",
        "per",
        "max_actions",
        "window_s",
        "at_once",
        "service",
        "cluster",
        "action",
        "enabled",
    ]
    list_editable = ["enabled"]
    list_filter = ["per", "enabled"]
    search_fields = ["name", "service", "cluster", "action"]


@admin.register(FreezeWindow)
class FreezeWindowAdmin(admin.ModelAdmin):
    list_display = ["name", "reason", "service", "environment", "first_start", "duration_s", "rrule", "enabled"]
    list_editable = ["enabled"]
    list_filter = ["enabled"]
    search_fields = ["name", "reason", "service", "environment"]


@admin.register(KillSwitch)
class KillSwitchAdmin(Kept):
    """One row; whoever saves it is written down with it."""

    list_display = ["__str__", "on", "by", "at"]
    fields = ["on", "reason", "by", "at"]
    readonly_fields = ["by", "at"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return super().has_add_permission(request) and not KillSwitch.objects.exists()

    def save_model(self, request: HttpRequest, obj: KillSwitch, *_: Any) -> None:
        set_kill_switch(obj.on, request.user.get_username(), obj.reason)
        obj.pk = 1
