"""The timeline of an incident as it is read: one moment after the other, each with what belongs to it. Pure.

The hash-chained entries give the order; alerts, evidence, findings, steps, samples and tickets are hung where they
belong. Samples are gathered into one table at their verdict, and alerts that join again and again into one moment. What
is going on right now is the last moment.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from typing import Any, Literal

from sre_platform.diagnosis.models import EvidenceRow, FindingRow
from sre_platform.incidents.domain import ENDED, State
from sre_platform.incidents.models import IncidentAlert, TimelineEntry
from sre_platform.remediation.models import Step
from sre_platform.tickets.models import Ticket
from sre_platform.web.measured import Table, table
from sre_platform.web.reading import Case
from sre_platform.web.seen import Layout, lay_out

Kind = Literal["alert", "evidence", "cause", "decision", "action", "verification", "rollback", "ticket", "note"]
Tone = Literal["good", "bad", "warn", "busy", "plain"]

HEADS: Mapping[str, tuple[Kind, str, Tone]] = {
    "opened": ("alert", "Alert", "plain"),
    "alert_joined": ("note", "Another alert joined", "plain"),
    "alerts_clear": ("note", "No alert fires any more", "good"),
    "cause_found": ("cause", "Cause found", "good"),
    "no_cause": ("cause", "No cause found", "bad"),
    "alerts_cleared": ("note", "Over before anything was done", "good"),
    "allowed": ("decision", "Allowed to act", "good"),
    "needs_approval": ("decision", "A person has to approve", "warn"),
    "refused": ("decision", "Not allowed to act", "bad"),
    "approved": ("note", "Approved", "good"),
    "rejected": ("note", "Rejected", "bad"),
    "steps_done": ("action", "Action carried out", "good"),
    "step_failed": ("action", "Action failed", "bad"),
    "changed": ("action", "Not begun: something has changed", "warn"),
    "step_unknown": ("action", "Action may or may not have been carried out", "warn"),
    "fixed": ("verification", "Verified: fixed", "good"),
    "not_fixed": ("verification", "Verified: not fixed", "bad"),
    "worse": ("verification", "Verified: worse than before", "bad"),
    "unverified": ("verification", "Could not be verified", "warn"),
    "rolled_back": ("rollback", "Taken back", "warn"),
    "rollback_failed": ("rollback", "Could not be taken back", "bad"),
    "step_first": ("note", "Done first", "good"),
    "take_back": ("note", "A person wants it taken back", "warn"),
    "taken_back": ("rollback", "Taken back", "warn"),
    "relapsed": ("note", "It came back", "bad"),
    "watch_blind": ("note", "Not measured any more", "warn"),
    "ticket_opened": ("ticket", "Ticket opened", "plain"),
    "lease_expired": ("note", "A worker went away, another took over", "warn"),
    "stage_failed": ("note", "A stage failed and is tried again", "bad"),
    "waits": ("note", "Waits", "warn"),
}
PENDING: Mapping[State, tuple[Kind, str, str]] = {
    State.OPEN: ("evidence", "Looking for the cause", "Collectors look at the service and at what it depends on."),
    State.DIAGNOSED: ("note", "Deciding", "The guards are asked what may be done about the cause."),
    State.AWAITING_APPROVAL: ("note", "Waiting for a person", "Approve or reject at the top of this page."),
    State.APPROVED: ("action", "Acting", "The action is being carried out."),
    State.REMEDIATED: ("verification", "Verifying", "Measuring whether it helped."),
    State.UNHEALTHY: ("rollback", "Taking it back", "The action did not help, so it is undone."),
}
JOINED, JOINED_SHOWN = "alert_joined", 2  # of those that follow each other; the others are gathered
FROM_THE_SAMPLES = "sampled"  # gathered into the table of their verdict


@dataclass(frozen=True)
class Seen:
    """What one collector saw, or why it saw nothing."""

    row: EvidenceRow
    layout: Layout
    documents: Sequence[tuple[str, bool]]


@dataclass(frozen=True)
class Moment:
    """One thing that happened ``after_s`` seconds after the first alert (None: it is happening now).

    ``reason`` is the sentence of the entry. Of the other fields those are filled that belong to the kind.
    """

    kind: Kind
    title: str
    tone: Tone
    at: datetime | None
    after_s: float | None
    reason: str
    members: Sequence[IncidentAlert] = ()
    services: Sequence[tuple[str, Sequence[Seen]]] = ()
    rounds: int = 0
    findings: Sequence[FindingRow] = ()
    data: Mapping[str, Any] = field(default_factory=dict)
    step: Step | None = None
    playbook: str = ""
    table: Table | None = None
    ticket: Ticket | None = None

    @property
    def template(self) -> str:
        """The template that shows what belongs to it."""
        return f"incident/{self.kind}.html"

    @property
    def says_more(self) -> bool:
        """Whether the reason says something that what belongs to the moment does not say anyway."""
        if self.kind == "cause" and self.findings:
            return self.reason not in self.findings[0].content["because"]
        return bool(self.reason) and self.kind != "action" and not (self.kind == "ticket" and self.ticket and self.at)


def moments(case: Case) -> list[Moment]:
    """The whole story, oldest first, and last what is going on now."""
    told: list[Moment] = []
    repairs, current = list(case.repairs), None
    for entry, times in _gathered(case.entries):
        if entry.name in ("allowed", "needs_approval"):
            current = _take(repairs, entry.data.get("says", "")) or current
        if entry.name == FROM_THE_SAMPLES:
            continue
        told += [_again(case, entry, times)] if times > 1 else _from_entry(case, entry, current)
    return [*told, *_now(case, current)]


def _gathered(entries: Sequence[TimelineEntry]) -> Iterator[tuple[TimelineEntry, int]]:
    """The entries, each with how many it stands for: a storm has one for every batch of alerts that joined it."""
    for name, group in groupby(entries, key=lambda entry: entry.name):
        run = list(group)
        shown = JOINED_SHOWN if name == JOINED and len(run) > JOINED_SHOWN + 1 else len(run)
        yield from ((entry, 1) for entry in run[:shown])
        if run[shown:]:
            yield run[-1], len(run) - shown


def _again(case: Case, entry: TimelineEntry, times: int) -> Moment:
    title = f"Alerts joined {times} more times"
    return Moment("note", title, "plain", entry.at, _after(case, entry.at), f"The last time: {entry.reason}")


def _take(repairs: list[Step], says: str) -> Step | None:
    """The first step that was not decided on before and says this; it is taken out of ``repairs``."""
    step = next((step for step in repairs if step.says == says), None)
    if step:
        repairs.remove(step)
    return step


def _from_entry(case: Case, entry: TimelineEntry, step: Step | None) -> Iterator[Moment]:
    kind, title, tone = HEADS.get(entry.name, ("note", entry.name.replace("_", " ").capitalize(), "plain"))
    if kind == "cause" and case.evidence:
        yield _evidence(case, "Evidence", "plain", case.evidence[-1].collected_at)
    parts = _parts(case, kind, step, entry.data)
    yield Moment(kind, title, tone, entry.at, _after(case, entry.at), entry.reason, data=entry.data, **parts)


def _parts(case: Case, kind: Kind, step: Step | None, data: Mapping[str, Any]) -> dict[str, Any]:
    """What belongs to a moment of this kind."""
    if kind == "alert":
        return {"members": case.members}
    if kind == "cause":
        return {"findings": case.findings}
    if kind == "ticket":
        return {"ticket": next((t for t in case.tickets if _same_ticket(t, data)), None)}
    if kind == "decision" and step and step.says != data.get("says"):
        return {}  # refused before it was written down
    if kind in ("decision", "action") and step:
        return {"step": step, "playbook": case.playbooks.get(step.playbook, "")}
    if kind == "verification" and step:
        return {"step": step, "table": table(list(step.samples.all()), case.started_at)}
    if kind == "rollback" and step:
        return {"step": next((undo for undo in case.steps if undo.undoes_id == step.pk), None)}
    return {}


def _same_ticket(ticket: Ticket, data: Mapping[str, Any]) -> bool:
    return (ticket.system, ticket.reference) == (data.get("system"), data.get("reference"))


def _evidence(case: Case, title: str, tone: Tone, at: datetime | None, reason: str = "") -> Moment:
    after_s = _after(case, at) if at else None
    return Moment("evidence", title, tone, at, after_s, reason, services=_services(case), rounds=case.rounds)


def _services(case: Case) -> list[tuple[str, Sequence[Seen]]]:
    """The evidence of each service, in the order in which they were looked at; what repairs captured last."""
    by_service: dict[str, list[Seen]] = {}
    for row in [*case.evidence, *case.captured]:
        by_service.setdefault(row.service, []).append(Seen(row, lay_out(row.data), case.documents.get(row.pk, ())))
    return list(by_service.items())


def _now(case: Case, step: Step | None) -> Iterator[Moment]:
    """What is going on now, if the incident has not ended; tickets that are not yet as wanted come after it."""
    state = State(case.incident.state)
    if state not in ENDED:
        kind, title, reason = PENDING[state]
        tone: Tone = "warn" if state is State.AWAITING_APPROVAL else "busy"
        if kind == "evidence":
            yield _evidence(case, title, tone, None, reason)
        else:
            yield Moment(kind, title, tone, None, None, reason, **_parts(case, kind, step, {}))
    for ticket in case.tickets:
        if ticket.due_at and not ticket.reference:
            said = ticket.trouble or f"It is being opened at {ticket.system}."
            tone = "warn" if ticket.trouble else "busy"
            yield Moment("ticket", "Opening a ticket", tone, None, None, said, ticket=ticket)


def _after(case: Case, at: datetime) -> float:
    return (at - case.started_at).total_seconds()
