from django.contrib import admin

from sre_platform.playbook.admin import ReadOnly
from sre_platform.remediation.models import Step


@admin.register(Step)
class StepAdmin(ReadOnly):
    list_display = ["id", "incident", "says", "state", "target", "action", "applying_at", "applied_at"]
    list_filter = ["state", "action", "target"]
    list_select_related = ["incident"]
    search_fields = ["says", "target", "cause", "incident__title"]
    date_hierarchy = "prepared_at"
