import json
import sys
from argparse import RawDescriptionHelpFormatter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console
from rich.markup import escape

from sre_platform.diagnosis.domain import Ranked
from sre_platform.engine import case_folder, rediagnosis
from sre_platform.engine.rediagnosis import Answer, Case
from sre_platform.kernel.errors import SreError

SAME, DIFFERENT, CANNOT = 0, 1, 2


class Command(BaseCommand):
    help = """Diagnose an incident again from what was stored, and say whether the answer is the same.

  manage.py replay_diagnosis 17                   the last round of incident 17
  manage.py replay_diagnosis 17 --export case/    and write it down: index.json, and each raw document as a file
  manage.py replay_diagnosis case/ --json         from such a folder, without a database; for a machine

Nothing is asked of any service and nothing in the database is changed. Profiles in the folder open with
`go tool pprof`. The exit code is 0 when the answer is the one that was stored, 1 when it is another, 2 when it cannot
be told."""
    requires_system_checks = ()

    def create_parser(self, *args: Any, **kwargs: Any) -> CommandParser:
        return super().create_parser(*args, formatter_class=RawDescriptionHelpFormatter, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("case", metavar="INCIDENT|DIR", help="an incident's number, or an exported folder")
        parser.add_argument("--export", type=Path, metavar="DIR", help="write the case into a new or empty folder")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *_: Any, case: str, export: Path | None, **options: Any) -> None:
        try:
            known = rediagnosis.of_incident(int(case)) if case.isdecimal() else case_folder.read(Path(case))
            answer = rediagnosis.again(known)
            written = case_folder.write(known, export) if export else None
        except SreError as error:
            raise CommandError(str(error), returncode=CANNOT) from error
        if options["json"]:
            self.stdout.write(json.dumps(_as_json(known, answer), ensure_ascii=False))
        else:
            _show(Console(highlight=False, soft_wrap=True), known, answer)
        if written is not None:
            self.stderr.write(f"Wrote {written} documents and their index to {export}.")
        sys.stdout.flush()
        sys.exit(SAME if answer.same else DIFFERENT)


def _as_json(case: Case, answer: Answer) -> dict[str, Any]:
    return {
        "incident": case.incident,
        "round": case.round,
        "same": answer.same,
        "differences": list(answer.differences),
        "findings": [rediagnosis.as_json(item) for item in answer.ranked],
        "stored": list(case.stored),
    }


def _show(console: Console, case: Case, answer: Answer) -> None:
    console.print(f"Incident {case.incident}, round {case.round}: {len(case.evidence)} looks.")
    for rank, item in enumerate(answer.ranked, start=1):
        _show_finding(console, rank, item)
    if not answer.ranked:
        console.print("No rule names a cause that is sure enough.")
    if answer.same:
        console.print("\n[green]The same as was stored.[/]")
    for sentence in answer.differences:
        console.print(f"\n[bold red]Different:[/] {escape(sentence)}")


def _show_finding(console: Console, rank: int, item: Ranked) -> None:
    finding = item.finding
    where = f" at {finding.site}" if finding.site else ""
    console.print(
        f"\n[bold]{rank}. {escape(finding.cause)}[/] of {escape(finding.service)}{escape(where)}"
        f"  [dim]{finding.confidence:.2f} by {finding.evidence}, rule {item.rule}[/]"
    )
    for title, sentences in _said(item):
        for sentence in sentences:
            console.print(f"   [cyan]{title}[/] {escape(sentence)}")


def _said(item: Ranked) -> Sequence[tuple[str, Sequence[str]]]:
    finding = item.finding
    return [("because", finding.because), ("against", finding.against), ("would decide", finding.would_decide)]
