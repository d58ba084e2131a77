from django.contrib import admin

from sre_platform.playbook.admin import ReadOnly
from sre_platform.tickets.models import LocalComment, LocalTicket, Ticket


@admin.register(Ticket)
class TicketAdmin(ReadOnly):
    list_display = ["title", "system", "reference", "wanted", "actual", "due_at", "attempts", "trouble"]
    list_filter = ["system", "wanted", "actual"]
    search_fields = ["title", "reference", "key", "trouble"]


class _Comments(admin.TabularInline):
    model = LocalComment
    extra = 0
    fields = ["at", "text"]
    readonly_fields = ["at"]


@admin.register(LocalTicket)
class LocalTicketAdmin(ReadOnly):
    list_display = ["title", "closed", "opened_at", "labels"]
    list_filter = ["closed"]
    search_fields = ["title", "body", "key"]
    date_hierarchy = "opened_at"
    inlines = [_Comments]
