"""What stands around a recorded service: its clients, and the dependency that it calls."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

PATIENCE = 1.0  # seconds until a client that asks gives up
AT_ONCE = 8
SLOW = 0.4  # seconds that the slow dependency takes

Line = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass
class Clients:
    """The clients of one service. ``lines`` are the connections that stay open."""

    port: int
    path: str
    lines: list[asyncio.StreamWriter] = field(default_factory=list)

    async def ask(self) -> None:
        """One request; the client closes when it has its answer, or gives up."""
        reader, writer = await self._say(f"GET {self.path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        with contextlib.suppress(TimeoutError, OSError):
            await asyncio.wait_for(reader.read(), PATIENCE)
        writer.close()

    async def patient(self) -> None:
        """One request whose client waits as long as it takes."""
        self.lines.append((await self._say(f"GET {self.path} HTTP/1.1\r\nHost: localhost\r\n\r\n"))[1])

    async def keep(self) -> None:
        """One request whose client has its answer and keeps the connection."""
        await self.patient()
        await asyncio.sleep(0.02)

    async def half(self) -> None:
        """The first half of a request's head."""
        self.lines.append((await self._say(f"GET {self.path} HTTP/1.1\r\nHost: loc"))[1])

    async def body(self) -> None:
        """A request whose body does not come to its end."""
        head = f"POST {self.path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5000\r\n\r\n"
        self.lines.append((await self._say(head + '{"name": "'))[1])

    async def silent(self) -> None:
        self.lines.append((await self._say(""))[1])

    async def greet(self) -> None:
        self.lines.append((await self._say("HELLO\n"))[1])

    async def flow(self, stop: asyncio.Event, every: float = 0.0) -> None:
        """One client after the other, until the recording ends."""
        while not stop.is_set():
            await self.ask()
            await asyncio.sleep(every)

    def hang_up(self) -> None:
        for writer in self.lines:
            writer.close()
        self.lines.clear()

    async def many(self, one: Callable[[], Awaitable[None]], count: int) -> None:
        for start in range(0, count, AT_ONCE):
            await asyncio.gather(*(one() for _ in range(start, min(count, start + AT_ONCE))))

    async def _say(self, words: str) -> Line:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(words.encode())
        await writer.drain()
        return reader, writer


async def fetch(port: int, path: str) -> bytes:
    """The body of an answer of the service's profiles."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
    answer = await asyncio.wait_for(reader.read(), 30)
    writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    if b" 200 " not in head.splitlines()[0]:
        raise ValueError(f"{path}: {head.splitlines()[0].decode()}")
    return body


async def dependency(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Hangs, streams without an end, fails, is slow or answers at once: as the path of the request says."""
    with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
        while True:
            head = await reader.readuntil(b"\n")
            if b"HTTP/1." not in head:
                continue  # another protocol: never an answer
            await reader.readuntil(b"\r\n\r\n") if head != b"\r\n" else None
            await _answer(head.split()[1].decode(), reader, writer)
    writer.close()


async def _answer(path: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    if path.startswith("/hang"):
        await reader.read()
        raise asyncio.IncompleteReadError(b"", None)
    if path.startswith("/slow"):
        await asyncio.sleep(SLOW)
    status = "500 Internal Server Error" if path.startswith("/fail") else "200 OK"
    length = 100_000 if path.startswith(("/stream", "/fail")) else 12
    writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n".encode() + b'{"ok": true}')
    await writer.drain()
