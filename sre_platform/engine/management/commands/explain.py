import json
import sys
from argparse import RawDescriptionHelpFormatter
from collections.abc import Mapping, Sequence
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table

from sre_platform.engine import explaining
from sre_platform.engine.explaining import Explanation
from sre_platform.kernel.errors import Malformed, SreError
from sre_platform.kernel.redaction import redact_text

ALLOWED, NOT_ALLOWED, CANNOT = 0, 1, 2
WIDTH = 80
COLOURS = {"allow": "green", "ask": "yellow", "deny": "red"}
MODE_COLOURS = {"auto": "green", "approve": "yellow"}
BROKEN = "An action or a guard failed, as it would when it is asked in earnest; --traceback shows where."
HOW = "Name an incident, as in `manage.py explain 17`, or all of --service, --cause and --action."


class Command(BaseCommand):
    help = """Say what would be done about an incident and why, without doing it.

  manage.py explain 17                    incident 17: every action, policy and guard that is considered, and how
                                          what has been done was judged
  manage.py explain --service payments --cause hung_service --action restart_service
                                          the same if that cause were found, with no incident
  manage.py explain 17 --json             for a machine: docs/reference/explain.md

Nothing is written and nothing is touched: of the actions only the look is called that comes before one. The exit code
is 0 when it would be done, 1 when people would be asked or called or it has to wait, 2 when it cannot be told."""
    requires_system_checks = ()

    def create_parser(self, *args: Any, **kwargs: Any) -> CommandParser:
        return super().create_parser(*args, formatter_class=RawDescriptionHelpFormatter, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("incident", nargs="?", type=int, metavar="INCIDENT", help="an incident's number")
        parser.add_argument("--service", help="a service of the catalog")
        parser.add_argument("--cause", help="the cause that would be found there")
        parser.add_argument("--action", help="the action that would be proposed")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *_: Any, **options: Any) -> None:
        try:
            told = _explanation(options)
        except SreError as error:
            raise CommandError(str(error), returncode=CANNOT) from error
        except Exception as error:  # a plugin may raise anything; 1 would say that somebody had refused
            said = redact_text(f"{BROKEN} {type(error).__name__}: {error}")
            raise CommandError(said, returncode=CANNOT) from error
        if options["json"]:
            self.stdout.write(json.dumps(told.as_json(), ensure_ascii=False))
        else:
            console = Console(highlight=False)
            console.width = min(WIDTH, console.width)
            _show(console, told.as_json())
        sys.stdout.flush()
        sys.exit(ALLOWED if told.allowed else NOT_ALLOWED)


def _explanation(options: Mapping[str, Any]) -> Explanation:
    incident, finding = options["incident"], [options[name] for name in ("service", "cause", "action")]
    if incident is not None and not any(finding):
        return explaining.of_incident(incident)
    if incident is None and all(finding):
        return explaining.of_finding(*finding)
    raise Malformed(HOW)


def _show(console: Console, told: Mapping[str, Any]) -> None:
    number = f"Incident {told['incident']} ({told['state'].replace('_', ' ')}): " if told["incident"] else ""
    console.print(f"[bold]{number}{escape(told['title'])}[/]")
    for entry in told["history"]:
        _show_history(console, entry)
    for place, option in enumerate(told["options"], start=1):
        _show_option(console, place, option)
    colour = "green" if told["allowed"] else COLOURS.get((told["verdict"] or {}).get("answer", "deny"), "red")
    console.print(f"\n[bold {'yellow' if told['held'] else colour}]{escape(told['would'])}[/]")


def _show_history(console: Console, entry: Mapping[str, Any]) -> None:
    console.print(f"\n[cyan]{entry['at'][:19]}Z {entry['event'].replace('_', ' ')}[/] {escape(entry['reason'])}")
    _rows(console, [(f"[dim]skipped[/] {escape(said)}",) for said in entry["skipped"]])
    _rows(console, [_guard(item) for item in entry["guards"]])


def _show_option(console: Console, place: int, option: Mapping[str, Any]) -> None:
    books = ", ".join(option["playbooks"]) or "no playbook"
    stored = f", step is {option['stored']}" if option["stored"] else ""
    console.print(
        f"\n[bold]{place}. {escape(option['action'])} on {escape(option['service'])}[/]"
        f" for {escape(option['cause'])} [dim]({escape(books)}{stored})[/]"
    )
    _rows(console, [("[cyan]" + title + "[/]", escape(text)) for title, text in _prepared(option)])
    _rows(console, [_policy(item) for item in option["policies"]] or [("[red]✗[/]", "There is no policy at all.")])
    _rows(console, [_guard(item) for item in option["guards"]])
    if verdict := option["verdict"]:
        colour = COLOURS[verdict["answer"]]
        said = f"[{colour}]→ {verdict['answer']} by {escape(verdict['guard'])}:[/] {escape(verdict['reason'])}"
        _rows(console, [(said,)])


def _prepared(option: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
    """What it does and its undo, as prepared now or as stored; or why it cannot be done."""
    cannot = [("cannot be done", option["cannot"])] if option["cannot"] else []
    if not option["verdict"]:
        return [*cannot, ("guards", "are not asked about what cannot be done")]
    undo = json.dumps(option["undo"], ensure_ascii=False)
    undo = undo if option["undo"] is not None else f"none: {option['irreversible']}"
    would = [("stored as" if option["stored"] else "would do", option["says"])]
    effects = [("effect", _effect(item)) for item in option["effects"]]
    changes = [("changes", f"{d['of']}: {_value(d['before'])} → {_value(d['after'])}") for d in option["diff"]]
    return [*would, *effects, *changes, ("undo", undo), *cannot]


def _effect(item: Mapping[str, Any]) -> str:
    """One write to the world, as ``apply`` would make it."""
    return f"{item['verb']} {item['to']}" + (f" {_value(item['body'])}" if item["body"] is not None else "")


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _policy(item: Mapping[str, Any]) -> tuple[str, ...]:
    name = escape(f"{item['policy']} v{item['version']}")
    mode = f"[{MODE_COLOURS.get(item['mode'], 'red')}]{escape(item['mode'])}[/]"
    if item["counts"]:
        return "[bold]●[/]", f"policy {name}", mode, "[bold]covers it, and is the one that counts[/]"
    why = "covers it, but another comes first" if item["covers"] else item["why_not"]
    return "[dim]○[/]", f"[dim]policy {name}[/]", f"[dim]{escape(item['mode'])}[/]", escape(why)


def _guard(item: Mapping[str, Any]) -> tuple[str, ...]:
    return f"[{COLOURS[item['answer']]}]{item['answer']}[/]", escape(item["guard"]), escape(item["reason"])


def _rows(console: Console, rows: Sequence[tuple[str, ...]]) -> None:
    if not rows:
        return
    grid = Table.grid(padding=(0, 1))
    for row in rows:
        grid.add_row(*row)
    console.print(Padding(grid, (0, 0, 0, 3)))
