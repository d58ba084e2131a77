import json
import signal
import sys
import threading
from argparse import ArgumentTypeError, RawDescriptionHelpFormatter
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from sre_platform.engine.auditing import Auditor
from sre_platform.engine.stuck import exit_code


class Command(BaseCommand):
    help = """Watch the platform from outside of its workers, and raise an alarm when something is not well for long.

  manage.py auditor                 look every 10 s until SIGTERM
  manage.py auditor --once --json   look once, alarm at once; for cron. Exit codes as of `manage.py doctor`.

It needs neither Redis nor Celery, and goes on without the database. An alarm is a line on standard error, a POST to
$SRE_ALARM_URL, an alert at $SRE_ALARM_ALERTMANAGER_URL, and a banner on the pages."""
    requires_system_checks = ()

    def create_parser(self, *args: Any, **kwargs: Any) -> CommandParser:
        return super().create_parser(*args, formatter_class=RawDescriptionHelpFormatter, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        add = parser.add_argument
        add("--every", type=_seconds, default=10.0, metavar="S", help="look so often (default: 10)")
        add("--for", type=_seconds, default=30.0, metavar="S", dest="for_s", help="not well so long (default: 30)")
        add("--once", action="store_true", help="look once and end")
        add("--json", action="store_true", help="print each round as one JSON object on standard output")

    def handle(self, *_: Any, every: float, for_s: float, once: bool, **options: Any) -> None:
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        auditor = Auditor(0.0 if once else for_s, every)
        while True:
            found, news = auditor.round()
            if options["json"]:
                report = {"checks": [c.as_json() for c in found], "news": [n.as_json() for n in news]}
                self.stdout.write(json.dumps(report))
                self.stdout.flush()
            if once:
                sys.exit(exit_code(found))
            if stop.wait(every):
                return


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= 86400:
        raise ArgumentTypeError(f"{text!r} is not a number of seconds between 0 and 86400")
    return seconds
