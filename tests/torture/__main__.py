"""``python -m tests.torture ROUNDS [--seed S] [--database sqlite|postgres|both] [--json]``; ``make torture`` calls it.

Exit code 0 only when nothing was lost, doubled, stuck or broken. What was written lies under var/torture/.
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import django
from rich.console import Console
from rich.table import Table

from sre_platform.kernel.errors import Unavailable
from tests.torture.installation import HOME, installation
from tests.torture.load import Journal
from tests.torture.world import world

PROMISES = ("lost", "doubled", "stuck", "broken")
SHOWN = 20  # of the sentences about one broken promise
console = Console(stderr=True, highlight=False)


def one(database: str, rounds: int, seed: str, data: Path) -> dict[str, Any]:
    """A run on one database, in this process, whose Django is set up for it."""
    shutil.rmtree(data, ignore_errors=True)
    with (
        world(data / "services", random.Random(f"{seed}/world")) as it,
        installation(data, database, it.supervisor.url) as planned,
    ):
        os.environ.update(planned.environment)
        django.setup()
        from tests.torture import run  # it needs the settings

        journal = Journal(data / "journal.jsonl")
        result = run.torture(
            planned, it, journal, rounds, seed, database, lambda text: console.print(f"{database}: {text}")
        )
        return result.as_json()


def apart(database: str, args: argparse.Namespace) -> dict[str, Any]:
    """The same in a process of its own, because Django knows one database."""
    words = [str(args.rounds), "--seed", args.seed, "--database", database, "--json", "--data", str(args.data)]
    done = subprocess.run(
        [sys.executable, "-m", "tests.torture", *words], cwd=HOME, stdout=subprocess.PIPE, check=False
    )
    return (
        json.loads(done.stdout)[0] if done.stdout else {"database": database, "good": False, "failed": done.returncode}
    )


def show(results: list[dict[str, Any]]) -> None:
    """A table of counts, and below it what is wrong."""
    table = Table("", *(result["database"] for result in results), title="torture")
    rows = [_rows(result) for result in results]
    for name in dict.fromkeys(name for row in rows for name in row):
        table.add_row(name, *(str(row.get(name, 0)) for row in rows))
    console.print(table)
    for result in results:
        for promise in PROMISES:
            for sentence in result.get("kept", {}).get(promise, [])[:SHOWN]:
                console.print(f"{result['database']}, {promise}: {sentence}", markup=False)


def _rows(result: dict[str, Any]) -> dict[str, Any]:
    if "kept" not in result:
        return {"did not end well": result["failed"]}
    rows = {"rounds": result["rounds"], "seed": result["seed"], "seconds": result["seconds"]}
    rows |= {f"killed: {name}": number for name, number in sorted(result["kills"].items())}
    rows |= {"acknowledged": result["counts"]["acknowledged"]}
    rows |= {f"answers: {name}": number for name, number in result["counts"]["answers"].items()}
    rows |= {f"faults: {name}": number for name, number in sorted(result["counts"]["faults"].items())}
    rows |= {f"ended by itself: {name}": number for name, number in result["counts"]["ended by themselves"].items()}
    rows |= result["figures"] | {"settled after, s": result["settled_s"]}
    return rows | {name.upper(): result[name] for name in PROMISES}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.torture")
    parser.add_argument("rounds", type=int)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--database", choices=["sqlite", "postgres", "both"], default="both")
    parser.add_argument("--data", type=Path, default=HOME / "var" / "torture")
    parser.add_argument("--json", action="store_true", help="the results on standard output")
    args = parser.parse_args()
    databases = ["sqlite", "postgres"] if args.database == "both" else [args.database]
    try:
        if args.database == "both":
            results = [apart(database, args) for database in databases]
        else:
            results = [one(args.database, args.rounds, args.seed, args.data / args.database)]
    except Unavailable as error:
        console.print(str(error), markup=False)
        return 2
    if args.json:
        print(json.dumps(results, default=str))  # noqa: T201
    if args.database == "both" or not args.json:
        show(results)
    return 0 if all(result["good"] for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
