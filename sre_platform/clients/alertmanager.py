"""Alertmanager's API, version 2: what fires there, and its silences.

Source: api/v2/openapi.yaml of Alertmanager 0.25; everything later so far answers the same. Its times have milliseconds,
where its webhook has nanoseconds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote, unquote, urlencode, urlsplit, urlunsplit

from sre_platform.clients import http
from sre_platform.kernel.clock import now, parse_rfc3339
from sre_platform.kernel.errors import Malformed

MAX_BYTES = 64 * 1024 * 1024  # some 50,000 alerts


@dataclass(frozen=True)
class Alert:
    """An alert that fires. ``state`` is active, suppressed (silenced or inhibited) or unprocessed."""

    fingerprint: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    starts_at: datetime
    state: str
    receivers: tuple[str, ...]
    generator_url: str = ""


@dataclass(frozen=True)
class Silence:
    """A silence. ``state`` is pending, active or expired; ``matchers`` have name, value, isRegex, isEqual."""

    id: str
    matchers: Sequence[Mapping[str, Any]]
    starts_at: datetime
    ends_at: datetime
    created_by: str
    comment: str
    state: str


class Alertmanager:
    """One Alertmanager. ``url`` may carry user and password, and a path.

    Every method raises Unavailable, Rejected, Malformed or TooLarge.
    """

    def __init__(self, url: str) -> None:
        http.check_url(url)
        parts = urlsplit(url)
        self._auth = (unquote(parts.username), unquote(parts.password or "")) if parts.username else None
        self.url = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path.rstrip("/"), "", ""))

    def alerts(self, active: bool = True, silenced: bool = True, inhibited: bool = True) -> list[Alert]:
        """What fires there; the three kinds may be left out."""
        asked = {"active": active, "silenced": silenced, "inhibited": inhibited, "unprocessed": active}
        query = urlencode({name: str(value).lower() for name, value in asked.items()})
        return [self._read(_alert, item) for item in self._list(f"alerts?{query}")]

    def silences(self) -> list[Silence]:
        """All its silences, those that expired lately too."""
        return [self._read(_silence, item) for item in self._list("silences")]

    def put_silence(
        self,
        matchers: Sequence[Mapping[str, Any]],
        starts_at: datetime,
        ends_at: datetime,
        created_by: str,
        comment: str,
    ) -> str:
        """Make a silence; returns its id. Calling again makes another one."""
        body = {
            "matchers": list(matchers),
            "startsAt": starts_at.astimezone(UTC).isoformat(),
            "endsAt": ends_at.astimezone(UTC).isoformat(),
            "createdBy": created_by,
            "comment": comment,
        }
        return str(self._read(lambda item: item["silenceID"], self._call("POST", "silences", body).json()))

    def expire_silence(self, silence_id: str) -> None:
        """End a silence; one that has ended is no error."""
        self._call("DELETE", f"silence/{quote(silence_id, safe='')}")

    def up_for_s(self) -> float:
        """For how many seconds it has been running, by its own clock."""
        answer = self._call("GET", "status")
        began = self._read(lambda item: parse_rfc3339(item["uptime"]), answer.json())
        return (_date(answer) - began).total_seconds()

    def _call(self, method: str, path: str, body: Any = None) -> http.Response:
        url = f"{self.url}/api/v2/{path}"
        return http.request(method, url, json=body, auth=self._auth, max_bytes=MAX_BYTES, deadline_s=10.0)

    def _list(self, path: str) -> list[Any]:
        items = self._call("GET", path).json()
        if not isinstance(items, list):
            raise Malformed(f"{self.url} does not answer like Alertmanager: a list was expected.")
        return items

    def _read(self, read: Any, item: Any) -> Any:
        try:
            return read(item)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise Malformed(f"{self.url} does not answer like Alertmanager: {error!r}.") from error


def _date(answer: http.Response) -> datetime:
    try:
        return parsedate_to_datetime(answer.headers["date"]).astimezone(UTC)
    except (KeyError, ValueError):
        return now()  # a proxy has taken the header away


def _alert(item: dict[str, Any]) -> Alert:
    return Alert(
        fingerprint=_text(item["fingerprint"]),
        labels=_texts(item["labels"]),
        annotations=_texts(item.get("annotations") or {}),
        starts_at=parse_rfc3339(item["startsAt"]),
        state=_text(item["status"]["state"]),
        receivers=tuple(_text(receiver["name"]) for receiver in item["receivers"]),
        generator_url=_text(item.get("generatorURL") or ""),
    )


def _silence(item: dict[str, Any]) -> Silence:
    return Silence(
        id=_text(item["id"]),
        matchers=[dict(matcher) for matcher in item["matchers"]],
        starts_at=parse_rfc3339(item["startsAt"]),
        ends_at=parse_rfc3339(item["endsAt"]),
        created_by=_text(item["createdBy"]),
        comment=_text(item["comment"]),
        state=_text(item["status"]["state"]),
    )


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _texts(value: Any) -> dict[str, str]:
    return {_text(name): _text(text) for name, text in value.items()}
