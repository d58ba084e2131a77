"""Alertmanager's webhook, version "4".

Source of the format: https://prometheus.io/docs/alerting/latest/configuration/#webhook_config
"""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal, NoReturn

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from sre_platform.intake.domain import AlertValue
from sre_platform.kernel.clock import parse_rfc3339
from sre_platform.kernel.errors import Malformed
from sre_platform.kernel.storable import storable_text

MAX_LABELS = 200
SHOWN = 80  # characters of a label's name in an error: the sender chose them
_NEVER = 1  # Alertmanager writes year 1 for "has not ended"


def _moment(value: Any) -> datetime:
    if not isinstance(value, str):
        raise ValueError("must be an RFC 3339 time")
    return parse_rfc3339(value)


Moment = Annotated[datetime, BeforeValidator(_moment)]
Text = Annotated[str, AfterValidator(storable_text)]
Texts = Annotated[dict[Text, Text], Field(max_length=MAX_LABELS)]


class _Alert(BaseModel):  # the names are the wire's
    model_config = ConfigDict(strict=True)
    status: Literal["firing", "resolved"]
    labels: Texts = Field(min_length=1)
    annotations: Texts
    startsAt: Moment
    endsAt: Moment
    generatorURL: Text
    fingerprint: Text = Field(min_length=1, max_length=64)


class _Body(BaseModel):
    """Newer versions add fields: unknown keys are accepted."""

    model_config = ConfigDict(strict=True)
    version: str
    groupKey: str
    truncatedAlerts: int = Field(0, ge=0)
    status: Literal["firing", "resolved"]
    receiver: str
    groupLabels: Texts
    commonLabels: Texts
    commonAnnotations: Texts
    externalURL: str
    alerts: list[_Alert]


class Alertmanager:
    """Alertmanager's webhook, version 4."""

    name = "alertmanager"

    def parse(self, body: bytes) -> Sequence[AlertValue]:
        """The alerts of one webhook body. Raises Malformed with one sentence that says what is wrong."""
        document = _json_object(body)
        if document.get("version") != "4":
            given = json.dumps(document.get("version"))[:40]
            raise Malformed(f"The body's version is {given}; this endpoint takes Alertmanager's webhook version \"4\".")
        try:
            return [_value(alert) for alert in _Body.model_validate(document).alerts]
        except ValidationError as error:
            raise Malformed(_sentence(error)) from error


def _value(alert: _Alert) -> AlertValue:
    return AlertValue(
        fingerprint=alert.fingerprint,
        status=alert.status,
        labels=alert.labels,
        annotations=alert.annotations,
        starts_at=_in_milliseconds(alert.startsAt),
        ends_at=None if alert.endsAt.year == _NEVER else alert.endsAt,
        generator_url=alert.generatorURL,
    )


def _in_milliseconds(moment: datetime) -> datetime:
    """The webhook has nanoseconds and the API has milliseconds: cut, so that one occurrence has one start."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body.decode("utf-8"), parse_constant=_no_constant)
    except UnicodeDecodeError as error:
        raise Malformed(f"The body is not UTF-8: byte {error.start} cannot be read.") from error
    except RecursionError as error:
        raise Malformed("The body is nested too deeply.") from error
    except ValueError as error:
        raise Malformed(f"The body is not JSON: {str(error)[:200]}.") from error
    if not isinstance(document, dict):
        raise Malformed("The body is JSON, but not an object.")
    return document


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _sentence(error: ValidationError) -> str:
    first, rest = error.errors()[0], error.error_count() - 1
    where = ".".join(str(part)[:SHOWN] for part in first["loc"])
    message = first["msg"].removeprefix("Value error, ").removeprefix("Field ").lower()
    more = f" (and {rest} more)" if rest else ""
    return f"In Alertmanager's webhook body, {where}: {message}{more}."
