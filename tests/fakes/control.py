"""A service's control endpoint as the lab's services have it: ETags, If-Match, bounds, a bearer token.

``writes`` is what was changed, in order, as (verb, path, body). ``fail`` says what goes wrong with the next PUT:
``lost_before`` and ``lost_after`` answer 500 before or after the effect, ``late`` lets it happen only when ``arrive``
is called, ``hang`` answers too late. ``watch`` is called right before and after each effect, in the server's thread.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from sre_platform.catalog.domain import Target
from tests.fakes.wire import Answer, Call, serving

TOKEN, TOKEN_ENV = "s3cret-token", "TEST_CONTROL_TOKEN"
STATES = ("open", "closed", "half_open")


def _settings(content: dict[str, Any], wanted: dict[str, Any]) -> bool:
    value = wanted.get("value")
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return content.get("min", float("-inf")) <= value <= content.get("max", float("inf"))


VALID: dict[str, Callable[[dict[str, Any], dict[str, Any]], bool]] = {
    "settings": _settings,
    "breakers": lambda _content, wanted: wanted.get("state") in STATES[:2],
    "flags": lambda _content, wanted: isinstance(wanted.get("enabled"), bool),
}


@dataclass
class FakeControl:
    documents: dict[str, dict[str, Any]] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=dict)
    writes: list[tuple[str, str, Any]] = field(default_factory=list)
    fail: str = ""
    etags: bool = True
    url: str = ""
    watch: Callable[[str], None] = lambda _when: None
    held: list[Call] = field(default_factory=list)
    lock: Any = field(default_factory=Lock)

    def set(self, path: str, **content: Any) -> None:
        """What somebody else does to it: no write of the platform's."""
        self.documents[path] = self.documents.get(path, {}) | content
        self.versions[path] = self.versions.get(path, 0) + 1

    def value(self, path: str) -> Any:
        document = self.documents[path]
        return next(document[key] for key in ("value", "state", "enabled") if key in document)

    def answer(self, call: Call) -> Answer:
        if call.headers.get("authorization") != f"Bearer {TOKEN}":
            return Answer(401, b"who are you?")
        path = call.path.lstrip("/")
        if path not in self.documents:
            return Answer(404, b"no such thing")
        if call.method == "PUT":
            return self._put(path, call)
        tag = {"ETag": f'"{self.versions[path]}"'} if self.etags else {}
        return Answer(200, json.dumps(self.documents[path]).encode(), tag)

    def _put(self, path: str, call: Call) -> Answer:
        failure, self.fail = self.fail, ""
        if failure == "late":
            self.held.append(call)
        if failure in ("lost_before", "late"):
            return Answer(500, b"lost before")
        answer = self._write(path, call)
        return Answer(500, b"lost after") if failure == "lost_after" else answer

    def _write(self, path: str, call: Call) -> Answer:
        with self.lock:
            matches = call.headers.get("if-match")
            if matches and matches != f'"{self.versions[path]}"':
                return Answer(412, b"it has changed")
            wanted = call.json()
            if not VALID[path.partition("/")[0]](self.documents[path], wanted):
                return Answer(400, b"beyond bounds")
            self.watch("before")
            self.writes.append(("PUT", f"{self.url}/{path}", wanted))
            self.set(path, **wanted)
        self.watch("after")
        return Answer(200, json.dumps(self.documents[path]).encode())

    def arrive(self) -> list[int]:
        """The requests that were held up arrive now; returns what they are answered."""
        held, self.held = self.held, []
        return [self._write(call.path.lstrip("/"), call).status for call in held]

    def target(self, low: float = 1, high: float = 40, **changes: Any) -> Target:
        at = {"url": self.url, "token_env": TOKEN_ENV}
        handles = {
            "settings": at | {"settings": {"pool": {"min": low, "max": high}}},
            "breakers": at | {"names": ["payments"]},
            "flags": at | {"names": ["recommendations"]},
        }
        return Target("orders", **{"handles": handles} | changes)


@contextmanager
def controlling(**pool: Any) -> Iterator[FakeControl]:
    """An endpoint with a pool of 10 (1 to 100), a closed breaker to payments and a flag that is on."""
    fake = FakeControl()
    fake.set("settings/pool", **{"value": 10, "min": 1, "max": 100, "unit": "connections"} | pool)
    fake.set("breakers/payments", state="closed")
    fake.set("flags/recommendations", enabled=True)
    with serving(fake.answer) as wire:
        fake.url = wire.url
        yield fake
