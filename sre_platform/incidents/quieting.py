"""What keeps alerts quiet, as it is in the database."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from functools import cache
from typing import Any, Protocol, TypeVar

import structlog

from sre_platform.incidents.models import InhibitionRule, MaintenanceWindow, Silence
from sre_platform.incidents.quiet import InhibitionRule as InhibitionRuleValue
from sre_platform.incidents.quiet import Labels, Quiet, why_quiet
from sre_platform.intake.domain import AlertValue
from sre_platform.intake.models import Alert
from sre_platform.kernel.errors import Malformed

SOURCES_LOOKED_AT = 10_000  # firing alerts that may inhibit others, of one rule
log = structlog.get_logger()
Value = TypeVar("Value", covariant=True)


class _Row(Protocol[Value]):
    pk: Any

    def as_value(self) -> Value: ...


def load(at: datetime) -> Quiet:
    """Everything that may keep an alert quiet at ``at`` and later, in three queries.

    A row that cannot be read (written past ``clean``) is left out and logged: its alerts are loud.
    """
    return Quiet(
        silences=_values(Silence.objects.filter(expired=False, ends_at__gt=at).order_by("pk")),
        windows=_values(MaintenanceWindow.objects.filter(enabled=True)),
        inhibitions=_values(InhibitionRule.objects.filter(enabled=True)),
    )


def judge(at: datetime, batch: Sequence[AlertValue]) -> Callable[[Labels, datetime], str]:
    """Why an alert is quiet, for the alerts of a batch that began to arrive at ``at``; they inhibit each other too."""
    rules, firing = load(at), [alert.labels for alert in batch if alert.status == "firing"]

    @cache
    def sources(rule: InhibitionRuleValue) -> list[Labels]:
        names = [matcher.value for matcher in rule.source if (matcher.name, matcher.op) == ("alertname", "=")]
        rows = Alert.objects.filter(resolved=False, **({"name": names[0]} if names else {}))
        return [*firing, *rows.values_list("labels", flat=True)[:SOURCES_LOOKED_AT]]

    return lambda labels, moment: why_quiet(labels, moment, rules, sources)


def _values(rows: Iterable[_Row[Value]]) -> tuple[Value, ...]:
    values = []
    for row in rows:
        try:
            values.append(row.as_value())
        except Malformed as error:
            log.error("quiet_rule_left_out", kind=type(row).__name__, row=row.pk, reason=str(error))
    return tuple(values)
