"""A sender who speaks to the ASGI door, without a socket: what it sends, and what it is answered."""

import asyncio
import json
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import count
from typing import Any

from asgiref.sync import sync_to_async
from django.db import connection

from sre_platform.web.door import Door


@dataclass(frozen=True)
class Answer:
    status_code: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


async def _django(scope, receive, send):
    """Stands where Django does: whatever the door hands on is answered 418."""
    await send({"type": "http.response.start", "status": 418, "headers": []})
    await send({"type": "http.response.body", "body": b"{}"})


def send(path: str, pieces: Iterable[bytes], headers: dict[str, str], method: str = "POST") -> Answer:
    """One request, its body in pieces, through a door of its own."""
    door = Door(_django)
    try:
        return asyncio.run(_send(door, path, list(pieces), headers, method))
    finally:
        _close(door)


def send_at_once(path: str, bodies: list[bytes], headers: dict[str, str]) -> tuple[list[Answer], int]:
    """Many requests at the same time through one door; their answers, and how many commits they took."""
    door, commits = Door(_django), count()
    door.writer._stored = lambda: next(commits)

    async def everybody() -> list[Answer]:
        return await asyncio.gather(*(_send(door, path, [content], headers, "POST") for content in bodies))

    try:
        return asyncio.run(everybody()), next(commits)
    finally:
        _close(door)


def _close(door: Door) -> None:
    """Its writer's connection, and that of the thread in which it asked for senders."""
    door.writer.stop()
    asyncio.run(sync_to_async(_close_of_this_thread)())


def _close_of_this_thread() -> None:
    connection.close()


async def _send(door: Door, path: str, pieces: list[bytes], headers: dict[str, str], method: str) -> Answer:
    messages = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    messages.append({"type": "http.request", "body": b"", "more_body": False})
    coming, sent = iter(messages), []
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": method, "path": path, "headers": raw, "client": ("192.0.2.1", 1)}

    async def receive():
        return next(coming)

    async def reply(message):
        sent.append(message)

    await door(scope, receive, reply)
    fields = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return Answer(sent[0]["status"], fields, sent[1]["body"])
