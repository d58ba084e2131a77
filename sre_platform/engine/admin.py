from typing import Any

from django import forms
from django.contrib import admin

from sre_platform.engine.models import Alarm, Heartbeat
from sre_platform.engine.syncing import plan_problems
from sre_platform.guardrails.admin import RemediationPolicyAdmin
from sre_platform.guardrails.models import RemediationPolicy
from sre_platform.playbook.admin import ReadOnly


@admin.register(Heartbeat)
class HeartbeatAdmin(ReadOnly):
    list_display = ["name", "kind", "at"]
    list_filter = ["kind"]


@admin.register(Alarm)
class AlarmAdmin(ReadOnly):
    list_display = ["check_name", "since", "ended_at", "says"]
    list_filter = ["check_name"]
    date_hierarchy = "since"


class PolicyForm(forms.ModelForm):
    """A policy whose plan names actions that there are, with parameters that they take."""

    def clean_plan(self) -> Any:
        plan = self.cleaned_data["plan"] or []
        self.instance._meta.get_field("plan").run_validators(plan)
        if wrong := plan_problems(plan):
            raise forms.ValidationError(wrong)
        return plan


@admin.register(RemediationPolicy)
class PolicyAdmin(RemediationPolicyAdmin):
    form = PolicyForm
