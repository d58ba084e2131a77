from django.contrib import admin

from sre_platform.playbook.admin import ReadOnly
from sre_platform.rollouts.models import Rollout, RolloutEvent


@admin.register(Rollout)
class RolloutAdmin(ReadOnly):
    list_display = ["id", "service", "baseline", "canary", "state", "started_by", "started_at", "ended_at"]
    list_filter = ["state", "service"]
    search_fields = ["service", "canary"]


@admin.register(RolloutEvent)
class RolloutEventAdmin(ReadOnly):
    list_display = ["id", "rollout", "at", "name", "reason"]
    list_select_related = ["rollout"]
