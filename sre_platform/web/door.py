"""The door for alerts: ``POST /hooks/<source>``, 202 once the webhook is committed. It stands before Django.

Middleware, sessions and a thread for each request would cost more than storing a webhook does. Whoever has no valid
token is sent away before the body is read; a body is read up to its limit and for a bounded time.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from time import monotonic
from typing import Any

import structlog
from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import Error as DatabaseFailure
from django.db import connection

from sre_platform.clients import metrics
from sre_platform.engine.bell import Bell
from sre_platform.intake import tokens
from sre_platform.intake.domain import Sender
from sre_platform.intake.models import Delivery
from sre_platform.intake.receive import SOURCES, Arrived
from sre_platform.intake.signatures import signed
from sre_platform.kernel.errors import Unavailable
from sre_platform.web.writer import Writer

PREFIX = "/hooks/"
BODY_WITHIN_S = 10.0
RETRY_AFTER_S = 2
log = structlog.get_logger()
Scope = dict[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class Refused(Exception):
    """The webhook is not taken, with a status and one sentence."""

    def __init__(self, status: int, sentence: str, **headers: str) -> None:
        super().__init__(sentence)
        self.status, self.headers = status, headers


class Door:
    """An ASGI application that takes webhooks and hands everything else on."""

    def __init__(self, inner: App) -> None:
        self.inner = inner
        self.writer = Writer(Bell().ring, settings.SRE_MAX_PENDING)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        source = scope.get("path", "").removeprefix(PREFIX)
        if scope["type"] != "http" or scope["method"] != "POST" or source not in SOURCES.names():
            await self.inner(scope, receive, send)
            return
        try:
            delivery = await self._take(source, _headers(scope), receive)
        except Refused as refused:
            metrics.delivery(source, refused.status)
            await _refuse(send, scope, refused)
        else:
            metrics.delivery(source, 202)
            await _answer(send, 202, {"delivery": delivery.pk}, ())

    async def _take(self, source: str, headers: dict[str, str], receive: Receive) -> Delivery:
        sender = await _sender(source, headers.get("authorization", ""))
        if headers.get("content-encoding", "identity") != "identity":
            raise Refused(400, "The body must not be compressed.")
        body = await _body(headers, receive)
        try:
            _check_signature(sender, body, headers)
            delivery = await self.writer.store(Arrived(source, body, sender.name, sender.mapping))
        except Unavailable as error:
            raise _later(error) from error
        if delivery.state == Delivery.State.REJECTED:
            raise Refused(400, delivery.fate)
        return delivery


async def _sender(source: str, authorization: str) -> Sender:
    sender = tokens.kept_sender(authorization) or await sync_to_async(_known)(authorization)
    if sender is None:
        sentence = "A valid bearer token is needed: make one with `manage.py intake_token NAME`."
        raise Refused(401, sentence, **{"www-authenticate": 'Bearer realm="intake"'})
    if not sender.may_send(source):
        raise Refused(403, f"The token of {sender.name} is not for {source}.")
    return sender


def _known(authorization: str) -> Sender | None:
    """No request of Django's looks after this thread's connection: one that broke is closed, so that it is replaced."""
    try:
        return tokens.sender(authorization)
    except DatabaseFailure as error:
        log.warning("senders_not_read", reason=str(error))
        connection.close()
        raise _later(Unavailable("The database does not answer.")) from error


def _later(error: Unavailable) -> Refused:
    return Refused(503, f"{error} Send it again in {RETRY_AFTER_S} s.", **{"retry-after": str(RETRY_AFTER_S)})


def _check_signature(sender: Sender, body: bytes, headers: Mapping[str, str]) -> None:
    if not signed(sender, body, headers.get(sender.hmac_header.lower(), "")):
        raise Refused(401, f"The body's signature in {sender.hmac_header} is missing or wrong.")


def _headers(scope: Scope) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}


async def _body(headers: dict[str, str], receive: Receive) -> bytes:
    limit = settings.SRE_MAX_WEBHOOK_BYTES
    announced = headers.get("content-length", "0")
    if not announced.isdecimal() or int(announced[:20]) > limit:
        raise Refused(413, f"The body is larger than {limit} bytes.")
    try:
        async with asyncio.timeout(BODY_WITHIN_S):
            return await _read(limit, receive)
    except TimeoutError:
        raise Refused(408, f"The body did not come within {BODY_WITHIN_S:.0f} s.") from None


async def _read(limit: int, receive: Receive) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Refused(400, "The sender went away.")
        body += message.get("body", b"")
        if len(body) > limit:
            raise Refused(413, f"The body is larger than {limit} bytes.")
        if not message.get("more_body"):
            return bytes(body)


async def _refuse(send: Send, scope: Scope, refused: Refused) -> None:
    if times := _OVERLOADED.say() if refused.status == 503 else 1:
        peer = (scope.get("client") or ("",))[0]
        facts = {"path": scope["path"], "status": refused.status, "reason": str(refused), "peer": peer}
        log.warning("webhook_refused", **facts, times=times)
    await _answer(send, refused.status, {"error": str(refused)}, refused.headers.items())


class Sparing:
    """Once a second, how often it was said: whoever is overloaded must not be busy with saying so."""

    def __init__(self) -> None:
        self._said, self._times = -1.0, 0

    def say(self) -> int:
        """How often it happened since the last line; 0 when this is not the time for another."""
        self._times += 1
        if monotonic() - self._said < 1.0:
            return 0
        self._said, times, self._times = monotonic(), self._times, 0
        return times


_OVERLOADED = Sparing()


async def _answer(send: Send, status: int, content: dict[str, Any], headers: Iterable[tuple[str, str]]) -> None:
    body = json.dumps(content).encode()
    fields = [("content-type", "application/json"), ("content-length", str(len(body))), *headers]
    encoded = [(name.encode(), value.encode("latin-1")) for name, value in fields]
    await send({"type": "http.response.start", "status": status, "headers": encoded})
    await send({"type": "http.response.body", "body": body})
