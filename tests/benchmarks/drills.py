"""How fast the loop is: the leak drill, repeated against the real stack. `make bench` runs it.

Prints a table and writes var/bench.json. Seconds are from the fault's clock; "cause" is webhook received to cause.
"""

import json
import math
import os
import sys
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from tests.system.stack import HOME, running

NAME = "orders/goroutine-leak"
STAGES = ("detected", "received", "diagnosed", "decided", "acted", "verified")


def percentile(values: Sequence[float], share: float) -> float:
    """The nearest-rank percentile: the smallest value that ``share`` of all values do not exceed."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def main(rounds: int) -> int:
    console, reports = Console(), []
    with running("test-stack") as stack:
        for number in range(1, rounds + 1):
            code, report, progress = stack.drill(NAME)
            console.print(f"{number}/{rounds}: {report.get('outcome')} after {report['stages']['verified']} s")
            if code:
                console.print(progress)
            reports.append(report)
    rows = {stage: [report["stages"][stage] for report in reports] for stage in STAGES}
    rows["webhook to cause"] = [r["stages"]["diagnosed"] - r["stages"]["received"] for r in reports]
    rows["cause to decision"] = [r["stages"]["decided"] - r["stages"]["diagnosed"] for r in reports]
    figures = {
        name: {"p50": percentile(times, 0.5), "p95": percentile(times, 0.95), "max": max(times)}
        for name, times in rows.items()
    }
    show(console, figures, rounds)
    good = sum(report["expected"] for report in reports)
    wrong = sum(report["wrong_actions"] for report in reports)
    console.print(f"{good} of {rounds} as expected, {wrong} wrong actions, {os.cpu_count()} cores.")
    result = {"experiment": NAME, "rounds": rounds, "expected": good, "wrong_actions": wrong, "seconds": figures}
    (HOME / "var" / "bench.json").write_text(json.dumps(result, indent=2))
    return 0 if good == rounds else 1


def show(console: Console, figures: dict[str, dict[str, float]], rounds: int) -> None:
    table = Table("stage", "P50", "P95", "max", title=f"{NAME}, {rounds} rounds, seconds")
    for name, row in figures.items():
        table.add_row(name, *(f"{value:.2f}" for value in row.values()))
    console.print(table)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 10))
