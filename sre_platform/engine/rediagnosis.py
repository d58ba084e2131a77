"""A diagnosis made again from what was stored: the same evidence, playbooks and rules have to give the same answer."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings

from sre_platform.catalog.domain import Topology
from sre_platform.catalog.models import dependencies
from sre_platform.diagnosis import investigate
from sre_platform.diagnosis.domain import Evidence, Ranked
from sre_platform.diagnosis.models import EvidenceDocument
from sre_platform.incidents.models import Incident
from sre_platform.kernel.clock import now
from sre_platform.kernel.errors import Malformed, Unavailable, Unknown
from sre_platform.kernel.storable import storable
from sre_platform.playbook.models import PlaybookVersion
from sre_platform.playbook.schema import parse_playbook


@dataclass(frozen=True)
class Case:
    """All that one round of an incident's diagnosis was made from, and what it concluded then.

    ``playbooks`` are texts by digest, in the order in which the incident holds them. ``stored`` are the findings in
    their order, each with ``rule``, ``playbook`` and ``finding``.
    """

    incident: int
    round: int
    topology: Topology
    playbooks: Mapping[str, str]
    evidence: Sequence[Evidence]
    stored: Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Answer:
    """What the case gives now. ``differences`` are sentences; there are none when it is what was stored."""

    ranked: Sequence[Ranked]
    differences: Sequence[str]

    @property
    def same(self) -> bool:
        """Whether it is what was stored."""
        return not self.differences


def of_incident(incident_id: int) -> Case:
    """The last round of an incident. Raises Unknown for no incident, Unavailable when nothing of it is left.

    What depends on what is read from the catalog as it is now.
    """
    incident = Incident.objects.filter(pk=incident_id).first()
    if incident is None:
        raise Unknown(f"There is no incident {incident_id}.")
    rows = incident.evidence.filter(captured=False).order_by("-round", "pk")
    newest = rows.values_list("round", flat=True).first()
    if newest is None:
        raise Unavailable(f"Nothing was looked at for incident {incident_id}.")
    _refuse_pruned(incident)
    seen = incident.evidence.filter(round=newest, captured=False).order_by("pk").prefetch_related("documents__blob")
    found = incident.findings.filter(round=newest).order_by("rank")
    return Case(
        incident=incident_id,
        round=newest,
        topology=dependencies(),
        playbooks=_texts(incident.playbooks),
        evidence=[row.as_evidence() for row in seen],
        stored=[{"rule": row.rule, "playbook": row.playbook, "finding": row.content} for row in found],
    )


def _refuse_pruned(incident: Incident) -> None:
    before = now() - timedelta(days=settings.SRE_KEEP_DAYS)
    if settings.SRE_KEEP_DAYS <= 0 or not incident.ended_at or incident.ended_at >= before:
        return
    if not EvidenceDocument.objects.filter(evidence__incident=incident).exists():
        raise Unavailable(f"Incident {incident.pk} ended {incident.ended_at:%Y-%m-%d}: its raw documents are gone.")


def _texts(digests: Sequence[str]) -> dict[str, str]:
    known = dict(PlaybookVersion.objects.filter(digest__in=digests).values_list("digest", "text"))
    if lost := [digest for digest in digests if digest not in known]:
        raise Unavailable(f"The library no longer holds the playbook {lost[0][:12]}.")
    return {digest: known[digest] for digest in digests}


def again(case: Case) -> Answer:
    """Judge and rank a case as the diagnosis did. Raises Malformed for a playbook or evidence that cannot be read."""
    playbooks = {digest: parse_playbook(text) for digest, text in case.playbooks.items()}
    try:
        ranked = investigate.rank(investigate.judge(playbooks, case.evidence), case.topology, case.evidence)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise Malformed(f"The evidence has not the shape that a collector gives it: {error!r}.") from error
    return Answer(ranked, _differences(case.stored, [as_json(item) for item in ranked]))


def as_json(item: Ranked) -> dict[str, Any]:
    """A ranked finding as it is stored."""
    return {"rule": item.rule, "playbook": item.playbook, "finding": storable(item.finding.as_json())}


def _differences(then: Sequence[Mapping[str, Any]], today: Sequence[Mapping[str, Any]]) -> list[str]:
    """A sentence for each rank at which another finding stands, or the same one says something else."""
    said = []
    for rank in range(max(len(then), len(today))):
        old, new = (side[rank] if rank < len(side) else None for side in (then, today))
        if _text(old) == _text(new):
            continue
        if _named(old) != _named(new):
            said.append(f"At rank {rank + 1} stood {_named(old)}; now it is {_named(new)}.")
        elif old and new:
            one, other = old["finding"], new["finding"]
            fields = [key for key in sorted({*one, *other}) if _text(one.get(key)) != _text(other.get(key))]
            said.append(f"At rank {rank + 1}, {_named(new)}: different {', '.join(fields) or 'playbook'}.")
    return said


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _named(item: Mapping[str, Any] | None) -> str:
    return f"{item['finding']['cause']} at {item['finding']['service']} by {item['rule']}" if item else "nothing"
