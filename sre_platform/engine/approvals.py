"""A person decides about an incident that waits for approval."""

from django.conf import settings
from django.db import IntegrityError

from sre_platform.engine import line, tasks, watched
from sre_platform.incidents import record
from sre_platform.incidents.domain import Event
from sre_platform.incidents.models import Incident
from sre_platform.kernel.clock import now
from sre_platform.remediation.models import Step


def take_back(incident_id: int, person: str) -> bool:
    """A person wants what was done to be taken back, of an incident that was left to people.

    False when there is nothing to take back, somebody holds the incident, or another one of its service is open.
    """
    step = Step.objects.repairs().filter(incident_id=incident_id).order_by("-pk").first()
    lease = record.claim_ended(incident_id, person, settings.SRE_LEASE_S) if step and step.can_be_taken_back else None
    if lease is None:
        return False
    try:
        line.settle(lease, line.Move(Event.TAKE_BACK, f"{person} wants it taken back."))
    except IntegrityError:  # one incident of a service is open at a time
        return False
    tasks.ring(tasks.advance, incident_id)
    return True


def decide(incident_id: int, person: str, approved: bool, step_id: int | None = None) -> bool:
    """Record a person's decision and go on. False when the incident no longer waits for one.

    ``step_id`` is what the person was shown: False, too, when another step waits by now.
    """
    lease = record.claim_for_person(incident_id, person, settings.SRE_LEASE_S)
    if lease is None:
        return False
    waits = Step.objects.repairs().filter(incident_id=incident_id, state=Step.State.PREPARED)
    if step_id is not None and not waits.filter(pk=step_id).exists():
        return _not_shown(lease)
    event = Event.HUMAN_APPROVED if approved else Event.REJECTED
    move = line.Move(event, f"{person} {'approved' if approved else 'rejected'} it.")
    with watched.stage(lease, "approval") as seen:
        line.settle(lease, seen.found(move))
    tasks.ring(tasks.advance, incident_id)
    return True


def _not_shown(lease: record.Lease) -> bool:
    """Give an incident back as it was: its due time is when the approval expires."""
    due_at = Incident.objects.values_list("due_at", flat=True).get(pk=lease.incident_id)
    record.defer(lease, due_at or now())
    return False
