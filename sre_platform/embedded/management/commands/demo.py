import json
import os
import secrets
import signal
import sys
from argparse import RawDescriptionHelpFormatter
from io import StringIO
from time import sleep
from typing import Any, NoReturn

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console

from sre_platform.chaos import drills, probes
from sre_platform.chaos.scoring import Report
from sre_platform.detection.models import enabled_rules
from sre_platform.embedded.lab_build import build
from sre_platform.embedded.stack import Running, Say, Stack, stop_running
from sre_platform.engine import tasks
from sre_platform.engine.show import Follower, summary
from sre_platform.intake import tokens
from sre_platform.intake.domain import METRICS
from sre_platform.kernel.envfile import write_private
from sre_platform.kernel.errors import SreError

PLANNED = "SRE_STACK_PLANNED"  # set once this process runs in the environment of its own plan
SHOWN_FIRST = "orders/goroutine-leak"
SETTLED_S = 6.0  # what rules look at is up to five seconds old: before that, starting up would look like growth


class Command(BaseCommand):
    help = """Run the whole platform and its lab on this machine, break the lab on purpose, and watch it being healed.

  manage.py demo            stays up until Ctrl-C
  manage.py demo --once     ends after the drill: 0 when the fault was healed and verified, else 1
  manage.py demo --stop     stops one that was left running

Everything that it writes lies under var/. With Prometheus and Alertmanager on PATH those are used, else the
embedded evaluator."""

    def create_parser(self, *args: Any, **kwargs: Any) -> CommandParser:
        return super().create_parser(*args, formatter_class=RawDescriptionHelpFormatter, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--once", action="store_true", help="run one drill and end")
        parser.add_argument("--stop", action="store_true", help="stop what was left running and end")
        parser.add_argument("--no-drill", action="store_true", help="start everything, but break nothing")
        parser.add_argument("--json", action="store_true", help="print the drill's result as one JSON object")
        parser.add_argument("--drill", default=SHOWN_FIRST, metavar="NAME", help=f"default: {SHOWN_FIRST}")
        parser.add_argument("--alerting", choices=["auto", "prometheus", "embedded"], default="auto")

    def handle(self, *_: Any, **options: Any) -> None:
        self.console = Console(stderr=options["json"], highlight=False)
        try:
            if options["stop"]:
                self.console.print("Stopped." if stop_running(settings.SRE_DATA) else "Nothing is running.")
                return
            sys.exit(self._run(options))
        except SreError as error:
            raise CommandError(str(error)) from error

    def _run(self, options: dict[str, Any]) -> int:
        if PLANNED not in os.environ:
            self._plan(options["alerting"])
        stack, running = Stack.load(settings.SRE_DATA), None
        for number in (signal.SIGINT, signal.SIGTERM):  # a shell that starts it with & has SIGINT ignored
            signal.signal(number, signal.default_int_handler)
        try:
            with self.console.status("preparing") as status:
                say = status.update if self.console.is_terminal else self._say
                password = self._prepare(stack, say)
                running = stack.start(enabled_rules())
                running.wait_until_ready(tasks.workers, say)
            self._greet(stack, password)
            report = None if options["no_drill"] else self._drill(options)
            if options["once"]:
                return 0 if report and report.expected else 1
            self._stay(stack, running)
            return 0
        except KeyboardInterrupt:
            return 130 if options["once"] else 0
        finally:
            self._stop(running)

    @staticmethod
    def _plan(alerting: str) -> NoReturn:
        """Choose ports and secrets, then begin again in the environment that follows from them."""
        stack = Stack.plan(settings.SRE_DATA, alerting)
        stack.save()
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | stack.environment() | {PLANNED: "1"})  # noqa: S606

    def _say(self, what: str) -> None:
        """Progress where nobody looks at a terminal: a line each."""
        self.console.print(f"... {what}")

    @staticmethod
    def _prepare(stack: Stack, say: Say) -> str:
        """Build the lab, bring the database up to date, and return the password of the user ``sre``."""
        lab = settings.BASE_DIR / "experiments" / "lab"
        build(lab, stack.data / "lab", stack.data / "go", say)
        say("preparing the database")
        call_command("migrate", verbosity=0)
        call_command("sync", catalog=[lab / "catalog.yaml"], stdout=StringIO())
        tokens.issue("embedded", stack.secrets["SRE_INTAKE_TOKEN"])
        write_private(stack.data / "run" / "metrics.token", tokens.issue("prometheus", scope=METRICS))
        return _new_password()

    def _greet(self, stack: Stack, password: str) -> None:
        self.console.print(
            f"[bold]The platform is up[/] at {stack.url('WEB')}, sign in as [bold]sre[/] / [bold]{password}[/]"
        )
        source = "Prometheus and Alertmanager" if stack.alerting == "prometheus" else "the embedded evaluator"
        self.console.print(f"Alerts come from {source}; logs are in {stack.data / 'log'}.\n")

    def _drill(self, options: dict[str, Any]) -> Report:
        probes.users_are_well()
        sleep(SETTLED_S)
        report = drills.run(options["drill"], Follower(self.console))
        summary(self.console, report)
        for incident in report.incidents:
            self.console.print(f"Incident page: {settings.SRE_BASE_URL}/incidents/{incident}/")
        if options["json"]:
            self.stdout.write(json.dumps(report.as_json(), default=str))
        return report

    def _stay(self, stack: Stack, running: Running) -> None:
        self.console.print(
            f"\nIt stays up until Ctrl-C. Look at {stack.url('WEB')}, and break more: make drill NAME=...",
            soft_wrap=True,
        )
        while running.process.poll() is None:
            sleep(0.5)

    def _stop(self, running: Running | None) -> None:
        if running:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            self.console.print("Stopping what was started.")
            running.stop()


def _new_password() -> str:
    password = secrets.token_urlsafe(9)
    user, _ = get_user_model().objects.get_or_create(username="sre", defaults={"is_staff": True, "is_superuser": True})
    user.set_password(password)
    user.save()
    return password
