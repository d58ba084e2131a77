import json
from argparse import RawDescriptionHelpFormatter
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from sre_platform.engine import tasks
from sre_platform.intake import ledger


class Command(BaseCommand):
    help = """Take up webhooks again that were acknowledged, could not be digested and were put aside.

  manage.py redigest            all of them, as `manage.py doctor` lists them
  manage.py redigest 17 18      these deliveries only

Their bodies were kept, and they are digested in the order in which they came. What fails again is put aside again."""

    def create_parser(self, *args: Any, **kwargs: Any) -> CommandParser:
        return super().create_parser(*args, formatter_class=RawDescriptionHelpFormatter, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("deliveries", nargs="*", type=int, metavar="ID", help="all when none is given")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *_: Any, deliveries: list[int], **options: Any) -> None:
        rows = ledger.aside()
        taken = ledger.take_up_again(rows.filter(pk__in=deliveries) if deliveries else rows)
        if taken:
            tasks.ring_digest()  # the sweep finds them too, a little later
        said = json.dumps({"taken_up": taken}) if options["json"] else _said(taken)
        self.stdout.write(said)


def _said(taken: int) -> str:
    return f"{taken} webhook{'' if taken == 1 else 's'} will be digested again." if taken else "None was put aside."
