import json
import sys
from argparse import RawDescriptionHelpFormatter
from time import sleep
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console

from sre_platform.engine import operator, rollout_view, rollouts
from sre_platform.kernel.errors import Malformed, SreError
from sre_platform.rollouts import record, walk
from sre_platform.rollouts.models import Rollout
from sre_platform.rollouts.walk import State, Wish

POLL_S = 1.0
LISTED = 20
CODES = {State.PROMOTED: 0, State.ROLLED_BACK: 1, State.ABORTED: 1, State.FAILED: 1}
CANNOT = 2


class Command(BaseCommand):
    help = """Roll a release out step by step: more of the traffic as long as it is as good as the one that runs.

  manage.py rollout start payments --to v3                  5, 25, 50, 100 percent, a minute each
  manage.py rollout start payments --to v3 --header         first the requests that carry the canary's header
  manage.py rollout status [ID] [--watch] [--json]
  manage.py rollout go-on ID                                a person lets it take the next step
  manage.py rollout promote ID                              a person gives it all the traffic
  manage.py rollout abort ID                                all traffic back on the baseline

Exit code: 0; 1 when a roll-out that was watched did not end promoted; 2 when the request cannot be fulfilled."""

    def create_parser(self, *args: Any, **kwargs: Any) -> CommandParser:
        return super().create_parser(*args, formatter_class=RawDescriptionHelpFormatter, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        begin = verbs.add_parser("start")
        begin.add_argument("service")
        begin.add_argument("--to", required=True, metavar="RELEASE")
        begin.add_argument("--steps", default=",".join(map(str, walk.STEPS)), metavar="PERCENTS")
        begin.add_argument("--step-seconds", type=float, default=walk.STEP_S, help="the shortest time at one step")
        label = begin.add_mutually_exclusive_group()
        label.add_argument("--header", action="store_const", dest="label", const="header", default="")
        label.add_argument("--region", action="store_const", dest="label", const="region")
        begin.add_argument("--reason", default="")
        shown = verbs.add_parser("status")
        shown.add_argument("id", type=int, nargs="?")
        shown.add_argument("--watch", action="store_true", help="until it has ended")
        for verb in ("abort", "promote", "go-on"):
            verbs.add_parser(verb).add_argument("id", type=int)
        for name in ("start", "status", "abort", "promote", "go-on"):
            verbs.choices[name].add_argument("--json", action="store_true")

    def handle(self, *_: Any, verb: str, **options: Any) -> None:
        try:
            if verb == "start":
                self._start(options)
            elif verb == "status":
                self._status(options)
            else:
                self._ask(Wish(verb.replace("-", "_")), options)
        except SreError as error:
            raise CommandError(str(error), returncode=CANNOT) from error

    def _start(self, options: dict[str, Any]) -> None:
        rollout = rollouts.start(
            options["service"],
            options["to"],
            operator.name(),
            _percents(options["steps"]),
            options["label"],
            options["step_seconds"],
            options["reason"],
        )
        self._show(rollout, options["json"])

    def _status(self, options: dict[str, Any]) -> None:
        if options["id"] is None:
            rows = list(Rollout.objects.all()[:LISTED])
            if options["json"]:
                self.stdout.write(json.dumps([rollout_view.as_json(row) for row in rows]))
            else:
                rollout_view.table(Console(highlight=False), rows)
            return
        rollout = _known(options["id"])
        while options["watch"] and not rollout.ended:
            sleep(POLL_S)
            rollout = _known(options["id"])
        self._show(rollout, options["json"])
        if options["watch"]:
            sys.stdout.flush()
            sys.exit(CODES[State(rollout.state)])

    def _ask(self, wish: Wish, options: dict[str, Any]) -> None:
        rollout = _known(options["id"])
        if not record.ask(rollout.pk, wish, operator.name()):
            raise CommandError(f"Roll-out {rollout.pk} is {rollout.state} already.", returncode=CANNOT)
        self._show(_known(rollout.pk), options["json"])

    def _show(self, rollout: Rollout, as_json: bool) -> None:
        if as_json:
            self.stdout.write(json.dumps(rollout_view.as_json(rollout)))
        else:
            rollout_view.show(Console(highlight=False), rollout)


def _known(pk: int) -> Rollout:
    rollout = Rollout.objects.filter(pk=pk).first()
    if rollout is None:
        raise CommandError(f"There is no roll-out {pk}.", returncode=CANNOT)
    return rollout


def _percents(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise Malformed(f"{text!r} is no list of percentages such as 5,25,50,100.") from None
