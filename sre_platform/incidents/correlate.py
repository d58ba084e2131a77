"""Alerts become one incident: the same service, or one that depends on it, while that incident is open.

Every alert gets a reason for where it went; the intake shows it as the delivery's fate.
"""

from dataclasses import dataclass

from django.db import IntegrityError, transaction
from django.db.models import Q

from sre_platform.catalog.domain import Topology, related
from sre_platform.incidents.domain import ENDED, State
from sre_platform.incidents.models import Incident, IncidentAlert
from sre_platform.incidents.record import append
from sre_platform.intake.models import Alert
from sre_platform.kernel.clock import now
from sre_platform.playbook.library import for_alert


@dataclass(frozen=True)
class Placed:
    """Where an alert went and why. ``incident_id`` is None when it needed no incident."""

    incident_id: int | None
    fate: str


def place(alert: Alert, topology: Topology) -> Placed:
    """Put a firing alert into its incident, opening one when there is none. Runs in the caller's transaction."""
    known = IncidentAlert.objects.filter(alert=alert).first()
    if known:
        return Placed(known.incident_id, f"{alert}: known already, in incident {known.incident_id}")
    if alert.resolved:
        return Placed(None, f"{alert}: resolved before it was seen firing, no incident is needed")
    for incident in _open_incidents():
        if reason := related(topology, alert.service or alert.name, incident.key):
            return _join(incident, alert, reason)
    return _open(alert, topology)


def all_clear(incident_id: int) -> bool:
    """Whether every alert of the incident has resolved."""
    return not IncidentAlert.objects.filter(incident_id=incident_id, alert__resolved=False).exists()


def _open_incidents():
    """Incidents that are being worked on, or that people have while their alerts still fire; oldest first."""
    with_people = Q(state=State.ESCALATED, members__alert__resolved=False)
    return Incident.objects.filter(~Q(state__in=ENDED) | with_people).distinct().order_by("pk")


def _join(incident: Incident, alert: Alert, reason: str) -> Placed:
    IncidentAlert.objects.create(incident=incident, alert=alert, reason=reason)
    _add_playbooks(incident, alert)
    _tell(incident, alert, "alert_joined", f"{alert} joined: {reason}.")
    return Placed(incident.pk, f"{alert}: joined incident {incident.pk}, {reason}")


def _add_playbooks(incident: Incident, alert: Alert) -> None:
    """Until its cause is known, an incident also looks where the playbooks of a joined alert tell it to."""
    more = [key for key in for_alert(alert.name, alert.service) if key not in incident.playbooks]
    if more:
        incident.playbooks = incident.playbooks + more
        Incident.objects.filter(pk=incident.pk, state=State.OPEN).update(playbooks=incident.playbooks)


def _open(alert: Alert, topology: Topology) -> Placed:
    key = alert.service or alert.name
    try:
        with transaction.atomic():
            incident = Incident.objects.create(
                key=key,
                service=alert.service,
                title=alert.annotations.get("summary", str(alert))[:300],
                playbooks=list(for_alert(alert.name, alert.service)),
                opened_at=now(),
                due_at=now(),
            )
    except IntegrityError:  # somebody opened it in this very moment
        incident = Incident.objects.exclude(state__in=ENDED).get(key=key)
        return _join(incident, alert, related(topology, key, key) or "same key")
    IncidentAlert.objects.create(incident=incident, alert=alert, reason="opened the incident")
    _tell(incident, alert, "opened", f"{alert} fired; no open incident is about this service or its neighbours.")
    return Placed(incident.pk, f"{alert}: opened incident {incident.pk}")


def _tell(incident: Incident, alert: Alert, name: str, reason: str) -> None:
    received = alert.first_delivery.received_at
    append(
        incident.pk,
        name,
        reason,
        {
            "alert": alert.name,
            "service": alert.service,
            "summary": alert.annotations.get("summary", ""),
            "starts_at": alert.starts_at.isoformat(),
            "received_at": received.isoformat(),
        },
    )
