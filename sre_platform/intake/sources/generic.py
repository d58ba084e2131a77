"""Any JSON, read by the mapping that is kept with its sender's token.

    {"alerts": "events", "status": "state", "resolved_values": ["ok"], "starts_at": "since", "ends_at": "until",
     "labels": {"alertname": "check.name", "host": "check.host"}, "annotations": {"summary": "text"},
     "constants": {"service": "payments"}, "fingerprint": "id"}

A path names the keys on the way, with dots between; a number counts into a list, and ``\\.`` is a dot of a key.
``alerts`` starts at the body and leads to one alert or a list of them; empty, or left out, means the body itself. All
other paths start at the alert. ``starts_at`` has to lead to a time that is the same when the alert fires again and, if
it is there then, when it resolves; for a sender that has none it is ``"received"``. (A key of that name is written
``\\received``.)
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from sre_platform.intake.domain import UNDATED, AlertValue
from sre_platform.intake.reading import (
    MAX_LABELS,
    SHOWN,
    Label,
    Texts,
    any_moment,
    ended,
    fingerprint_of,
    read_json,
    sentence,
    text_of,
)
from sre_platform.kernel.errors import Malformed

RECEIVED = "received"
_KEY = re.compile(r"(?:\\.|[^.\\])+")


@lru_cache(maxsize=1024)
def _keys(path: str) -> tuple[str, ...]:
    """The keys of a path. Raises ValueError when it is none."""
    keys = _KEY.findall(path)
    if ".".join(keys) != path:
        raise ValueError(f"{path[:SHOWN]!r} is not a path such as check.name")
    return tuple(re.sub(r"\\(.)", r"\1", key) for key in keys)


def _path(path: str) -> str:
    _keys(path)
    return path


Path = Annotated[str, Field(min_length=1, max_length=500), AfterValidator(_path)]
Paths = Annotated[dict[str, Path], Field(max_length=MAX_LABELS)]


class _Mapping(BaseModel):
    model_config = ConfigDict(extra="forbid")
    alerts: Annotated[str, AfterValidator(_path)] = ""
    status: Path | None = None
    resolved_values: list[Label] = []
    starts_at: Path
    ends_at: Path | None = None
    labels: Paths = {}
    annotations: Paths = {}
    constants: Texts = {}
    fingerprint: Path | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if "alertname" not in self.labels | self.constants:
            raise ValueError("alertname is needed, in labels or in constants")
        if both := sorted(set(self.labels) & set(self.constants)):
            raise ValueError(f"{both[0][:SHOWN]!r} is in labels and in constants")
        if bool(self.status) != bool(self.resolved_values):
            raise ValueError("status and resolved_values belong together")
        return self


def check_mapping(mapping: Mapping[str, Any]) -> None:
    """Raises Malformed with one sentence when ``mapping`` is not one."""
    _read(mapping)


def _read(mapping: Mapping[str, Any]) -> _Mapping:
    if not mapping:
        raise Malformed(
            "The source generic needs a mapping: give one with `manage.py intake_token NAME --mapping FILE`."
        )
    try:
        return _Mapping.model_validate(mapping)
    except ValidationError as error:
        raise Malformed(sentence(error, "the sender's mapping")) from error


class Generic:
    """Any JSON object or array, read by the mapping that belongs to its sender."""

    name = "generic"

    def parse(self, body: bytes, mapping: Mapping[str, Any]) -> Sequence[AlertValue]:
        """The alerts of one body. Raises Malformed with one sentence about the mapping or the body."""
        known, document = _read(mapping), read_json(body)
        found = _at(document, known.alerts)
        if not isinstance(found, (dict, list)):
            raise Malformed(f"In the body, {known.alerts[:SHOWN] or 'all of it'}: neither an alert nor a list of them.")
        items = found if isinstance(found, list) else [found]
        return [_value(_Alert(place, item), known) for place, item in enumerate(items)]


class _Alert:
    """One alert of the body and its place there, for the errors."""

    def __init__(self, place: int, item: Any) -> None:
        self.place, self.item = place, item
        if not isinstance(item, dict):
            raise self.wrong("it", "it is not an object")

    def wrong(self, what: str, why: str) -> Malformed:
        return Malformed(f"In the body's alert {self.place}, {what[:SHOWN]}: {why[:200]}.")

    def text(self, name: str, path: str) -> str | None:
        """The text at ``path``; None when there is nothing."""
        found = _at(self.item, path)
        try:
            return None if found is None else text_of(found)
        except ValueError as error:
            raise self.wrong(f"{name} ({path[:SHOWN]})", str(error)) from error

    def needed(self, name: str, path: str) -> str:
        text = self.text(name, path)
        if not text:
            raise self.wrong(name, f"there is nothing at {path[:SHOWN]}")
        return text

    def moment(self, name: str, path: str) -> datetime | None:
        """The time at ``path``; None when there is nothing, or the nothing of some other language."""
        found = _at(self.item, path)
        try:
            return None if found in (None, "", 0) else ended(any_moment(found))
        except ValueError as error:
            raise self.wrong(f"{name} ({path[:SHOWN]})", str(error)) from error

    def texts(self, paths: Mapping[str, str]) -> dict[str, str]:
        found = {name: self.text(name, path) for name, path in paths.items()}
        return {name: text for name, text in found.items() if text is not None}


def _value(alert: _Alert, known: _Mapping) -> AlertValue:
    labels = alert.texts(known.labels) | known.constants
    if not labels.get("alertname"):
        raise alert.wrong("alertname", f"there is nothing at {known.labels['alertname']}")
    resolved = known.status is not None and alert.needed("status", known.status) in known.resolved_values
    return AlertValue(
        fingerprint=fingerprint_of(_identity(alert, known, labels)),
        status="resolved" if resolved else "firing",
        labels=labels,
        annotations=alert.texts(known.annotations),
        starts_at=_starts_at(alert, known, resolved),
        ends_at=alert.moment("ends_at", known.ends_at) if resolved and known.ends_at else None,
        generator_url="",
    )


def _identity(alert: _Alert, known: _Mapping, labels: dict[str, str]) -> dict[str, str]:
    """The labels; or what the sender calls it, and the constants, which keep the numbers of two senders apart."""
    if known.fingerprint is None:
        return labels
    return known.constants | {"fingerprint": alert.needed("fingerprint", known.fingerprint)}


def _starts_at(alert: _Alert, known: _Mapping, resolved: bool) -> datetime:
    if known.starts_at == RECEIVED:
        return UNDATED
    found = alert.moment("starts_at", known.starts_at)
    if found is None and not resolved:
        advice = 'say "received" in the mapping when the sender gives no time'
        raise alert.wrong("starts_at", f"there is nothing at {known.starts_at[:SHOWN]}; {advice}")
    return found or UNDATED


def _at(document: Any, path: str) -> Any:
    """What ``path`` leads to; None when it leads nowhere."""
    for key in _keys(path):
        if isinstance(document, dict):
            document = document.get(key)
        elif isinstance(document, list) and key.isascii() and key.isdigit() and len(key) < 10:
            document = document[int(key)] if int(key) < len(document) else None
        else:
            return None
    return document
