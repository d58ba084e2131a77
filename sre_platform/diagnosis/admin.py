from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from sre_platform.diagnosis.models import EvidenceRow, FindingRow
from sre_platform.playbook.admin import ReadOnly


@admin.register(EvidenceRow)
class EvidenceRowAdmin(ReadOnly):
    list_display = ["incident", "round", "service", "collector", "collected_at", "missing"]
    list_filter = ["collector", "service"]
    list_select_related = ["incident"]
    search_fields = ["service", "missing", "incident__title"]
    date_hierarchy = "collected_at"
    exclude = ["packed_texts"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[EvidenceRow]:
        return super().get_queryset(request).defer("packed_texts")


@admin.register(FindingRow)
class FindingRowAdmin(ReadOnly):
    list_display = ["incident", "round", "rank", "cause", "service", "where", "confidence", "rule"]
    list_filter = ["cause", "rule", "service"]
    list_select_related = ["incident"]
    search_fields = ["cause", "service", "incident__title"]
