"""How fast the intake is, against the floor (tests/benchmarks/floor.py) measured in turns on the same machine.

``accepted`` alerts are acknowledged and stored; ``digested`` ones are deduplicated, correlated and visible.
"""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from time import perf_counter, sleep
from typing import Any

from sre_platform.embedded.parts import free_ports
from tests.benchmarks.senders import Load, percentile, prepared
from tests.benchmarks.stack import HOME, Installation, asking, measured, rows, send
from tests.torture.installation import Part

BATCHES = (1, 10, 50)
TURNS, SECONDS = 3, 4.0
OFFERED_PER_S, SUSTAINED_PER_S, SUSTAINED_S = 2_000, 1_500, 30.0
IDLE_LOOKS = 60
SENDERS = 32  # so many that each may wait for its answer and the rate still holds
DIGEST_ALONE = """
import django, sys, time
django.setup()
from sre_platform.engine.digestion import digest
from sre_platform.intake.receive import Arrived, receive_all
from tests.fakes.alertmanager import alert, body
def store(first, deliveries, alerts):
    numbers = iter(range(first, first + deliveries * alerts))
    receive_all([Arrived("alertmanager", body(*(
        alert(f"A{n % 7}", f"s{n % 20}", fingerprint=f"{n:016x}") for n, _ in zip(numbers, range(alerts))
    ))) for _ in range(deliveries)])
def drain():
    began = time.perf_counter()
    while digest().deliveries:
        pass
    return time.perf_counter() - began
store(0, 2, 50); drain()
few = []
for turn in range(9):
    store(1000 + turn * 1000, 10, 10); few.append(drain() / 100)
store(100_000, 200, 50); drain()
many = []
for turn in range(9):
    store(200_000 + turn * 1000, 10, 10); many.append(drain() / 100)
print(min(few), min(many))
"""


@contextmanager
def floor(it: Installation) -> Iterator[int]:
    """The floor beside the installation, on the same server program and the same database; its port."""
    port = free_ports({"floor": 0})["floor"]
    command = [sys.executable, "-m", "uvicorn", "tests.benchmarks.floor:application", "--host", "127.0.0.1"]
    environment = dict(it.environment) | {"FLOOR": "asgi", "PYTHONPATH": str(HOME)}
    part = Part(
        "floor",
        [*command, "--port", str(port), "--log-level", "warning"],
        environment,
        HOME / "var/bench/log/floor.log",
    )
    part.start()
    sleep(4)
    try:
        yield port
    finally:
        part.end()


def accepted(database: str) -> dict[str, Any]:
    """Alerts a second and latencies at each batch, the platform's door and the floor in turns."""
    found: dict[str, Any] = {}
    with measured(database, SRE_MAX_PENDING="100000000") as it, floor(it) as floor_port:
        for name in ("worker-1", "worker-2", "beat"):
            it.parts[name].kill()  # the floor digests nothing either
        for alerts in BATCHES:
            turns = [
                (send(it, it.web_port, alerts, SECONDS), send(it, floor_port, alerts, SECONDS)) for _ in range(TURNS)
            ]
            found[str(alerts)] = _compared(turns)
    return found


def _compared(turns: list[tuple[Any, Any]]) -> dict[str, float]:
    door, bare = zip(*turns, strict=True)
    middle = {
        f"{name}_{figure}": median(turn[figure] for turn in side)
        for name, side in (("door", door), ("floor", bare))
        for figure in ("alerts_per_s", "p50_ms", "p99_ms")
    }
    ratios = {
        "ratio": median(ours["alerts_per_s"] / theirs["alerts_per_s"] for ours, theirs in turns),
        "p99_ratio": median(ours["p99_ms"] / theirs["p99_ms"] for ours, theirs in turns),
    }
    return middle | ratios


def digested(database: str) -> dict[str, float]:
    """How many alerts a second are digested while more come in than have to be, and the most that waited meanwhile."""
    with measured(database) as it:
        deliveries = int(OFFERED_PER_S * SUSTAINED_S / 10)
        command = [sys.executable, "-m", "tests.benchmarks.senders", str(it.web_port), "/hooks/alertmanager", it.token]
        words = [SUSTAINED_S * 2, 10, SENDERS, deliveries, SENDERS * SUSTAINED_S / deliveries]
        sender, most = subprocess.Popen([*command, *map(str, words)], cwd=HOME, stdout=subprocess.PIPE), 0
        while sender.poll() is None:
            most = max(most, _pending(it))
            sleep(0.5)
        sent = json.loads(sender.communicate()[0])
        began = perf_counter()
        while _pending(it):
            sleep(0.1)
        took = sent["seconds"] + perf_counter() - began
        count = rows(it, "select count(*) from intake_ledgerentry")[0][0]
        return {"alerts_per_s": count / took, "most_waiting": most * 10, "seconds": took}


def _pending(it: Installation) -> int:
    return int(rows(it, "select count(*) from intake_delivery where state = 'pending'")[0][0])


def idle(database: str) -> dict[str, float]:
    """Webhook sent to its diagnosis begun, in milliseconds, while nothing else comes in."""
    times = []
    with measured(database) as it, asking(it) as ask:
        for number in range(IDLE_LOOKS):
            request = prepared("/hooks/alertmanager", it.token, 1, f"idle{number}")
            began = perf_counter()
            asyncio.run(Load(it.web_port, [request], 5).run(1))
            while ask("select count(*) from incidents_incident where fence > 0")[0][0] <= number:
                sleep(0.002)
            times.append((perf_counter() - began) * 1000)
            sleep(0.2)
    return {"p50_ms": percentile(times, 0.5), "p99_ms": percentile(times, 0.99)}


def open_alerts(database: str) -> dict[str, float]:
    """What an alert costs to digest while 10,000 are open, against while 100 are."""
    with measured(database) as it:
        for name in ("worker-1", "worker-2", "beat"):
            it.parts[name].kill()
        environment = dict(it.environment) | {"PYTHONPATH": str(HOME), "SRE_LOG_LEVEL": "ERROR"}
        command = [sys.executable, "-c", DIGEST_ALONE]
        done = subprocess.run(command, cwd=HOME, env=environment, capture_output=True, text=True, check=True)
        few, many = map(float, done.stdout.split())
        return {"ms_with_100": few * 1000, "ms_with_10000": many * 1000, "ratio": many / few}
