"""GitHub's REST API for issues, as far as tickets need it: list by label, create, comments (in pages), close."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.fakes.wire import Answer, Call, serving

REPO, TOKEN = "shop/ops", "ghp_do-not-store-me"


class FakeGithub:
    """One repository. ``fail`` are the statuses of the next calls that fail; ``die_after`` fails after the effect."""

    def __init__(self) -> None:
        self.url = ""
        self.issues: list[dict[str, Any]] = []
        self.comments: dict[int, list[str]] = {}
        self.calls: list[tuple[str, str]] = []
        self.fail: list[int] = []
        self.die_after: set[str] = set()

    def answer(self, call: Call) -> Answer:
        self.calls.append((call.method, call.path))
        if call.headers.get("authorization") != f"Bearer {TOKEN}":
            return _json(401, {"message": "Bad credentials"})
        if self.fail:
            return _json(self.fail.pop(0), {"message": "Unicorn"})
        status, value = self._route(call)
        if call.method in self.die_after:
            self.die_after.discard(call.method)
            return _json(502, {"message": "gone after it was done"})
        return _json(status, value)

    def _route(self, call: Call) -> tuple[int, Any]:
        parts = urlsplit(call.path)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        path = parts.path.removeprefix(f"/repos/{REPO}")
        if path == "/issues":
            return self._create(call.json()) if call.method == "POST" else (200, self._page(self._find(query), query))
        if match := re.fullmatch(r"/issues/(\d+)/comments", path):
            return self._comments(int(match[1]), call, query)
        if (match := re.fullmatch(r"/issues/(\d+)", path)) and call.method == "PATCH":
            issue = self.issues[int(match[1]) - 1]
            issue.update(call.json())
            return 200, issue
        return 404, {"message": "Not Found"}

    def _find(self, query: dict[str, str]) -> list[dict[str, Any]]:
        states = ("open", "closed") if query.get("state") == "all" else (query.get("state", "open"),)
        labels = set(query["labels"].split(",")) if "labels" in query else set()
        found = [issue for issue in self.issues if issue["state"] in states and labels <= set(issue["labels"])]
        return found[::-1]  # newest first

    def _create(self, fields: dict[str, Any]) -> tuple[int, Any]:
        number = len(self.issues) + 1
        issue = {"number": number, "html_url": f"https://github.test/{REPO}/issues/{number}", "state": "open", **fields}
        self.issues.append(issue)
        return 201, issue

    def _comments(self, number: int, call: Call, query: dict[str, str]) -> tuple[int, Any]:
        known = self.comments.setdefault(number, [])
        if call.method == "GET":
            return 200, self._page([{"body": body} for body in known], query)
        known.append(call.json()["body"])
        return 201, {"body": known[-1]}

    @staticmethod
    def _page(rows: list[Any], query: dict[str, str]) -> list[Any]:
        size, page = min(int(query.get("per_page", 30)), 100), int(query.get("page", 1))
        return rows[(page - 1) * size : page * size]


def _json(status: int, value: Any) -> Answer:
    return Answer(status, json.dumps(value).encode(), {"Content-Type": "application/json"})


@contextmanager
def github() -> Iterator[FakeGithub]:
    fake = FakeGithub()
    with serving(fake.answer) as wire:
        fake.url = wire.url
        yield fake
