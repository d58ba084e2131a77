import json
import sys
from argparse import RawDescriptionHelpFormatter
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console

from sre_platform.chaos import drills, experiment
from sre_platform.engine.show import Follower, summary
from sre_platform.kernel.errors import SreError


class Command(BaseCommand):
    help = """Break something on purpose and see whether the platform heals it. The stack has to be running (make demo).

  manage.py drill --list                      the experiments there are
  manage.py drill orders/goroutine-leak       run one and follow it
  manage.py drill orders/goroutine-leak --json

The exit code is 0 only if the outcome is the one that the experiment file expects, 1 if it is another, 2 if the
drill could not be run. Progress goes to standard error, the result to standard output."""

    def create_parser(self, *args: Any, **kwargs: Any) -> CommandParser:
        return super().create_parser(*args, formatter_class=RawDescriptionHelpFormatter, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", nargs="?", help="target/fault, as --list prints them")
        parser.add_argument("--list", action="store_true", help="print the names of the experiments and end")
        parser.add_argument("--json", action="store_true", help="print the result as one JSON object")

    def handle(self, *_: Any, **options: Any) -> None:
        known = experiment.names(settings.BASE_DIR / "experiments")
        if options["list"]:
            self.stdout.write(json.dumps(known) if options["json"] else "\n".join(known))
            return
        if not options["name"]:
            raise CommandError(f"Say which experiment; known are: {', '.join(known)}.", returncode=2)
        console = Console(stderr=True, highlight=False)
        try:
            report = drills.run(options["name"], Follower(console))
        except SreError as error:
            raise CommandError(str(error), returncode=2) from error
        if options["json"]:
            self.stdout.write(json.dumps(report.as_json(), default=str))
        else:
            summary(Console(highlight=False), report)
        sys.exit(0 if report.expected else 1)
