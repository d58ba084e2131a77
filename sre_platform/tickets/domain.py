"""What a ticket says, and the ticket systems' port. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class Draft:
    """A ticket to be opened. ``key`` names it for good: opening the same key again finds the first one."""

    key: str
    title: str
    body: str
    labels: Sequence[str]


class TicketSystem(Protocol):
    """Where people get their work from. All of them may be repeated without harm; they raise SreError.

    ``open`` returns the ticket's reference (a number or id) and its address.
    """

    name: str

    def open(self, draft: Draft) -> tuple[str, str]: ...
    def comment(self, reference: str, key: str, text: str) -> None: ...
    def close(self, reference: str) -> None: ...
    def reopen(self, reference: str) -> None: ...


def compose(incident: Mapping[str, Any]) -> str:
    """The body in Markdown: what happened, the cause with its evidence, what was done, what was measured.

    ``incident`` holds ``title, url, state, reason, findings, steps, checks`` as JSON-like values.
    """
    parts = [
        f"**{incident['title']}** is **{incident['state']}**. {incident['reason']}",
        f"Timeline and evidence: {incident['url']}",
        _section("Cause", [_finding(rank, f) for rank, f in enumerate(incident["findings"], start=1)]),
        _section("Action", [_step(step) for step in incident["steps"]]),
        _section("Verification (last sample)", [_check(check) for check in incident["checks"]]),
        _section("Advice", [f"- {line}" for line in (incident["findings"] or [{"advice": []}])[0]["advice"]]),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _section(title: str, lines: Sequence[str]) -> str:
    return "\n".join([f"## {title}", "", *lines]) if lines else ""


def _finding(rank: int, finding: Mapping[str, Any]) -> str:
    site = finding.get("site")
    where = f" at `{site['file']}:{site['line']}` in `{site['function']}`" if site else ""
    head = f"{rank}. `{finding['cause']}` in {finding['service']}{where} (confidence {finding['confidence']:.2f})"
    return "\n".join([head, *(f"   - {line}" for line in finding["because"])])


def _step(step: Mapping[str, Any]) -> str:
    result = f" {step['result']}" if step["result"] else ""
    undo = "It cannot be undone." if step["undo"] is None else f"Undo: `{step['action']} {step['undo']}`."
    calls = [f"   - `{effect['verb']} {effect['to']}`" for effect in step.get("effects", ())]
    return "\n".join([f"- {step['says']}: {step['state']}.{result} {undo}", *calls])


def _check(check: Mapping[str, Any]) -> str:
    value = check["missing"] if check["value"] is None else f"{check['value']:.4g}"
    mark = {True: "met", False: "NOT met", None: "not measured"}[check["met"]]
    return f"- {check['name']}: {value} (has to be {check['op']} {check['threshold']:g}): {mark}"
