"""A drill as a person follows it: one line for each thing that happens, with its time from the fault's clock."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.text import Text

from sre_platform.chaos.drills import News
from sre_platform.chaos.scoring import Report

STYLES = {
    "fault": ("fault", "bold red"),
    "opened": ("alert", "yellow"),
    "alert_joined": ("alert", "yellow"),
    "cause_found": ("cause", "bold magenta"),
    "allowed": ("decided", "cyan"),
    "changed": ("changed", "yellow"),
    "steps_done": ("acted", "bold blue"),
    "sampled": ("measured", "dim"),
    "fixed": ("verified", "bold green"),
    "ticket_opened": ("ticket", "green"),
    "no_cause": ("escalated", "bold red"),
    "refused": ("escalated", "bold red"),
    "unverified": ("escalated", "bold red"),
    "alerts_cleared": ("no action", "green"),
    "walking": ("canary", "cyan"),
    "weights_set": ("weights", "bold blue"),
    "analysed": ("measured", "dim"),
    "rolling_back": ("breach", "bold red"),
    "rolled_back": ("back", "bold green"),
    "promoted": ("promoted", "bold green"),
}


class Follower:
    """Prints news as they come; ``console`` writes colours only to a terminal."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def __call__(self, news: News) -> None:
        label, style = STYLES.get(news.name, (news.name.replace("_", " "), "dim"))
        clock = f"{news.seconds:8.3f} s" if news.seconds is not None else "       – s"
        self.console.print(Text.assemble((clock, "dim"), "  ", (f"{label:<9}", style), "  ", news.text), soft_wrap=True)
        for line in _details(news.name, news.data):
            self.console.print(Text(f"{'':23}{line}", style="dim"), soft_wrap=True)


def _details(name: str, data: Mapping[str, Any]) -> list[str]:
    if name == "cause_found":
        site = data["cause"].get("site")
        where = [f"at {site['file']}:{site['line']} in {site['function']}"] if site else []
        return [*where, *data["cause"]["because"][1:]]
    if name in ("allowed", "refused", "needs_approval"):
        return [f"{g['guard']}: {g['answer']} – {g['reason']}" for g in data.get("guards", ())]
    if "checks" in data:
        return [_check(check) for check in data["checks"] if name != "sampled" or not check["met"]]
    return []


def _check(check: Mapping[str, Any]) -> str:
    value = "not measured" if check["value"] is None else f"{check['value']:.4g}"
    mark = {True: "✓", False: "✗", None: "?"}[check["met"]]
    return f"{mark} {check['name']}: {value} ({check['op']} {check['threshold']:g})"


def summary(console: Console, report: Report) -> None:
    """The result in one line, and what was not as expected."""
    style = "bold green" if report.expected else "bold red"
    total = report.stages.get("verified")
    took = f" in {total:.1f} s from the fault" if total is not None else ""
    if (back := report.stages.get("taken_back")) is not None:
        took += f", taken back after {back:.1f} s"
    console.print(
        Text(f"{report.experiment}: {report.outcome}{took}, {report.wrong_actions} wrong actions.", style=style)
    )
    for problem in report.unexpected:
        console.print(Text(f"  not as expected: {problem}", style="red"))
