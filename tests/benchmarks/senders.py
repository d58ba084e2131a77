"""Senders as light as Python makes them: prepared requests over kept connections, each sent when the last is answered.

Run as a process of its own: ``python -m tests.benchmarks.senders PORT PATH TOKEN SECONDS ALERTS [CONCURRENCY] [RATE]``.
Prints one JSON object: requests, alerts, seconds, answers by status, and latencies in milliseconds.
"""

import asyncio
import json
import sys
from collections import Counter
from itertools import count
from time import perf_counter

from tests.fakes.alertmanager import alert, body

SERVICES = 500
numbers = count()


def prepared(path: str, token: str, alerts: int, prefix: str) -> bytes:
    """One request with so many alerts that nobody has sent before."""
    named = [(next(numbers), number) for number in range(alerts)]
    content = body(*(alert(f"A{one % 7}", f"s{one % SERVICES}", fingerprint=f"{prefix}{one:08x}") for one, _ in named))
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    return head.encode() + content


class Load:
    """``pause_s`` is between two requests of one sender; 0 sends as fast as answers come."""

    def __init__(self, port: int, requests: list[bytes], seconds: float, pause_s: float = 0.0) -> None:
        self.port, self.requests, self.seconds, self.pause_s = port, requests, seconds, pause_s
        self.latencies: list[float] = []
        self.answers: Counter[int] = Counter()
        self.sent = 0

    async def run(self, senders: int) -> float:
        """Send; returns the seconds it took."""
        began = perf_counter()
        await asyncio.gather(*(self._send(began + self.seconds) for _ in range(senders)))
        return perf_counter() - began

    async def _send(self, until: float) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        while (now := perf_counter()) < until and self.sent < len(self.requests):
            request = self.requests[self.sent]
            self.sent += 1
            writer.write(request)
            status, closes = await _answer(reader)
            if closes:
                writer.close()
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            self.latencies.append((perf_counter() - now) * 1000)
            self.answers[status] += 1
            if self.pause_s:
                await asyncio.sleep(max(0.0, self.pause_s - (perf_counter() - now)))
        writer.close()


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bool]:
    """The status, and whether the other side closes the connection now."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
    await reader.readexactly(length)
    return int(head[9:12]), b"connection: close" in head


def percentile(values: list[float], share: float) -> float:
    """The nearest-rank percentile."""
    ordered = sorted(values)
    return ordered[max(0, min(len(ordered) - 1, int(share * len(ordered) + 0.5) - 1))]


def main(
    port: int, path: str, token: str, seconds: float, alerts: int, senders: int, most: int, pause_s: float
) -> None:
    prefix = f"{int(perf_counter() * 1e6) & 0xFFFFFF:06x}"
    load = Load(port, [prepared(path, token, alerts, prefix) for _ in range(most)], seconds, pause_s)
    took = asyncio.run(load.run(senders))
    good = load.answers[202]
    print(  # noqa: T201 this is what the process is for
        json.dumps(
            {
                "requests": len(load.latencies),
                "seconds": took,
                "answers": load.answers,
                "alerts_per_s": good * alerts / took,
                "p50_ms": percentile(load.latencies, 0.5),
                "p99_ms": percentile(load.latencies, 0.99),
            }
        )
    )


if __name__ == "__main__":
    words = sys.argv[1:]
    main(
        int(words[0]), words[1], words[2], float(words[3]), int(words[4]), int(words[5]), int(words[6]), float(words[7])
    )
