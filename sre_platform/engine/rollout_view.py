"""Roll-outs for people at a terminal, and as JSON."""

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from sre_platform.rollouts.models import Rollout
from sre_platform.rollouts.walk import State

COLOURS = {State.PROMOTED: "green", State.ROLLED_BACK: "bold red", State.FAILED: "bold red", State.ABORTED: "yellow"}
EVENTS_SHOWN = 200


def as_json(rollout: Rollout) -> dict[str, Any]:
    """A roll-out with its newest analysis and its events."""
    names = ("id", "service", "baseline", "canary", "router", "state", "step", "step_s", "steps", "wanted", "actual")
    told = {name: getattr(rollout, name) for name in (*names, "reason", "wish", "started_by", "judgement")}
    moments = {name: _iso(getattr(rollout, name)) for name in ("started_at", "ended_at")}
    events = [
        {"at": _iso(event.at), "name": event.name, "reason": event.reason, "data": event.data}
        for event in rollout.events.order_by("-pk")[:EVENTS_SHOWN]
    ]
    return told | moments | {"events": events[::-1]}


def _iso(moment: Any) -> str | None:
    return moment.isoformat() if moment else None


def table(console: Console, rows: Sequence[Rollout]) -> None:
    """Roll-outs, a line each."""
    if not rows:
        console.print("There has been no roll-out yet.")
        return
    shown = Table("id", "service", "from", "to", "state", "canary", box=None, pad_edge=False)
    for row in rows:
        weight = f"{(row.actual or {}).get('canary', 0)} %"
        shown.add_row(str(row.pk), row.service, row.baseline, row.canary, _coloured(row.state), weight)
    console.print(shown)


def show(console: Console, rollout: Rollout) -> None:
    """One roll-out: where it stands, the checks with their numbers, and what has happened."""
    console.print(f"Roll-out {rollout.pk}: {rollout.service} from {rollout.baseline} to {rollout.canary}")
    console.print(f"{_coloured(rollout.state)}. {rollout.reason}\n")
    if checks := (rollout.judgement or {}).get("checks"):
        numbers = Table("check", "baseline", "canary", "limit", "says", box=None, pad_edge=False)
        for check in checks:
            values = ("-" if check[side] is None else f"{check[side]:.4g}" for side in ("baseline", "canary", "limit"))
            numbers.add_row(check["name"], *values, check["verdict"])
        console.print(numbers)
        console.print()
    for event in rollout.events.order_by("-pk")[:EVENTS_SHOWN][::-1]:
        seconds = (event.at - rollout.started_at).total_seconds()
        console.print(f"[dim]{seconds:8.2f} s[/]  [cyan]{event.name}[/]  {event.reason}", soft_wrap=True)


def _coloured(state: str) -> str:
    colour = COLOURS.get(State(state), "cyan")
    return f"[{colour}]{state.replace('_', ' ')}[/]"
