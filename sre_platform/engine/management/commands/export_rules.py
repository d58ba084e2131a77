from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from sre_platform.detection.export import rule_file
from sre_platform.detection.models import enabled_rules


class Command(BaseCommand):
    help = (
        "Print the enabled alert rules as a Prometheus rule file, to be loaded by your own Prometheus:"
        " manage.py export_rules > /etc/prometheus/rules/sre.yml, then reload Prometheus."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--interval", type=float, default=15.0, help="seconds between evaluations (default: 15)")

    def handle(self, *_: Any, interval: float, **__: Any) -> None:
        self.stdout.write(rule_file(enabled_rules(), interval), ending="")
