from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from sre_platform.intake import tokens


class Command(BaseCommand):
    help = (
        "Make the bearer token with which a sender (Alertmanager, a pipeline) may call the webhooks, and print it."
        " It is shown once and kept as a hash; making it again under the same name replaces it."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="who will send with it, such as alertmanager-prod")

    def handle(self, *_: Any, name: str, **__: Any) -> None:
        self.stdout.write(tokens.issue(name))
