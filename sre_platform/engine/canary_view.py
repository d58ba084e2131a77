"""A canary's judgement for people, at a terminal of 80 columns."""

from rich.console import Console
from rich.table import Table

from sre_platform.rollouts.domain import Check, Judgement, Verdict

COLOURS = {Verdict.PASS: "green", Verdict.FAIL: "bold red", Verdict.INCONCLUSIVE: "yellow"}
SAID = {
    Verdict.PASS: "The canary passes",
    Verdict.FAIL: "The canary fails",
    Verdict.INCONCLUSIVE: "It cannot be told whether the canary is good",
}


def show(console: Console, judgement: Judgement) -> None:
    """The verdict in a sentence, then every check."""
    console.print(f"[{COLOURS[judgement.verdict]}]{SAID[judgement.verdict]}[/], after {judgement.at:.0f} s.\n")
    table = Table("check", "baseline", "canary", "limit", "says", box=None, pad_edge=False)
    for check in judgement.checks:
        values = (_shown(check.name, value) for value in (check.baseline, check.canary))
        table.add_row(check.name, *values, _limit(check), f"[{COLOURS[check.verdict]}]{check.verdict}[/]")
    console.print(table)
    for check in judgement.checks:
        console.print(f"\n[cyan]{check.name}[/] {check.reason}")


def _limit(check: Check) -> str:
    if check.name == "p99_rise":
        return f"+{check.limit:.0%}"
    return f"+{check.limit * 100:g} points" if check.name == "5xx_rise" else _shown(check.name, check.limit)


def _shown(name: str, value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.2%}" if name.startswith("5xx") else f"{value:,.1f} ms"
