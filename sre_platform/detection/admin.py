from django.contrib import admin
from django.forms import ModelForm
from django.http import HttpRequest

from sre_platform.detection.models import AlertRule, OpenAlert
from sre_platform.playbook.admin import ReadOnly


@admin.register(AlertRule)
class AlertRuleAdmin(admin.ModelAdmin):
    list_display = ["name", "service", "condition", "for_s", "severity", "enabled", "version", "updated_at"]
    list_filter = ["enabled", "severity", "service"]
    list_editable = ["enabled"]
    search_fields = ["name", "service", "summary"]
    readonly_fields = ["version", "updated_at"]

    @admin.display(description="condition")
    def condition(self, rule: AlertRule) -> str:
        """What is measured, against what."""
        measured = rule.sli if isinstance(rule.sli, dict) else {}
        return f"{measured.get('kind', '?')} of {measured.get('metric', '?')} {rule.op} {rule.threshold:g}"

    def save_model(self, request: HttpRequest, obj: AlertRule, form: ModelForm, change: bool) -> None:
        if change and form.has_changed():
            obj.version += 1
        super().save_model(request, obj, form, change)


@admin.register(OpenAlert)
class OpenAlertAdmin(ReadOnly):
    list_display = ["__str__", "fingerprint", "labels", "ends_at"]
    search_fields = ["fingerprint", "labels"]
