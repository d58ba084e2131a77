"""Alertmanager's API v2 at the wire: alerts and silences that a test can set, and an age."""

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.fakes.wire import Answer, Call, serving

OLD = timedelta(hours=1)


def stamp(moment: datetime) -> str:
    """As the API writes times: whole milliseconds, the rest cut off."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def firing(fingerprint: str = "f1", since: datetime | None = None, **fields: Any) -> dict[str, Any]:
    """An alert as the API lists it; by default it has been firing for ten minutes."""
    since = since or datetime.now(UTC) - timedelta(minutes=10)
    labels = {"alertname": "HighErrorRatio", "service": "payments"} | fields.pop("labels", {})
    return {
        "fingerprint": fingerprint,
        "labels": labels,
        "annotations": {"summary": "Requests fail"},
        "startsAt": stamp(since),
        "endsAt": stamp(datetime.now(UTC) + timedelta(minutes=4)),
        "updatedAt": stamp(since),
        "receivers": [{"name": "sre-platform"}],
        "status": {"state": fields.pop("state", "active"), "inhibitedBy": [], "silencedBy": []},
        "generatorURL": "http://prometheus:9090/graph",
    } | fields


class FakeManager:
    """One Alertmanager. ``down`` answers 503 to all; ``die_after`` holds methods that fail once, after their effect."""

    def __init__(self) -> None:
        self.url = ""
        self.alerts: list[dict[str, Any]] = []
        self.silences: dict[str, dict[str, Any]] = {}
        self.age = OLD
        self.down = False
        self.die_after: set[str] = set()
        self.calls: list[str] = []

    def silence(self, **fields: Any) -> str:
        """A silence that somebody made there."""
        now = datetime.now(UTC)
        made = {
            "startsAt": stamp(now),
            "endsAt": stamp(now + timedelta(hours=2)),
            "createdBy": "bob",
            "comment": "swap",
        }
        made["matchers"] = [{"name": "alertname", "value": "DiskFull", "isRegex": False, "isEqual": True}]
        key = str(uuid.uuid4())
        self.silences[key] = made | {"id": key, "status": {"state": "active"}, "updatedAt": stamp(now)} | fields
        return key

    def expire(self, key: str) -> None:
        self.silences[key] |= {"status": {"state": "expired"}, "endsAt": stamp(datetime.now(UTC))}

    def answer(self, call: Call) -> Answer:
        path = call.path.removeprefix("/api/v2/")
        self.calls.append(f"{call.method} {path}")
        if self.down:
            return Answer(503, b"shutting down")
        status, value = self._route(call, path)
        if call.method in self.die_after:
            self.die_after.discard(call.method)
            return Answer(502, b"gone after it was done")
        return Answer(status, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _route(self, call: Call, path: str) -> tuple[int, Any]:
        if path.startswith("alerts?"):
            return 200, self.alerts
        if path == "status":
            return 200, {"uptime": stamp(datetime.now(UTC) - self.age)}
        if path == "silences" and call.method == "POST":
            return 200, {"silenceID": self.silence(**call.json())}
        if path == "silences":
            return 200, list(self.silences.values())
        key = path.removeprefix("silence/")
        if call.method != "DELETE" or key not in self.silences:
            return 404, "not found"
        self.expire(key)
        return 200, None


@contextmanager
def managing() -> Iterator[FakeManager]:
    fake = FakeManager()
    with serving(fake.answer) as wire:
        fake.url = wire.url
        yield fake
