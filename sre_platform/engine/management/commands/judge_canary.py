import json
import sys
from argparse import RawDescriptionHelpFormatter
from collections.abc import Iterator
from math import isfinite
from pathlib import Path
from typing import Any, BinaryIO

from django.core.management.base import BaseCommand, CommandError, CommandParser
from pydantic import ValidationError
from rich.console import Console

from sre_platform.catalog.routes import CanaryLimits
from sre_platform.engine.canary_view import show
from sre_platform.kernel.complaint import complaint
from sre_platform.kernel.errors import Malformed
from sre_platform.rollouts.canary import judge
from sre_platform.rollouts.domain import DEFAULTS, Judgement, Limits, Request, Verdict
from sre_platform.rollouts.reading import comparable, from_csv, from_rows

CANNOT = 2
CODES = {Verdict.PASS: 0, Verdict.FAIL: 1, Verdict.INCONCLUSIVE: CANNOT}
LONGEST_LINE = 512 << 20  # bytes of one case of a batch
LIMITS = {
    "errors": "share of 5xx",
    "errors_rise": "how far the share of 5xx may be above the baseline's, where that is beyond its limit",
    "p99_ms": "P99 in ms",
    "p99_rise": "how far the P99 may be above the baseline's, as a part of it",
}
LONGEST_ROW = 4096  # characters of a file's line: three numbers have some forty


class Command(BaseCommand):
    help = """Tell whether a canary is worse than the version it replaces. Needs no database and no network.

  manage.py judge_canary --baseline old.csv --canary new.csv          for people
  manage.py judge_canary --baseline old.csv --canary new.csv --json   for a machine

A file has one row per request and the columns time (seconds, of one clock), status and latency_ms (milliseconds).

--batch reads JSON lines {"id", "baseline": [[time, status, latency_ms], ...], "canary": [...]} and prints a line of
JSON for each. Exit code: 0 pass, 1 fail, 2 it cannot be told or the input cannot be used; of a batch 0, or 2 when a
line of it cannot be used."""
    requires_system_checks = ()

    def create_parser(self, *args: Any, **kwargs: Any) -> CommandParser:
        return super().create_parser(*args, formatter_class=RawDescriptionHelpFormatter, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--baseline", type=Path, metavar="FILE", help="requests to the version that is replaced")
        parser.add_argument("--canary", type=Path, metavar="FILE", help="requests to the new version, at the same time")
        parser.add_argument("--batch", action="store_true", help="JSON lines from standard input")
        parser.add_argument("--json", action="store_true", help="print one JSON object")
        for name, help_ in LIMITS.items():
            default = getattr(DEFAULTS, name)
            flag = f"--max-{name.replace('_', '-')}"
            parser.add_argument(flag, type=float, default=default, dest=name, help=f"{help_} (default: {default:g})")

    def handle(self, *_: Any, baseline: Path | None, canary: Path | None, **options: Any) -> None:
        try:
            limits = _limits({name: options[name] for name in LIMITS})
            if options["batch"] and not (baseline or canary):
                sys.exit(_batch(sys.stdin.buffer, limits))
            if options["batch"] or not (baseline and canary):
                raise Malformed("Either --baseline and --canary are needed, or --batch alone.")
            found = _judged(_requests(baseline), _requests(canary), limits)
        except Malformed as error:
            raise CommandError(str(error), returncode=CANNOT) from error
        if options["json"]:
            self.stdout.write(json.dumps(found.as_json(), ensure_ascii=False))
        else:
            show(Console(highlight=False), found)
        sys.stdout.flush()
        sys.exit(CODES[found.verdict])


def _limits(given: dict[str, float]) -> Limits:
    try:
        CanaryLimits(**given)
    except ValidationError as error:
        raise Malformed(f"--max-{complaint(error)}.") from error
    return Limits(**given)


def _judged(baseline: list[Request], canary: list[Request], limits: Limits) -> Judgement:
    comparable(baseline, canary)
    return judge(baseline, canary, limits)


def _requests(path: Path) -> list[Request]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return from_csv(iter(lambda: file.readline(LONGEST_ROW), ""))
    except (Malformed, OSError) as error:
        raise Malformed(f"{path}: {error}") from error


def _batch(stream: BinaryIO, limits: Limits) -> int:
    """One answer a line, as soon as it is known; a line that cannot be used gets one that says why."""
    code = 0
    for number, line in _lines(stream):
        case: Any = None
        try:
            case = json.loads(line)
            answer = _case(case, limits)
        except (Malformed, ValueError, RecursionError) as error:
            code = CANNOT
            answer = {"id": _id(case), "line": number, "error": str(error)}
        print(json.dumps(answer), flush=True)  # noqa: T201
    return code


def _id(case: Any) -> str | int | float | None:
    """By what a case is known, if that can be said again as JSON: a text or a number, else None."""
    name = case.get("id") if isinstance(case, dict) else None
    return name if isinstance(name, str | int) or (isinstance(name, float) and isfinite(name)) else None


def _lines(stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    for number, line in enumerate(iter(lambda: stream.readline(LONGEST_LINE), b""), start=1):
        if line.strip():
            yield number, line


def _case(case: Any, limits: Limits) -> dict[str, Any]:
    if not isinstance(case, dict) or "id" not in case or case["id"] != _id(case):
        raise Malformed(
            'A line of the batch has to be an object with "id" (a text or a number), "baseline" and "canary".'
        )
    baseline, canary = (from_rows(case.get(name), name) for name in ("baseline", "canary"))
    return {"id": case["id"], **_judged(baseline, canary, limits).as_json()}
