"""Alertmanager's webhook, version "4".

Source of the format: https://prometheus.io/docs/alerting/latest/configuration/#webhook_config
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sre_platform.intake.domain import AlertValue
from sre_platform.intake.reading import Texts, read_json_object, sentence
from sre_platform.intake.webhook import Status, WireAlert, refuse_version
from sre_platform.kernel.errors import Malformed


class _Body(BaseModel):
    """Newer versions add fields: unknown keys are accepted."""

    model_config = ConfigDict(strict=True)
    version: str
    groupKey: str
    truncatedAlerts: int = Field(0, ge=0)
    status: Status
    receiver: str
    groupLabels: Texts
    commonLabels: Texts
    commonAnnotations: Texts
    externalURL: str
    alerts: list[WireAlert]


class Alertmanager:
    """Alertmanager's webhook, version 4."""

    name = "alertmanager"

    def parse(self, body: bytes, mapping: Mapping[str, Any]) -> Sequence[AlertValue]:  # noqa: ARG002
        """The alerts of one webhook body. Raises Malformed with one sentence that says what is wrong."""
        document = read_json_object(body)
        refuse_version(document, "4", "Alertmanager's")
        try:
            return [_value(alert) for alert in _Body.model_validate(document).alerts]
        except ValidationError as error:
            raise Malformed(sentence(error, "Alertmanager's webhook body")) from error


def _value(alert: WireAlert) -> AlertValue:
    """The webhook has nanoseconds and the API has milliseconds: cut, so that one occurrence has one start."""
    value = alert.value()
    return replace(value, starts_at=value.starts_at.replace(microsecond=value.starts_at.microsecond // 1000 * 1000))
