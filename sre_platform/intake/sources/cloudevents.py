"""CloudEvents 1.0 in JSON: one event, or a batch of them as an array.

Source of the format: https://github.com/cloudevents/spec/blob/v1.0/json-format.md
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from sre_platform.intake.domain import UNDATED, AlertValue
from sre_platform.intake.reading import Labels, Moment, ended, fingerprint_of, read_json, sentence
from sre_platform.intake.webhook import Status
from sre_platform.kernel.errors import Malformed

Named = Annotated[str, Field(min_length=1)]


class _Data(BaseModel):
    """What an event may say about its alert; all else in ``data`` is the sender's own."""

    model_config = ConfigDict(strict=True)
    labels: Labels | None = None
    annotations: Labels | None = None
    status: Status = "firing"
    startsAt: Moment | None = None
    endsAt: Moment | None = None


def _object(data: Any) -> Any:
    return data if isinstance(data, dict) else {}  # a text or a list is good CloudEvents, and says nothing here


class _Event(BaseModel):
    """The attributes that are read; extensions and binary data are not."""

    model_config = ConfigDict(strict=True)
    specversion: Annotated[str, Field(pattern=r"^1\.0$")]
    id: Named
    source: Named
    type: Named
    subject: str | None = None
    time: Moment | None = None
    data: Annotated[_Data, BeforeValidator(_object)] = _Data()


class _Batch(BaseModel):
    events: list[_Event]


class CloudEvents:
    """CloudEvents 1.0 as structured JSON, one or a batch; ``data`` may hold labels, annotations, status and times."""

    name = "cloudevents"

    def parse(self, body: bytes, mapping: Mapping[str, Any]) -> Sequence[AlertValue]:  # noqa: ARG002
        """The alert of every event. Raises Malformed with one sentence that says what is wrong."""
        document = read_json(body)
        if not isinstance(document, (dict, list)):
            raise Malformed("The body is JSON, but neither a CloudEvent nor an array of them.")
        try:
            events = _Batch.model_validate({"events": document if isinstance(document, list) else [document]}).events
        except ValidationError as error:
            raise Malformed(sentence(error, "the CloudEvents body")) from error
        return [_value(place, event) for place, event in enumerate(events)]


def _value(place: int, event: _Event) -> AlertValue:
    data, labels = event.data, _labels(event)
    resolved = data.status == "resolved"
    # The time of a resolving event is when it ended: which occurrence that was, only startsAt can say.
    starts_at = data.startsAt or (UNDATED if resolved else event.time)
    if starts_at is None:
        raise Malformed(f"In the CloudEvents body, events.{place}: it needs a time, or startsAt in its data.")
    return AlertValue(
        fingerprint=fingerprint_of(labels if data.labels else {"id": event.id, "source": event.source}),
        status=data.status,
        labels=labels,
        annotations=data.annotations or {},
        starts_at=starts_at,
        ends_at=ended(data.endsAt) or (event.time if resolved else None),
        generator_url=event.source,
    )


def _labels(event: _Event) -> dict[str, str]:
    labels = {"alertname": event.type} | ({"service": event.subject} if event.subject else {})
    return labels | (event.data.labels or {})
