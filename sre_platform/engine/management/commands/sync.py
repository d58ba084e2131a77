import json
import sys
from argparse import RawDescriptionHelpFormatter
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from sre_platform.engine import syncing
from sre_platform.kernel.errors import Malformed


class Command(BaseCommand):
    help = """Read playbooks and catalog files into the database.

  manage.py sync                          all playbooks below playbooks/
  manage.py sync --catalog lab.yaml       services, alert rules and policies as well

Every change makes a new version of a playbook; incidents that are open keep the version they were opened with.
${NAME} in a catalog file stands for an environment variable. A bad file is named and changes nothing; the exit
code is then 1."""

    def create_parser(self, *args: Any, **kwargs: Any) -> CommandParser:
        return super().create_parser(*args, formatter_class=RawDescriptionHelpFormatter, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--playbooks", type=Path, default=settings.BASE_DIR / "playbooks", help="the folder to read"
        )
        parser.add_argument("--catalog", type=Path, action="append", default=[], metavar="FILE")
        parser.add_argument("--json", action="store_true", help="print what changed and what was refused as JSON")

    def handle(self, *_: Any, playbooks: Path, catalog: list[Path], **options: Any) -> None:
        changed, refused = syncing.sync_playbooks(playbooks)
        for path in catalog:
            try:
                changed += syncing.sync_catalog(path)
            except (Malformed, OSError) as error:
                refused.append(str(error))
        if options["json"]:
            self.stdout.write(json.dumps({"changed": changed, "refused": refused}))
            sys.exit(1 if refused else 0)
        for sentence in changed or ["Everything is in force already."]:
            self.stdout.write(sentence)
        if refused:
            raise CommandError("\n".join(refused))
