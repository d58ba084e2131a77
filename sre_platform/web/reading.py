"""Everything that the page of one incident shows, in a number of queries that stays the same however much it is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, NamedTuple, TypeVar

from django.db.models import Count, QuerySet

from sre_platform.diagnosis.models import EvidenceDocument, EvidenceRow, FindingRow
from sre_platform.incidents.correlate import held_by
from sre_platform.incidents.domain import ENDED
from sre_platform.incidents.models import Incident, IncidentAlert, TimelineEntry
from sre_platform.incidents.record import broken_link
from sre_platform.playbook.models import PlaybookVersion
from sre_platform.remediation.models import Step
from sre_platform.tickets.models import Ticket

MEMBERS_SHOWN = 50
SERVICES_SHOWN = 30
CHILDREN_SHOWN = 50
Item = TypeVar("Item")


class Some(NamedTuple, Generic[Item]):
    """The first of many, and whether there are ``more``."""

    shown: Sequence[Item]
    more: bool


@dataclass(frozen=True)
class Case:
    """One incident with its rows, oldest first. Evidence and findings are those of the newest round.

    ``members`` are the first of its alerts; ``services`` counts all of them by service, most first. ``children`` are
    the first of those that it is the cause of. ``captured`` is the evidence that was kept before repairs,
    ``held`` says why it has to wait for its parent, if it has to.
    """

    incident: Incident
    entries: Sequence[TimelineEntry]
    members: Sequence[IncidentAlert]
    services: Some[tuple[str, int]]
    children: Some[Incident]
    held: str
    rounds: int
    evidence: Sequence[EvidenceRow]
    captured: Sequence[EvidenceRow]
    documents: Mapping[int, Sequence[tuple[str, bool]]]
    findings: Sequence[FindingRow]
    steps: Sequence[Step]
    tickets: Sequence[Ticket]
    playbooks: Mapping[str, str]
    broken_link: int | None

    @property
    def started_at(self) -> datetime:
        """When the first alert began; the incident's opening when it has none."""
        return self.incident.first_alert_at or self.incident.opened_at

    @property
    def unshown(self) -> int:
        """How many alerts it has besides ``members``."""
        return max(0, self.incident.alerts - len(self.members))

    @property
    def repairs(self) -> list[Step]:
        """The steps that are no undo of another one."""
        return [step for step in self.steps if step.undoes_id is None and step.leads_to_id is None]


def read(incident: Incident) -> Case:
    """Read all rows of the incident; the raw texts of the evidence stay where they are."""
    rows = list(incident.evidence.all())
    rounds = sorted({row.round for row in rows if not row.captured})
    evidence = [row for row in rows if not row.captured and row.round == rounds[-1]]
    captured = [row for row in rows if row.captured]
    findings = list(incident.findings.all())
    return Case(
        incident=incident,
        entries=list(incident.timeline.all()),
        members=list(incident.members.select_related("alert").order_by("pk")[:MEMBERS_SHOWN]),
        services=_services(incident),
        children=_some(incident.children.order_by("pk"), CHILDREN_SHOWN),
        held="" if incident.state in ENDED else held_by(incident),
        rounds=len(rounds),
        evidence=evidence,
        captured=captured,
        documents=document_names([*evidence, *captured]),
        findings=[row for row in findings if row.round == findings[0].round],
        steps=list(incident.steps.prefetch_related("samples")),
        tickets=list(incident.tickets.order_by("pk")),
        playbooks=_playbook_names(incident),
        broken_link=broken_link(incident.pk),
    )


def _some(rows: QuerySet, most: int) -> Some:
    found = list(rows[: most + 1])
    return Some(found[:most], len(found) > most)


def _services(incident: Incident) -> Some[tuple[str, int]]:
    rows = incident.members.values("alert__service").annotate(count=Count("pk")).order_by("-count", "alert__service")
    return _some(rows.values_list("alert__service", "count"), SERVICES_SHOWN)


def document_names(rows: Sequence[EvidenceRow]) -> dict[int, Sequence[tuple[str, bool]]]:
    """The names of each row's raw documents and whether they can be drawn, in one query that touches none of them."""
    names: dict[int, list[tuple[str, bool]]] = {}
    kept = EvidenceDocument.objects.filter(evidence__in=[row.pk for row in rows])
    for pk, name, kind in kept.order_by("name").values_list("evidence", "name", "kind"):
        names.setdefault(pk, []).append((name, kind == EvidenceDocument.Kind.PROFILE))
    return {row.pk: names.get(row.pk, ()) for row in rows}


def _playbook_names(incident: Incident) -> dict[str, str]:
    rows = PlaybookVersion.objects.filter(digest__in=incident.playbooks).defer("text").order_by("version")
    return {row.digest: str(row) for row in rows}
