"""`make bench`: everything that is measured, as tables and in var/bench.json. ``ROUNDS`` drills, ``ONLY`` some parts.

Every figure of the intake comes with the floor's, measured in turns in the same run. 1: a bound was not met.
"""

import argparse
import json
import os
import sys
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.benchmarks import canary, drills, dumps, intake, looking, profiles
from tests.benchmarks.stack import HOME
from tests.benchmarks.storm import storm

DATABASES = ("sqlite", "postgres")
PARTS = ("accepted", "digested", "idle", "open_alerts", "storm", "dumps", "profiles", "looking", "canary", "drills")
NO_DATABASE = ("dumps", "profiles", "looking", "canary", "drills")
READERS = {"canary": canary, "dumps": dumps, "profiles": profiles, "looking": looking}
BOUNDS = {
    "accepted": lambda found: found["10"]["ratio"] >= 0.8 and all(row["p99_ratio"] < 2 for row in found.values()),
    "digested": lambda found: found["alerts_per_s"] >= intake.SUSTAINED_PER_S,
    "idle": lambda found: found["p99_ms"] <= 300,
    "open_alerts": lambda found: found["ratio"] <= 1.5,
    "storm": lambda found: not found["lost"] and found["digested_after_s"] <= 60 and found["dashboard_max_s"] < 1,
    "canary": canary.within_bounds,
    "dumps": dumps.within_bounds,
    "looking": looking.within_bounds,
    "profiles": lambda found: found["100,000"]["parse_s"] + found["100,000"]["top_s"] <= 5,
    "drills": lambda found: (
        found["expected"] == found["rounds"]
        and found["seconds"]["verified"]["p95"] <= 20
        and found["seconds"]["webhook to cause"]["p95"] <= 2
    ),
}


def main(only: list[str], rounds: int) -> int:
    console = Console()
    found: dict[str, Any] = {"cores": os.cpu_count()}
    for part in only:
        if part == "drills":
            found[part] = drills.measure(rounds, console)
            console.print(drills.table(found[part]))
            continue
        if part in READERS:
            found[part] = READERS[part].measure()
            console.print(READERS[part].table(found[part]))
            continue
        measure = storm if part == "storm" else getattr(intake, part)
        found[part] = {}
        for database in DATABASES:
            console.print(f"measuring: {part} on {database}")
            found[part][database] = measure(database)
        console.print(_table(part, found[part]))
    (HOME / "var").mkdir(exist_ok=True)
    (HOME / "var" / "bench.json").write_text(json.dumps(found, indent=2))
    missed = _missed(only, found)
    console.print(f"Not within its bound: {', '.join(missed)}." if missed else "Everything is within its bound.")
    return 1 if missed else 0


def _missed(only: list[str], found: dict[str, Any]) -> list[str]:
    results = [(part, part, found[part]) for part in only if part in NO_DATABASE]
    results += [
        (part, f"{part} on {name}", found[part][name]) for part in only if part not in NO_DATABASE for name in DATABASES
    ]
    return [name for part, name, result in results if not BOUNDS[part](result)]


def _table(part: str, by_database: dict[str, Any]) -> Table:
    table = Table("figure", *by_database, title=part.replace("_", " "))
    flat = {name: _flat(result) for name, result in by_database.items()}
    for figure in next(iter(flat.values())):
        table.add_row(figure, *(_shown(result.get(figure)) for result in flat.values()))
    return table


def _flat(result: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in result.items():
        key = f"{prefix}{name}"
        found |= _flat(value, f"batch of {key}: ") if isinstance(value, dict) and name != "answers" else {key: value}
    return found


def _shown(value: Any) -> str:
    return f"{value:,.2f}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10, help="drills (default: 10)")
    parser.add_argument("--only", default=",".join(PARTS), help=f"parts, separated by commas: {', '.join(PARTS)}")
    options = parser.parse_args()
    sys.exit(main(options.only.split(","), options.rounds))
