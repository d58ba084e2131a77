"""The library in the admin: editing a playbook makes a new version, old versions stay as they were."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from sre_platform.kernel.errors import Malformed
from sre_platform.playbook import library
from sre_platform.playbook.models import PlaybookVersion
from sre_platform.playbook.schema import parse_playbook


class Kept(admin.ModelAdmin):
    """Rows that others refer to: they are never deleted here."""

    def has_delete_permission(self, *_: Any) -> bool:
        return False


class ReadOnly(Kept):
    """Rows that the platform writes: people look at them, and nobody edits them."""

    def has_add_permission(self, *_: Any) -> bool:
        return False

    def has_change_permission(self, *_: Any) -> bool:
        return False


class PlaybookForm(forms.ModelForm):
    """The text, and whatever is wrong with it at the field. A version can change all but the playbook's name."""

    class Meta:
        model = PlaybookVersion
        fields = ["text"]
        help_texts = {"text": "Saving makes a new version. Incidents under way keep the one they were opened with."}
        widgets = {"text": forms.Textarea(attrs={"rows": 36, "cols": 110, "class": "yaml", "spellcheck": "false"})}

    def clean_text(self) -> str:
        text = self.cleaned_data["text"].replace("\r\n", "\n") + "\n"  # the field has stripped the last one
        try:
            name = parse_playbook(text).name
        except Malformed as error:
            raise forms.ValidationError(str(error)) from error
        if self.instance.pk and name != self.instance.name:
            raise forms.ValidationError(f"This is {self.instance.name}; add another playbook to call one {name}.")
        return text


@admin.register(PlaybookVersion)
class PlaybookVersionAdmin(Kept):
    form = PlaybookForm
    list_display = ["name", "version", "in_force", "source", "created_at"]
    list_filter = ["in_force", "name"]
    search_fields = ["name", "text", "source"]
    readonly_fields = ["name", "version", "in_force", "source", "digest", "created_at"]
    fields = ["text", *readonly_fields]
    actions = ["put_in_force"]

    class Media:
        css = {"all": ["web/admin.css"]}

    def has_change_permission(self, request: HttpRequest, obj: PlaybookVersion | None = None) -> bool:
        return super().has_change_permission(request, obj) and (obj is None or obj.in_force)

    def save_model(self, request: HttpRequest, obj: PlaybookVersion, form: forms.ModelForm, change: bool) -> None:
        """Never saves ``obj``: its text becomes the newest version, and the admin goes on with that row."""
        row, is_new = library.store(form.cleaned_data["text"], f"edited by {request.user.get_username()}")
        for field in PlaybookVersion._meta.concrete_fields:
            setattr(obj, field.attname, getattr(row, field.attname))
        if change and not is_new:
            messages.warning(request, f"{row} says exactly this already, so no new version was made.")

    def response_change(self, request: HttpRequest, obj: PlaybookVersion) -> HttpResponse:
        """To the new version, where Django would go on with the row that was opened."""
        answer = super().response_change(request, obj)
        return redirect("admin:playbook_playbookversion_change", obj.pk) if "_continue" in request.POST else answer

    @admin.action(description="Put this text in force again, as the newest version", permissions=["change"])
    def put_in_force(self, request: HttpRequest, rows: QuerySet[PlaybookVersion]) -> None:
        for row in rows:
            stored, is_new = library.store(row.text, f"{row}, put in force by {request.user.get_username()}")
            messages.info(request, f"{stored} is in force{'' if is_new else ' already'}.")
