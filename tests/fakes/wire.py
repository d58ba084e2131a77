"""A real HTTP server in a thread: what tests put on the other end of the wire."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Call:
    """A request as it came in; header names are lower-case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Answer:
    """What the server says. ``drip`` sends ``body`` byte by byte with that pause in seconds."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    drip: float = 0.0


class _Server(ThreadingHTTPServer):
    request_queue_size = 128  # of five, the sixth of those who come at once is only let in a second later


class Wire:
    """A server on a free loopback port: ``url``, and the ``calls`` it got."""

    def __init__(self, answer: Callable[[Call], Answer]) -> None:
        self.calls: list[Call] = []
        self.answer = answer
        self._stopping = threading.Event()
        self._server = _Server(("127.0.0.1", 0), self._handler())
        self.address = f"127.0.0.1:{self._server.server_port}"
        self.url = f"http://{self.address}"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        wire = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                lowered = {name.lower(): value for name, value in self.headers.items()}
                call = Call(self.command, self.path, lowered, body)
                wire.calls.append(call)
                self.say(wire.answer(call))

            def say(self, answer: Answer) -> None:
                say = self.send_response_only if "Date" in answer.headers else self.send_response
                say(answer.status)
                for name, value in {"Content-Length": str(len(answer.body)), **answer.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                for piece in (
                    [answer.body[i : i + 1] for i in range(len(answer.body))] if answer.drip else [answer.body]
                ):
                    self.wfile.write(piece)
                    if answer.drip and wire._stopping.wait(answer.drip):
                        return

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815

            def handle(self) -> None:
                with suppress(OSError):  # the client has hung up, which some tests make it do
                    super().handle()

            def log_message(self, *args: Any) -> None:
                pass

        return Handler

    @contextmanager
    def running(self) -> Iterator["Wire"]:
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._stopping.set()
            self._server.shutdown()
            self._server.server_close()


def serving(answer: Callable[[Call], Answer] | Answer) -> Any:
    """``with serving(...) as wire``: a server that gives ``answer``, or asks it for one."""
    return Wire(answer if callable(answer) else lambda _call: answer).running()
