from django.contrib import admin

from sre_platform.diagnosis.models import Baseline, EvidenceDocument, EvidenceRow, FindingRow, LookTurn
from sre_platform.playbook.admin import ReadOnly


@admin.register(EvidenceRow)
class EvidenceRowAdmin(ReadOnly):
    list_display = ["incident", "round", "service", "replica", "collector", "collected_at", "missing"]
    list_filter = ["collector", "service"]
    list_select_related = ["incident"]
    search_fields = ["service", "missing", "incident__title"]
    date_hierarchy = "collected_at"


@admin.register(EvidenceDocument)
class EvidenceDocumentAdmin(ReadOnly):
    list_display = ["evidence", "name", "kind", "size"]
    list_filter = ["kind", "name"]
    list_select_related = ["evidence"]
    raw_id_fields = ["blob"]


@admin.register(LookTurn)
class LookTurnAdmin(ReadOnly):
    list_display = ["service", "held_by", "held_until", "fence"]


@admin.register(Baseline)
class BaselineAdmin(ReadOnly):
    list_display = ["service", "release", "kind", "taken_at"]
    list_filter = ["kind", "service"]


@admin.register(FindingRow)
class FindingRowAdmin(ReadOnly):
    list_display = ["incident", "round", "rank", "cause", "service", "where", "confidence", "rule"]
    list_filter = ["cause", "rule", "service"]
    list_select_related = ["incident"]
    search_fields = ["cause", "service", "incident__title"]
