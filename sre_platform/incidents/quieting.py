"""What keeps alerts quiet, as it is in the database."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Protocol, TypeVar

import structlog

from sre_platform.incidents.models import InhibitionRule, MaintenanceWindow, Silence
from sre_platform.incidents.quiet import Quiet
from sre_platform.kernel.errors import Malformed

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


def _values(rows: Iterable[_Row[Value]]) -> tuple[Value, ...]:
    values = []
    for row in rows:
        try:
            values.append(row.as_value())
        except Malformed as error:
            log.error("quiet_rule_left_out", kind=type(row).__name__, row=row.pk, reason=str(error))
    return tuple(values)
