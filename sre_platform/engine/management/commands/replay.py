import json
import math
import sys
from argparse import RawDescriptionHelpFormatter
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console
from rich.markup import escape

from sre_platform.engine.recordings import read_files, surroundings
from sre_platform.engine.replay import replay
from sre_platform.engine.replayed import Replayed, Told
from sre_platform.intake.receive import SOURCES
from sre_platform.kernel.errors import Malformed

SERVICES_SHOWN = 8


class Command(BaseCommand):
    help = """Print what would become of recorded webhooks; nothing is written, nobody is told.

  manage.py replay monday.jsonl tuesday.jsonl    recordings, a webhook a line
  manage.py replay webhook.json                  one webhook body, as it came
  ... | manage.py replay - --json                from standard input, for a machine
  manage.py replay --catalog lab.yaml FILE       what depends on what, and what is quiet, from this file only

A line is {"received_at": "2026-11-21T12:00:00Z", "source": "alertmanager", "body": {...}}. One that is no
webhook is named and left out; the exit code is then 1."""
    requires_system_checks = ()

    def create_parser(self, *args: Any, **kwargs: Any) -> CommandParser:
        return super().create_parser(*args, formatter_class=RawDescriptionHelpFormatter, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("files", nargs="+", metavar="FILE", help="- is standard input")
        parser.add_argument("--catalog", type=Path, metavar="FILE", help="instead of the database")
        parser.add_argument(
            "--source", default="alertmanager", choices=sorted(SOURCES.names()), help="of a file that is one body"
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *_: Any, files: list[str], catalog: Path | None, source: str, **options: Any) -> None:
        try:
            topology, rules, whence = surroundings(catalog)
        except (Malformed, OSError) as error:
            raise CommandError(str(error)) from error
        recordings = read_files(files, source)
        found = replay(recordings.webhooks, topology, rules)
        if options["json"]:
            report = found.as_json() | {"catalog": whence, "refused": recordings.refused}
            self.stdout.write(json.dumps(report, ensure_ascii=False))
        else:
            _show(Console(highlight=False, soft_wrap=True), found, whence)
        for sentence in recordings.refused:
            self.stderr.write(sentence)
        sys.stdout.flush()
        sys.exit(1 if recordings.refused else 0)


def _show(console: Console, found: Replayed, whence: str) -> None:
    children = [told for told in found.incidents.values() if told.live.parent]
    for told in found.visible:
        console.print(_line(told))
        for child in children:
            if child.live.parent is told.live:
                console.print(f"    {_line(child)}")
    report = found.as_json()
    fates = ", ".join(f"{times} {fate}" for fate, times in sorted(report["fates"].items())) or "none"
    console.print(f"\n{report['occurrences']} alerts fired, in {report['webhooks']} webhooks; fates: {fates}.")
    for why, times in report["quiet"].items():
        console.print(f"  [yellow]quiet[/] {times} × {escape(why)}")
    console.print(f"What depends on what comes from {escape(whence)}.")
    if report["noise_reduction"] is not None:
        by_alert, by_webhook = report["noise_reduction"], report["noise_reduction_webhooks"]
        said = f"{_percent(by_alert)} less than alerts, {_percent(by_webhook)} less than webhooks"
        console.print(f"[bold green]{report['visible']} incidents to look at: {said}.[/]")


def _percent(share: float) -> str:
    """Rounded down: a hundred is promised only when nothing is left to look at."""
    return f"{math.floor(share * 100)}%"


def _line(told: Told) -> str:
    facts = told.as_json()
    services = facts["services"]
    more = f" and {len(services) - SERVICES_SHOWN} more" if len(services) > SERVICES_SHOWN else ""
    about = ", ".join(services[:SERVICES_SHOWN]) + more
    colour = "red" if told.live.storm else "cyan"
    why = "" if told.live.parent else f"; [dim]{escape(facts['reason'])}[/]"
    alerts = "1 alert" if facts["alerts"] == 1 else f"{facts['alerts']} alerts"
    return (
        f"{told.live.opened_at:%H:%M:%S} [{colour}]{escape(facts['key'])}[/] {escape(facts['title'])}:"
        f" {alerts}{escape(f' on {about}') if about else ''}{why}"
    )
