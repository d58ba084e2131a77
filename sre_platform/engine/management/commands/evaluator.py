"""``manage.py evaluator``: the embedded evaluator as a process."""

import os
import signal
import threading
from argparse import ArgumentParser, ArgumentTypeError, RawDescriptionHelpFormatter
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import close_old_connections

from sre_platform.detection.courier import Courier, webhook
from sre_platform.detection.domain import AlertRule
from sre_platform.detection.evaluator import Evaluator
from sre_platform.detection.models import DatabaseLedger, enabled_rules
from sre_platform.detection.scraping import Scraper, Target
from sre_platform.kernel.errors import SreError

_EXAMPLE = """
example:
  SRE_INTAKE_TOKEN=... python manage.py evaluator \\
      --target orders=http://127.0.0.1:8081/metrics --target payments=http://127.0.0.1:8082/metrics \\
      --webhook http://127.0.0.1:8000/hooks/alertmanager

It stops on SIGTERM or Ctrl-C, after handing over what is pending. Run one evaluator per installation. Where there is
a Prometheus already, do not run it: export the rules to Prometheus instead.
"""


class Command(BaseCommand):
    """Scrape the targets, evaluate the enabled alert rules and post alerts as Alertmanager would."""

    help = __doc__
    requires_system_checks = ()  # what is wrong with the web pages is no reason not to detect

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> Any:
        return super().create_parser(
            prog_name, subcommand, epilog=_EXAMPLE, formatter_class=RawDescriptionHelpFormatter, **kwargs
        )

    def add_arguments(self, parser: ArgumentParser) -> None:
        add = parser.add_argument
        add(
            "--target",
            action="append",
            required=True,
            type=_target,
            metavar="JOB=URL",
            help="a metrics page; repeat it",
        )
        add("--webhook", required=True, metavar="URL", help="where alerts are posted; the token is $SRE_INTAKE_TOKEN")
        add("--interval", type=_seconds, default=1.0, metavar="S", help="scrape and evaluate so often (default: 1)")
        add("--reload", type=_seconds, default=5.0, metavar="S", help="read the rules again so often (default: 5)")
        add("--repeat", type=_seconds, default=60.0, metavar="S", help="repeat what still fires so often (default: 60)")

    def handle(self, *_args: Any, **options: Any) -> None:
        token = os.environ.get("SRE_INTAKE_TOKEN", "")
        if not token:
            raise CommandError("Set SRE_INTAKE_TOKEN to the bearer token that the webhook expects.")
        try:
            _evaluator(token, options).run(_stop_on_signal())
        except SreError as error:
            raise CommandError(str(error)) from error


def _evaluator(token: str, options: dict[str, Any]) -> Evaluator:
    interval_s = options["interval"]
    return Evaluator(
        Scraper(options["target"], timeout_s=0.9 * interval_s),
        Courier(webhook(options["webhook"], token)),
        _fresh_rules,
        DatabaseLedger(),
        interval_s=interval_s,
        reload_s=options["reload"],
        repeat_s=options["repeat"],
    )


def _fresh_rules() -> list[AlertRule]:
    close_old_connections()  # nobody else does outside of a request: a connection may have died since the last read
    return enabled_rules()


def _stop_on_signal() -> threading.Event:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop


def _target(text: str) -> Target:
    job, separator, url = text.partition("=")
    try:
        if job and separator:
            return Target(job, url)
    except SreError as error:
        raise ArgumentTypeError(str(error)) from error
    raise ArgumentTypeError(f"{text!r} is not of the form JOB=URL")


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0.05 <= seconds <= 86400:
        raise ArgumentTypeError(f"{text!r} is not a number of seconds between 0.05 and 86400")
    return seconds
