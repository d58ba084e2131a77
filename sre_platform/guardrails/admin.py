from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from sre_platform.guardrails.models import KillSwitch, RemediationPolicy, set_kill_switch
from sre_platform.playbook.admin import Kept


@admin.register(RemediationPolicy)
class RemediationPolicyAdmin(admin.ModelAdmin):
    list_display = [
        "name",
        "precedence",
        "service",
        "cause",
        "action",
        "mode",
        "cooldown_s",
        "max_actions",
        "enabled",
    ]
    list_editable = ["precedence", "mode", "enabled"]
    list_filter = ["mode", "enabled"]
    search_fields = ["name", "service", "cause", "action"]


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
