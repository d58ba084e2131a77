"""How long it takes to read a goroutine profile with labels and to make its table, against `go tool pprof -top`.

``python -m tests.benchmarks.profiles`` prints it alone. With a label of its own for each goroutine the real tool needs
far longer than for its table, because it also counts per label.
"""

import gzip
import subprocess
import tempfile
from time import perf_counter
from typing import Any

from rich.console import Console
from rich.table import Table

from sre_platform.diagnosis.parsers.profile import parse
from sre_platform.diagnosis.parsers.profile_goroutines import goroutines
from sre_platform.diagnosis.parsers.profile_top import render_top
from tests.diagnosis.profiles import pprof, tool_path
from tests.diagnosis.wire import labelled_goroutines

SIZES = (10_000, 100_000, 470_000)  # the last: the largest number of goroutines that a report of an incident names
PATIENCE_S = 60.0  # for the real tool


def measure() -> dict[str, dict[str, Any]]:
    """Seconds by the number of goroutines; ``go_s`` is None without the real tool, or when it took too long."""
    return {f"{size:,}": _measured(gzip.compress(labelled_goroutines(size))) for size in SIZES}


def _measured(data: bytes) -> dict[str, Any]:
    begin = perf_counter()
    profile = parse(data)
    parsed = perf_counter()
    table = render_top(profile)
    shown = perf_counter()
    goroutines(profile)
    grouped = perf_counter()
    real, output = _real(data)
    return {
        "MB": len(data) / 1e6,
        "parse_s": parsed - begin,
        "top_s": shown - parsed,
        "goroutines_s": grouped - shown,
        "go_s": real,
        "same": output == table if output else None,
    }


def _real(data: bytes) -> tuple[float | None, str]:
    if tool_path() is None:
        return None, ""
    with tempfile.TemporaryDirectory() as folder:
        begin = perf_counter()
        try:
            output, _ = pprof(folder, "-top", "p.pb.gz", patience_s=PATIENCE_S, p=data)
        except subprocess.TimeoutExpired:
            return None, ""
        return perf_counter() - begin, output


def table(found: dict[str, dict[str, Any]]) -> Table:
    shown = Table("goroutines", *next(iter(found.values())), title="profiles")
    for size, row in found.items():
        shown.add_row(size, *(f"{value:.2f}" if isinstance(value, float) else str(value) for value in row.values()))
    return shown


if __name__ == "__main__":
    Console().print(table(measure()))
