import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from sre_platform.engine import operator
from sre_platform.guardrails.models import halted, set_kill_switch


class Command(BaseCommand):
    help = (
        "Stop all automation at once, or let it go on. Alerts are still taken in and diagnosed while it is stopped;"
        " whatever would be done is escalated to people instead. Without a word, prints how it stands."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("state", nargs="?", choices=["on", "off"], help="on: stop everything; off: go on")
        parser.add_argument("--reason", default="", help="why; shown on every page and in every refusal")
        parser.add_argument("--json", action="store_true", help="print how it stands as one JSON object")

    def handle(self, *_: Any, state: str | None, reason: str, **options: Any) -> None:
        if state:
            set_kill_switch(state == "on", operator.name(), reason)
        why = halted()
        if options["json"]:
            self.stdout.write(json.dumps({"stopped": bool(why), "reason": why}))
            return
        self.stdout.write(f"All automation is stopped: {why}." if why else "Automation is running.")
