from django.contrib import admin

from sre_platform.chaos.models import Drill
from sre_platform.playbook.admin import ReadOnly


@admin.register(Drill)
class DrillAdmin(ReadOnly):
    list_display = ["experiment", "started_at", "fault_at", "finished_at", "outcome", "expected"]
    list_filter = ["outcome", "expected", "experiment"]
    search_fields = ["experiment"]
    date_hierarchy = "started_at"
