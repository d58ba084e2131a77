"""A person decides about an incident that waits for approval."""

from django.conf import settings

from sre_platform.engine import line, tasks, watched
from sre_platform.incidents import record
from sre_platform.incidents.domain import Event


def decide(incident_id: int, person: str, approved: bool) -> bool:
    """Record a person's decision and go on. False when the incident no longer waits for one."""
    lease = record.claim_for_person(incident_id, person, settings.SRE_LEASE_S)
    if lease is None:
        return False
    event = Event.HUMAN_APPROVED if approved else Event.REJECTED
    move = line.Move(event, f"{person} {'approved' if approved else 'rejected'} it.")
    with watched.stage(lease, "approval") as seen:
        line.settle(lease, seen.found(move))
    tasks.ring(tasks.advance, incident_id)
    return True
