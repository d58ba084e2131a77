"""How fast the loop is: the leak drill, repeated against the real stack.

Seconds are from the fault's clock; "webhook to cause" is from the webhook's arrival.
"""

from typing import Any

from rich.console import Console
from rich.table import Table

from tests.benchmarks.senders import percentile
from tests.system.stack import running

NAME = "orders/goroutine-leak"
STAGES = ("detected", "received", "diagnosed", "decided", "acted", "verified")


def measure(rounds: int, say: Console) -> dict[str, Any]:
    """The leak drill so many times; how long each stage took, and how many ended as expected."""
    reports = []
    with running("test-stack") as stack:
        for number in range(1, rounds + 1):
            code, report, progress = stack.drill(NAME)
            say.print(f"{number}/{rounds}: {report.get('outcome')} after {report['stages']['verified']} s")
            if code:
                say.print(progress)
            reports.append(report)
    times = {stage: [report["stages"][stage] for report in reports] for stage in STAGES}
    times["webhook to cause"] = [r["stages"]["diagnosed"] - r["stages"]["received"] for r in reports]
    times["cause to decision"] = [r["stages"]["decided"] - r["stages"]["diagnosed"] for r in reports]
    return {
        "experiment": NAME,
        "rounds": rounds,
        "expected": sum(report["expected"] for report in reports),
        "wrong_actions": sum(report["wrong_actions"] for report in reports),
        "seconds": {
            name: {"p50": percentile(row, 0.5), "p95": percentile(row, 0.95), "max": max(row)}
            for name, row in times.items()
        },
    }


def table(found: dict[str, Any]) -> Table:
    """What ``measure`` found, for people."""
    title = f"{found['experiment']}: {found['expected']} of {found['rounds']} as expected, seconds from the fault"
    shown = Table("stage", "P50", "P95", "max", title=title)
    for name, row in found["seconds"].items():
        shown.add_row(name, *(f"{value:.2f}" for value in row.values()))
    return shown
