"""Telling people: which ends, and which waits, become a ticket, and what it says."""

from typing import Any

from django.conf import settings
from django.urls import reverse

from sre_platform.diagnosis.models import FindingRow
from sre_platform.incidents.domain import Event, State
from sre_platform.incidents.models import Incident
from sre_platform.kernel.errors import SreError
from sre_platform.playbook import library
from sre_platform.remediation.models import Step
from sre_platform.tickets import desk
from sre_platform.tickets.models import Ticket
from sre_platform.verification.models import SampleRow

FINDINGS_SHOWN = 3


def tell(incident_id: int, state: State, event: Event, reason: str) -> None:
    """Want a ticket when people are needed, and for the record after a repair. In the caller's transaction."""
    told = Ticket.objects.filter(incident_id=incident_id).exists()
    needs_people = state in (State.ESCALATED, State.AWAITING_APPROVAL)
    repaired = event is Event.FIXED
    if needs_people or repaired or (told and state is State.RESOLVED):
        facts = _facts(incident_id, state, reason)
        desk.file(incident_id, facts, _labels(facts), done=state is State.RESOLVED)


def _facts(incident_id: int, state: State, reason: str) -> dict[str, Any]:
    incident = Incident.objects.get(pk=incident_id)
    steps = list(Step.objects.repairs().filter(incident_id=incident_id))
    newest = FindingRow.objects.filter(incident_id=incident_id).first()
    findings = list(FindingRow.objects.filter(incident_id=incident_id, round=newest.round)) if newest else []
    last = SampleRow.objects.filter(step__incident_id=incident_id).order_by("-pk").first()
    return {
        "title": incident.title,
        "state": state.value.replace("_", " "),
        "reason": reason,
        "url": settings.SRE_BASE_URL + reverse("incident", args=[incident_id]),
        "findings": [row.content for row in findings[:FINDINGS_SHOWN]],
        "steps": [
            {"says": s.says, "state": s.state, "result": s.result, "action": s.action, "undo": s.undo}
            | {"effects": s.plan.get("effects", [])}
            for s in steps
        ],
        "checks": last.checks if last else [],
        "playbook": steps[-1].playbook if steps else "",
    }


def _labels(facts: dict[str, Any]) -> list[str]:
    try:
        books = library.frozen([facts["playbook"]]) if facts["playbook"] else {}
    except SreError:  # it is gone, or cannot be read any more: people are told all the same
        books = {}
    return ["sre-platform", *(label for book in books.values() for label in book.ticket.labels)]
