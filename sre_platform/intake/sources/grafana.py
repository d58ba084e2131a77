"""Grafana's alerting webhook (contact point "Webhook"), version "1".

Source of the format: https://grafana.com/docs/grafana/latest/alerting/configure-notifications/manage-contact-points/
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from sre_platform.intake.domain import AlertValue
from sre_platform.intake.reading import NEVER, Moment, Texts, read_json_object, sentence
from sre_platform.intake.webhook import WireAlert, refuse_version
from sre_platform.kernel.errors import Malformed

KEPT = ("dashboardURL", "panelURL", "valueString")  # as annotations: where to look, and what was measured


def _filled(value: Any) -> Any:
    return {} if value is None else value  # Go writes an empty map as null


class _Alert(WireAlert):
    annotations: Annotated[Texts, BeforeValidator(_filled)] = {}
    endsAt: Moment = datetime(NEVER, 1, 1, tzinfo=UTC)
    generatorURL: str = ""
    dashboardURL: str = ""
    panelURL: str = ""
    valueString: str = ""


class _Body(BaseModel):
    """Only what is read: title, state, message, orgId and whatever newer versions add may be anything."""

    model_config = ConfigDict(strict=True)
    alerts: list[_Alert]


class Grafana:
    """Grafana's unified alerting webhook; the links to the dashboard and the panel are kept as annotations."""

    name = "grafana"

    def parse(self, body: bytes, mapping: Mapping[str, Any]) -> Sequence[AlertValue]:  # noqa: ARG002
        """The alerts of one webhook body. Raises Malformed with one sentence that says what is wrong."""
        document = read_json_object(body)
        refuse_version(document, "1", "Grafana's")
        try:
            return [_value(alert) for alert in _Body.model_validate(document).alerts]
        except ValidationError as error:
            raise Malformed(sentence(error, "Grafana's webhook body")) from error


def _value(alert: _Alert) -> AlertValue:
    kept = {name: getattr(alert, name) for name in KEPT if getattr(alert, name)}
    return alert.value(kept | alert.annotations)
