"""Argo CD's REST API as far as rolling back goes: an application with its history and operations, and what it refuses.

Source: server/application/application.proto and its Rollback; gRPC's FailedPrecondition comes as HTTP 400.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sre_platform.catalog.domain import Target
from tests.fakes.wire import Answer, Call, serving

TOKEN = "argo-t0ken"
PATH = "/api/v1/applications/payments"


class FakeArgoCd:
    """The fake's inside. ``writes`` are the operations that were begun, as (method, path, body as it came).

    ``fail`` is what goes wrong with the next POST, once: ``die_before`` or ``die_after``. ``settle`` ends an operation,
    which ``at_once`` does by itself.
    """

    def __init__(self) -> None:
        self.uid, self.started, self.operations = "uid-of-payments", "2026-11-21T19:00:00Z", 0
        self.phase = "Succeeded"
        self.running: list[str] = ["c2"]
        self.source: dict[str, Any] = {}
        self.automated: dict[str, Any] | None = None
        self.history = [{"id": 3, "revision": "c1"}, {"id": 4, "revision": "c2"}, {"id": 5, "revision": "c2"}]
        self.calls: list[tuple[str, str]] = []
        self.writes: list[tuple[str, str, bytes]] = []
        self.fail, self.at_once = "", False
        self.url = ""

    def application(self) -> dict[str, Any]:
        policy = {} if self.automated is None else {"syncPolicy": {"automated": self.automated}}
        operation = {"sync": {"revision": self.running[0]} | self.source}
        state = {"phase": self.phase, "startedAt": self.started, "operation": operation}
        status = {"history": self.history, "operationState": state}
        return {"metadata": {"name": "payments", "uid": self.uid}, "spec": policy, "status": status}

    def begin(self, revision: str, source: dict[str, Any] | None = None) -> None:
        """Somebody syncs; a rollback names its source, other syncs take the one of the spec."""
        self.operations += 1
        self.source = {"source": source} if source else {}
        self.phase, self.running, self.started = "Running", [revision], f"2026-11-21T20:00:0{self.operations}Z"

    def settle(self, phase: str = "Succeeded") -> None:
        self.phase = phase
        if phase == "Succeeded":
            self.history = [
                *self.history,
                {"id": self.history[-1]["id"] + 1, "revision": self.running[0]} | self.source,
            ]

    def answer(self, call: Call) -> Answer:
        self.calls.append((call.method, call.path))
        if call.headers.get("authorization") != f"Bearer {TOKEN}":
            return _error(401, "no session information")
        if call.path.partition("?")[0] == PATH and call.method == "GET":
            return Answer(200, json.dumps(self.application()).encode())
        if (call.path, call.method) != (f"{PATH}/rollback", "POST"):
            return _error(404, "Not Found")
        return self._roll_back(call)

    def _roll_back(self, call: Call) -> Answer:
        failure, self.fail = self.fail, ""
        if failure == "die_before":
            return _error(503, "died before")
        found = [entry for entry in self.history if entry["id"] == call.json()["id"]]
        if self.automated is not None:
            return _error(400, "rollback cannot be initiated when auto-sync is enabled")
        if self.phase == "Running":
            return _error(400, "another operation is already in progress")
        if not found:
            return _error(400, "application payments does not have deployment with id")
        self.writes.append((call.method, call.path, call.body))
        self.begin(str(found[0]["revision"]), found[0].get("source"))
        if self.at_once:
            self.settle()
        return _error(503, "died after") if failure else Answer(200, json.dumps(self.application()).encode())

    def target(self, **changes: Any) -> Target:
        handle = {"url": self.url, "application": "payments", "token_env": "ARGOCD_TOKEN"}
        return Target("payments", handles={"argocd": handle | changes})


def _error(status: int, message: str) -> Answer:
    return Answer(status, json.dumps({"error": message, "message": message, "code": 9}).encode())


@contextmanager
def serving_argocd() -> Iterator[FakeArgoCd]:
    fake = FakeArgoCd()
    with serving(fake.answer) as wire:
        fake.url = wire.url
        yield fake
