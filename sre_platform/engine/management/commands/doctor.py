import json
import sys
from argparse import RawDescriptionHelpFormatter
from collections.abc import Sequence
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from rich.console import Console
from rich.markup import escape

from sre_platform.engine.checks import Check, examine
from sre_platform.engine.stuck import ALL, exit_code, unwell

MARKS = {True: "[green]✓[/]", False: "[bold red]✗[/]", None: "[yellow]?[/]"}


class Command(BaseCommand):
    help = """Look at the platform itself: what is well, what is stuck and why, and what to do next.

  manage.py doctor          for people
  manage.py doctor --json   for a machine

It works with Redis or the database away. The exit code is 0 when all is well, 1 when something is not or could not
be checked, 2 when the database does not answer."""
    requires_system_checks = ()  # what is wrong with the web pages is no reason not to look

    def create_parser(self, *args: Any, **kwargs: Any) -> CommandParser:
        return super().create_parser(*args, formatter_class=RawDescriptionHelpFormatter, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *_: Any, **options: Any) -> None:
        found = examine(ALL)
        code = exit_code(found)
        if options["json"]:
            checks = [check.as_json() for check in found]
            self.stdout.write(json.dumps({"well": code == 0, "checks": checks}))
        else:
            _show(Console(highlight=False, soft_wrap=True), found)
        sys.stdout.flush()
        sys.exit(code)


def _show(console: Console, found: Sequence[Check]) -> None:
    width = max(len(check.name) for check in found)
    for check in found:
        console.print(f"{MARKS[check.ok]} {check.name:<{width}}  {escape(check.says)}")
        for one in check.stuck:
            console.print(f"  {'':<{width}}  - {escape(one.what)}: {escape(one.why)}")
        if check.advice and not check.ok:
            console.print(f"  {'':<{width}}  [cyan]→ {escape(check.advice)}[/]")
    bad = len(unwell(found))
    console.print("\nAll is well." if not bad else f"\n[bold]{bad} of {len(found)} checks are not well.[/]")
