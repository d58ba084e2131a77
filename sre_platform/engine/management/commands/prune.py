import json
from argparse import RawDescriptionHelpFormatter
from dataclasses import asdict
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from sre_platform.engine import retention


class Command(BaseCommand):
    help = """Delete what is older than SRE_KEEP_DAYS; a worker does the same every hour.

  manage.py prune             delete, for 20 seconds at most
  manage.py prune --dry-run   only count what would go

Digested and rejected webhooks go with their ledger, alerts that are over and belong to no incident, and the raw
documents of the evidence of incidents that have ended, and the samples of roll-outs. What is pending stays, and so
do incidents."""

    def create_parser(self, *args: Any, **kwargs: Any) -> CommandParser:
        return super().create_parser(*args, formatter_class=RawDescriptionHelpFormatter, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="delete nothing")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *_: Any, dry_run: bool, **options: Any) -> None:
        found = retention.prunable() if dry_run else retention.prune()
        if options["json"]:
            self.stdout.write(json.dumps(asdict(found) | {"dry_run": dry_run, "keep_days": settings.SRE_KEEP_DAYS}))
            return
        counts = f"{found.deliveries} webhooks, {found.ledger} entries of the ledger, {found.alerts} alerts"
        raw = f"{found.samples} samples of roll-outs, the raw documents of {found.texts} looks"
        raw += f" and {found.blobs} that nothing refers to"
        self.stdout.write(f"{'Would delete' if dry_run else 'Deleted'} {counts}, {raw}.")
        if settings.SRE_KEEP_DAYS <= 0:
            self.stdout.write("SRE_KEEP_DAYS is 0: everything is kept.")
        if not found.finished:
            self.stdout.write("There is more: run it again, or let the workers go on with it.")
