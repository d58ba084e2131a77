"""What a diagnosis of goroutines costs the service that is looked at, and how long it takes to name the cause.

``python -m tests.benchmarks.looking`` prints it alone. A Go program (tests/fakes/parked) with so many stuck goroutines,
and 40 more each second, measures how late a millisecond's sleep ever is: while nobody looks, and while somebody does.
"""

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter, sleep
from typing import Any

from rich.console import Console
from rich.table import Table

from sre_platform.catalog.domain import Target
from sre_platform.clients import http
from sre_platform.diagnosis.rules.goroutine_leak import GoroutineLeak
from sre_platform.embedded.parts import go
from tests.benchmarks.senders import percentile
from tests.diagnosis.scene import collect

PARKED = Path(__file__).parents[1] / "fakes" / "parked"
SIZES = (10_000, 100_000)
ROUNDS = 10
QUIET_S = 3.0  # of nobody looking
MOST_STALL_MS, MOST_SECONDS = 50.0, 2.0
CAUSE = "chan_recv_no_sender"


def measure() -> dict[str, dict[str, Any]]:
    """By the number of goroutines: the worst stalls in ms, alone and looked at, and seconds from look to cause."""
    with tempfile.TemporaryDirectory() as folder:
        binary = Path(folder) / "parked"
        subprocess.run([go(), "build", "-o", binary, "."], cwd=PARKED, check=True, timeout=300)
        return {f"{size:,}": _measured(binary, size) for size in SIZES}


def within_bounds(found: dict[str, dict[str, Any]]) -> bool:
    """At 10,000 goroutines the cause in time, at 100,000 a stall that nobody notices, and always the right cause."""
    few, many = (found[f"{size:,}"] for size in SIZES)
    right = all(row["right"] == ROUNDS for row in found.values())
    return few["cause_s_p95"] <= MOST_SECONDS and many["stall_ms_p50"] <= MOST_STALL_MS and right


def _measured(binary: Path, size: int) -> dict[str, Any]:
    with _running(binary, size) as url:
        sleep(1.0)
        _stall_ms(url)
        sleep(QUIET_S)
        alone = _stall_ms(url)
        stalls, seconds, right = [], [], 0
        for _ in range(ROUNDS):
            _stall_ms(url)
            begin = perf_counter()
            right += _cause(url) == CAUSE
            seconds.append(perf_counter() - begin)
            stalls.append(_stall_ms(url))
    return {
        "alone_ms": alone,
        "stall_ms_p50": percentile(stalls, 0.5),
        "stall_ms_max": max(stalls),
        "cause_s_p50": percentile(seconds, 0.5),
        "cause_s_p95": percentile(seconds, 0.95),
        "right": right,
    }


def _cause(url: str) -> str:
    evidence = collect("go_goroutines", Target("watched", pprof_url=f"{url}/debug/pprof"))
    finding = GoroutineLeak().judge("watched", {"go_goroutines": evidence})
    return finding.cause if finding else evidence.missing or "none"


@contextmanager
def _running(binary: Path, size: int) -> Iterator[str]:
    with subprocess.Popen(
        [binary, "-lost", "-n", str(size), "-more", "40"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin
        assert process.stdout
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.stdin.close()  # it ends by itself


def _stall_ms(url: str) -> float:
    microseconds = http.request("GET", f"{url}/held_up", timeout=(5, 30), deadline_s=30, max_bytes=100).text
    return int(microseconds) / 1000


def table(found: dict[str, dict[str, Any]]) -> Table:
    shown = Table("goroutines", *next(iter(found.values())), title="looking at goroutines")
    for size, row in found.items():
        shown.add_row(size, *(f"{value:,.2f}" if isinstance(value, float) else str(value) for value in row.values()))
    return shown


if __name__ == "__main__":
    Console().print(table(measure()))
