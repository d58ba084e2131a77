"""Everything that the page of one incident shows, in a number of queries that stays the same however much it is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from sre_platform.diagnosis.models import EvidenceRow, FindingRow
from sre_platform.incidents.models import Incident, IncidentAlert, TimelineEntry
from sre_platform.incidents.record import broken_link
from sre_platform.playbook.models import PlaybookVersion
from sre_platform.remediation.models import Step
from sre_platform.tickets.models import Ticket

_NAMES: dict[tuple[int, datetime], tuple[str, ...]] = {}
_NAMES_KEPT = 4096


@dataclass(frozen=True)
class Case:
    """One incident with its rows, oldest first. Evidence and findings are those of the newest round."""

    incident: Incident
    entries: Sequence[TimelineEntry]
    members: Sequence[IncidentAlert]
    rounds: int
    evidence: Sequence[EvidenceRow]
    texts: Mapping[int, Sequence[str]]
    findings: Sequence[FindingRow]
    steps: Sequence[Step]
    tickets: Sequence[Ticket]
    playbooks: Mapping[str, str]
    broken_link: int | None

    @cached_property
    def started_at(self) -> datetime:
        """When the first alert began; the incident's opening when it has none."""
        return min((member.alert.starts_at for member in self.members), default=self.incident.opened_at)

    @property
    def repairs(self) -> list[Step]:
        """The steps that are no undo of another one."""
        return [step for step in self.steps if step.undoes_id is None]


def read(incident: Incident) -> Case:
    """Read all rows of the incident; the raw texts of the evidence stay where they are."""
    rows = list(incident.evidence.defer("packed_texts"))
    rounds = sorted({row.round for row in rows})
    evidence = [row for row in rows if row.round == rounds[-1]]
    findings = list(incident.findings.all())
    return Case(
        incident=incident,
        entries=list(incident.timeline.all()),
        members=list(incident.members.select_related("alert").order_by("pk")),
        rounds=len(rounds),
        evidence=evidence,
        texts=text_names(evidence),
        findings=[row for row in findings if row.round == findings[0].round],
        steps=list(incident.steps.prefetch_related("samples")),
        tickets=list(incident.tickets.order_by("pk")),
        playbooks=_playbook_names(incident),
        broken_link=broken_link(incident.pk),
    )


def text_names(rows: Sequence[EvidenceRow]) -> dict[int, Sequence[str]]:
    """The names of each row's raw texts. Dumps are large and never change, so a process unpacks each only once."""
    unknown = [row.pk for row in rows if (row.pk, row.collected_at) not in _NAMES]
    if len(_NAMES) > _NAMES_KEPT:
        _NAMES.clear()
    for row in EvidenceRow.objects.filter(pk__in=unknown).only("collected_at", "packed_texts") if unknown else ():
        _NAMES[row.pk, row.collected_at] = tuple(sorted(row.texts))
    return {row.pk: _NAMES.get((row.pk, row.collected_at), ()) for row in rows}


def _playbook_names(incident: Incident) -> dict[str, str]:
    rows = PlaybookVersion.objects.filter(digest__in=incident.playbooks).defer("text").order_by("version")
    return {row.digest: str(row) for row in rows}
