"""Alert rules as people edit them, and the alerts that the embedded evaluator has to see to their end."""

import dataclasses
from collections.abc import Sequence
from typing import ClassVar

import structlog
from django.core.exceptions import ValidationError
from django.db import DatabaseError, models, transaction

from sre_platform.detection import domain
from sre_platform.detection.delivery import Alert, fingerprint
from sre_platform.kernel.errors import Unavailable

log = structlog.get_logger(__name__)


class AlertRule(models.Model):
    """When to raise an alert. What it means stands at ``domain.AlertRule``, whose value it holds."""

    OPS: ClassVar = [(op, op) for op in (">", ">=", "<", "<=")]

    name = models.CharField(max_length=100, help_text="A letter, then letters, digits and _ . : -")
    service = models.CharField(max_length=100, db_index=True)
    sli = models.JSONField(help_text='What to measure: {"kind": "gauge", "metric": "queue_depth"}')
    op = models.CharField(max_length=2, choices=OPS, default=">")
    threshold = models.FloatField()
    for_s = models.FloatField(default=0, help_text="Seconds for which the condition must hold before the alert fires.")
    severity = models.CharField(max_length=40, default="warning")
    summary = models.CharField(max_length=500, blank=True)
    labels = models.JSONField(default=dict, blank=True, help_text="Added to the alert: a text for each name.")
    enabled = models.BooleanField(default=True)
    updated_at = models.DateTimeField(auto_now=True)
    version = models.PositiveIntegerField(default=1)

    class Meta:
        ordering = ["name", "service"]
        constraints = [
            models.CheckConstraint(condition=models.Q(for_s__gte=0), name="alert_rule_for_not_negative"),
            models.UniqueConstraint(fields=["name", "service"], name="alert_rule_once_per_service"),
        ]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        """Raises ValidationError, by field, unless this row is a rule that Prometheus would take as well."""
        try:
            self.as_value()
        except domain.InvalidRule as error:
            raise ValidationError(dict(error.wrong)) from error

    def as_value(self) -> domain.AlertRule:
        """This row as the value that is evaluated and exported. Raises InvalidRule."""
        return domain.parse_rule({field: getattr(self, field) for field in _FIELDS})


_FIELDS = tuple(field.name for field in dataclasses.fields(domain.AlertRule))


def enabled_rules() -> list[domain.AlertRule]:
    """The rules in force. A row that is no rule (written past ``clean``) is left out and logged. Raises Unavailable."""
    try:
        rows = list(AlertRule.objects.filter(enabled=True))
    except DatabaseError as error:
        raise Unavailable(f"The alert rules cannot be read: {error}.") from error
    return [rule for row in rows if (rule := _value_or_none(row)) is not None]


def _value_or_none(row: AlertRule) -> domain.AlertRule | None:
    try:
        return row.as_value()
    except domain.InvalidRule as error:
        log.error("rule_left_out", rule=row.name, error=str(error))
        return None


class OpenAlert(models.Model):
    """An alert of the embedded evaluator whose end the receiver has not confirmed. Times are Unix seconds."""

    fingerprint = models.CharField(max_length=16, unique=True)
    labels = models.JSONField()
    annotations = models.JSONField()
    starts_at = models.FloatField()
    ends_at = models.FloatField(null=True)

    def __str__(self) -> str:
        return f"{self.labels.get('alertname')} since {self.starts_at}"


class DatabaseLedger:
    """The evaluator's ``Ledger`` in the database: an alert that fired before a crash is still resolved after it."""

    def load(self) -> list[Alert]:
        """Raises Unavailable."""
        try:
            rows = list(OpenAlert.objects.all())
        except DatabaseError as error:
            raise Unavailable(f"The open alerts cannot be read: {error}.") from error
        return [Alert(tuple(sorted(r.labels.items())), r.annotations, r.starts_at, r.ends_at) for r in rows]

    def save(self, alerts: Sequence[Alert]) -> None:
        """Raises Unavailable."""
        try:
            with transaction.atomic():
                OpenAlert.objects.all().delete()
                OpenAlert.objects.bulk_create([_row(alert) for alert in alerts])
        except DatabaseError as error:
            raise Unavailable(f"The open alerts cannot be stored: {error}.") from error


def _row(alert: Alert) -> OpenAlert:
    return OpenAlert(
        fingerprint=fingerprint(alert.labels),
        labels=dict(alert.labels),
        annotations=dict(alert.annotations),
        starts_at=alert.starts_at,
        ends_at=alert.ends_at,
    )
