import os
from argparse import ArgumentTypeError, RawDescriptionHelpFormatter
from pathlib import Path
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from sre_platform.detection.models import enabled_rules
from sre_platform.embedded import large_form
from sre_platform.intake import tokens
from sre_platform.intake.domain import METRICS
from sre_platform.kernel.errors import SreError

TOKEN = "compose"  # noqa: S105 the name of the token, not the token


class Command(BaseCommand):
    help = """Prepare a large installation before its parts start. docker/compose.yaml runs it; twice does no harm.

It waits for the database and migrates it, reads playbooks and the catalog, stores the intake token
$SRE_INTAKE_TOKEN, makes the user sre with $SRE_ADMIN_PASSWORD when there is none, and writes what Prometheus and
Alertmanager read."""

    def create_parser(self, *args: Any, **kwargs: Any) -> CommandParser:
        return super().create_parser(*args, formatter_class=RawDescriptionHelpFormatter, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        add = parser.add_argument
        add("--catalog", type=Path, action="append", default=[], metavar="FILE", help="as for sync; repeat it")
        add("--target", type=_target, action="append", required=True, metavar="JOB=HOST:PORT", help="what is scraped")
        add("--platform", required=True, metavar="HOST:PORT", help="where the web's own /metrics is")
        add("--prometheus", type=Path, required=True, metavar="FOLDER", help="where Prometheus' files go")
        add("--alertmanager", type=Path, required=True, metavar="FOLDER", help="where Alertmanager's files go")
        add("--alertmanager-address", required=True, metavar="HOST:PORT", help="where Prometheus sends alerts")
        add("--wait", type=float, default=60.0, metavar="S", help="for the database (default: 60)")
        add("--hook", required=True, metavar="URL", help="where Alertmanager posts them")

    def handle(self, *_: Any, **options: Any) -> None:
        token, password = _secret("SRE_INTAKE_TOKEN"), _secret("SRE_ADMIN_PASSWORD")
        try:
            large_form.wait_for_database(options["wait"])
            call_command("migrate", verbosity=0)
            call_command("sync", catalog=options["catalog"], stdout=self.stdout)
            with transaction.atomic():
                tokens.issue(TOKEN, token)
                reading = tokens.issue("prometheus", scope=METRICS)
                made = large_form.first_user("sre", password)
            self._write(token, reading, options)
        except (SreError, OSError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"The user sre {'was made' if made else 'was there already'}.")

    def _write(self, token: str, reading: str, options: dict[str, Any]) -> None:
        rules, targets = enabled_rules(), dict(options["target"])
        platform, manager = options["platform"], options["alertmanager_address"]
        large_form.write_prometheus(options["prometheus"], targets, platform, manager, rules, reading)
        large_form.write_alertmanager(options["alertmanager"], options["hook"], token)
        self.stdout.write(f"Wrote {len(rules)} alert rules and {len(targets)} targets for Prometheus.")


def _secret(name: str) -> str:
    if not (value := os.environ.get(name)):
        raise CommandError(f"{name} is not set: run docker/new-secrets.sh first.")
    return value


def _target(text: str) -> tuple[str, str]:
    job, separator, address = text.partition("=")
    if not (job and separator and ":" in address):
        raise ArgumentTypeError(f"{text!r} is not of the form JOB=HOST:PORT")
    return job, address
