from django.contrib import admin

from sre_platform.playbook.admin import ReadOnly
from sre_platform.verification.models import SampleRow


@admin.register(SampleRow)
class SampleRowAdmin(ReadOnly):
    list_display = ["step", "number", "at", "good"]
    list_filter = ["good"]
    list_select_related = ["step"]
    search_fields = ["step__says", "step__target"]
    date_hierarchy = "at"
