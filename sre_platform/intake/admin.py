from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from sre_platform.intake import tokens
from sre_platform.intake.models import Alert, Delivery, IntakeToken
from sre_platform.kernel.errors import Malformed
from sre_platform.kernel.storable import storable
from sre_platform.playbook.admin import Kept, ReadOnly

SHOWN_BYTES = 20_000


class IntakeTokenForm(forms.ModelForm):
    """Terms that fit each other, or the reason why not."""

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        mapping = storable(cleaned.get("mapping") or {})
        try:
            tokens.check(_changed(self.instance, cleaned | {"mapping": mapping}))
        except Malformed as error:
            raise forms.ValidationError(str(error)) from error
        return cleaned | {"mapping": mapping}


def _changed(row: IntakeToken, terms: dict[str, Any]) -> IntakeToken:
    kept = {term: getattr(row, term) for term in ("name", *tokens.TERMS)}
    return IntakeToken(**kept | {term: value for term, value in terms.items() if term in kept})


@admin.register(IntakeToken)
class IntakeTokenAdmin(Kept):
    """Tokens are made by `manage.py intake_token NAME`, which shows them once; here they are revoked and adjusted."""

    form = IntakeTokenForm
    list_display = ["name", "source", "scope", "revoked", "expires_at", "created_at"]
    list_filter = ["revoked", "source", "scope"]
    search_fields = ["name"]
    readonly_fields = ["name", "scope", "created_at"]
    fields = [*readonly_fields, "revoked", "expires_at", "source", "mapping", "hmac_secret_ref", "hmac_header"]
    actions = ["revoke"]

    def has_add_permission(self, *_: Any) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: IntakeToken, form: forms.ModelForm, change: bool) -> None:
        super().save_model(request, obj, form, change)
        tokens.share_mapping(obj)

    @admin.action(description="Revoke: senders with this token get 401 from now on", permissions=["change"])
    def revoke(self, request: HttpRequest, rows: QuerySet[IntakeToken]) -> None:
        messages.info(request, f"{rows.update(revoked=True)} revoked.")
        tokens.forget()


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
