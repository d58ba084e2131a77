from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from sre_platform.intake.models import Alert, Delivery, IntakeToken
from sre_platform.playbook.admin import Kept, ReadOnly

SHOWN_BYTES = 20_000


@admin.register(IntakeToken)
class IntakeTokenAdmin(Kept):
    """Tokens are made by `manage.py intake_token NAME`, which shows them once; here they are revoked."""

    list_display = ["name", "revoked", "created_at"]
    list_filter = ["revoked"]
    search_fields = ["name"]
    readonly_fields = ["name", "created_at"]
    fields = [*readonly_fields, "revoked"]
    actions = ["revoke"]

    def has_add_permission(self, *_: Any) -> bool:
        return False

    @admin.action(description="Revoke: senders with this token get 401 from now on", permissions=["change"])
    def revoke(self, request: HttpRequest, rows: QuerySet[IntakeToken]) -> None:
        messages.info(request, f"{rows.update(revoked=True)} revoked.")


@admin.register(Delivery)
class DeliveryAdmin(ReadOnly):
    list_display = ["id", "received_at", "source", "state", "fate"]
    list_filter = ["state", "source"]
    search_fields = ["fate", "digest"]
    date_hierarchy = "received_at"
    fields = ["source", "received_at", "state", "fate", "digest", "text"]

    @admin.display(description="body")
    def text(self, delivery: Delivery) -> str:
        """The body as text, cut when it is long."""
        return bytes(delivery.body)[:SHOWN_BYTES].decode("utf-8", "replace")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Delivery]:
        return super().get_queryset(request).defer("body")


@admin.register(Alert)
class AlertAdmin(ReadOnly):
    list_display = ["name", "service", "starts_at", "ends_at", "resolved", "fingerprint"]
    list_filter = ["resolved", "service", "name"]
    search_fields = ["name", "service", "fingerprint"]
    date_hierarchy = "starts_at"
