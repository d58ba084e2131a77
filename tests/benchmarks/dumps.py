"""How long it takes to read a goroutine dump (debug=2), and in how much memory, by its size.

``python -m tests.benchmarks.dumps`` prints it alone. The dumps are made of STACKS different stacks of the recorded
corpus, each goroutine with a number, a parent, minutes and arguments of its own. A process of its own reads each.
"""

import gzip
import json
import random
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

CORPUS = Path(__file__).parents[1] / "recordings" / "goroutines" / "service.jsonl.gz"
SIZES = (10_000, 100_000, 470_000)
STACKS = 42
MOST_SECONDS, MOST_MB = 5.0, 100.0
READ = """
import json, sys, time
from sre_platform.diagnosis.parsers.goroutines import read
begin = time.perf_counter()
with open(sys.argv[1], "rb", buffering=0) as file:
    dump = read(file)
took = time.perf_counter() - begin
with open("/proc/self/status") as status:  # ru_maxrss would begin with what the parent had
    peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024
print(json.dumps({"s": took, "peak_MB": peak, "goroutines": dump.total, "buckets": len(dump.buckets)}))
"""
_ADDRESS = re.compile(r"0x[0-9a-f]{6,}")
_PARENT = re.compile(r"(?<= in goroutine )\d+")
_HEADER = re.compile(r"goroutine \d+ \[([^\],]+)[^\]]*\]:")


def measure() -> dict[str, dict[str, Any]]:
    """By the number of goroutines: megabytes, seconds, MB/s, peak resident MB, and buckets as STACKS says or not."""
    with tempfile.TemporaryDirectory() as folder:
        return {f"{size:,}": _measured(Path(folder) / "dump.txt", size) for size in SIZES}


def within_bounds(found: dict[str, dict[str, Any]]) -> bool:
    """The largest dump in MOST_SECONDS and MOST_MB, and every bucket of every dump found."""
    largest = found[f"{SIZES[-1]:,}"]
    whole = all(row["buckets"] == STACKS for row in found.values())
    return whole and largest["s"] <= MOST_SECONDS and largest["peak_MB"] <= MOST_MB


def _measured(path: Path, size: int) -> dict[str, Any]:
    with path.open("w") as file:
        file.writelines(_dump(size))
    megabytes = path.stat().st_size / 1e6
    done = subprocess.run([sys.executable, "-c", READ, path], check=True, capture_output=True, text=True, timeout=300)
    told = json.loads(done.stdout)
    assert told.pop("goroutines") == size
    return {"MB": megabytes, "MB/s": megabytes / told["s"], **told}


def _dump(size: int, seed: int = 1) -> Iterator[str]:
    chance = random.Random(seed)
    stacks = [_parts(stack) for stack in _stacks()]
    for number in range(size):
        state, body = stacks[number % STACKS] if number < STACKS else chance.choice(stacks)
        minutes = chance.randrange(3000)
        head = f"goroutine {20 + 3 * number} [{state}{f', {minutes} minutes' if minutes else ''}]:\n"
        text = _ADDRESS.sub(lambda _: hex(0xC000000000 + 16 * chance.randrange(1 << 26)), body)
        yield head + _PARENT.sub(str(chance.randrange(1, 20 + 3 * number)), text) + "\n\n"


def _parts(stack: str) -> tuple[str, str]:
    header, _, body = stack.partition("\n")
    matched = _HEADER.match(header)
    assert matched
    return matched[1], body


def _stacks() -> list[str]:
    """STACKS different ones: the most frequent of each recorded service that has one the others have not."""
    found: dict[str, str] = {}
    with gzip.open(CORPUS, "rt") as lines:
        for line in lines:
            for stack in json.loads(line)["goroutine"].strip().split("\n\n"):
                shape = _PARENT.sub("", re.sub(r"0x[0-9a-f]+\??", "", _HEADER.sub(r"\1", stack)))
                if _HEADER.match(stack) and "[running" not in stack and "[runnable" not in stack:
                    found.setdefault(shape, stack)
    return list(found.values())[:STACKS]


def table(found: dict[str, dict[str, Any]]) -> Table:
    shown = Table("goroutines", *next(iter(found.values())), title="goroutine dumps")
    for size, row in found.items():
        shown.add_row(size, *(f"{value:,.2f}" if isinstance(value, float) else str(value) for value in row.values()))
    return shown


if __name__ == "__main__":
    Console().print(table(measure()))
