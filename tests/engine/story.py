"""An installation in miniature, and the way to tell an incident's story without Celery: the bell is rung by hand."""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings

from sre_platform.catalog.models import Change, Service
from sre_platform.engine import digestion, line
from sre_platform.engine.syncing import sync_playbooks
from sre_platform.guardrails.models import RemediationPolicy
from sre_platform.incidents import record
from sre_platform.incidents.domain import ENDED, State
from sre_platform.incidents.models import Incident
from sre_platform.intake.receive import receive
from sre_platform.kernel.clock import now
from sre_platform.playbook import library
from sre_platform.tickets import desk
from tests.fakes.shop import GOAL, Shop

IN_SCOPE = {"automation": "allowed"}
BEGAN = datetime.now(UTC) - timedelta(seconds=5)

STRICT = """
name: bad-release
summary: A playbook that loses patience at once, and has two actions.
match: {alerts: [HighErrorRatio]}
collect: [recent_changes, sli_window]
diagnose: {rules: [bad_release]}
remediate:
  - {rollback_release: {}, first: [capture_evidence: {collect: [log_templates]}]}
  - {restart_service: {}, first: [capture_evidence: {collect: [log_templates]}]}
verify: {initial_delay_s: 0, count: 2, failure_limit: 1, inconclusive_limit: 1}
ticket: {labels: [strict]}
proof: [payments/bad-release]
"""
LADDER = re.compile(r"remediate:\n(  .*\n)+")  # of it, for those who want another one


def install(shop: Shop, mode: str = "auto", **service: Any) -> None:
    """The catalog, the policies and the real playbooks; v2 of payments was deployed 40 s ago."""
    fields = {"metrics_url": shop.metrics_url, "objectives": [GOAL], "labels": IN_SCOPE, **shop.places()} | service
    Service.objects.create(name="payments", **fields)
    Change.objects.create(service="payments", at=now() - timedelta(seconds=40), before="v1", after="v2", by="ann")
    RemediationPolicy.objects.create(name="all", mode=mode, cooldown_s=0, max_actions=2)
    folder = settings.BASE_DIR / "playbooks"
    changed, refused = sync_playbooks(folder)
    assert (len(changed), refused) == (len([*folder.rglob("*.yaml")]), [])


def strict() -> None:
    library.store(STRICT, "tests")


def alert(
    status: str = "firing", name: str = "HighErrorRatio", service: str = "payments", starts_s: float = 0
) -> list[int]:
    """The alert comes in by webhook and is digested; returns the incidents that it touched.

    ``starts_s`` after the usual moment it is another occurrence.
    """
    began = BEGAN + timedelta(seconds=starts_s)
    ends = now().isoformat() if status == "resolved" else "0001-01-01T00:00:00Z"
    one = {"status": status, "labels": {"alertname": name, "service": service}, "startsAt": began.isoformat()}
    one |= {"endsAt": ends, "fingerprint": f"{name}{service}", "annotations": {"summary": "Requests fail"}}
    empty = {"groupLabels": {}, "commonLabels": {}, "commonAnnotations": {}, "groupKey": "", "externalURL": ""}
    body = {"version": "4", "status": status, "receiver": "sre", "alerts": [one | {"generatorURL": ""}], **empty}
    receive("alertmanager", json.dumps(body).encode())
    return digestion.digest().incidents


def fire(**alert_fields: str) -> Incident:
    [incident_id] = alert(**alert_fields)
    return Incident.objects.get(pk=incident_id)


def step_on(incident: Incident, owner: str = "worker") -> State:
    """One stage, due or not."""
    Incident.objects.filter(pk=incident.pk, due_at__isnull=False).update(due_at=now())
    line.advance(incident.pk, owner)
    incident.refresh_from_db()
    return State(incident.state)


def drive(incident: Incident, *until: State, most: int = 30) -> Incident:
    """On to its end, or until it is in one of these states."""
    for _ in range(most):
        if step_on(incident) in (*until, *ENDED):
            return incident
    raise AssertionError(f"still {incident.state} after {most} stages: {events(incident)}")


def events(incident: Incident) -> list[str]:
    """The events that moved it."""
    return [entry.name for entry in incident.timeline.exclude(to_state="")]


def last(incident: Incident) -> Any:
    return incident.timeline.exclude(to_state="").latest("seq")


def delivered(incident: Incident) -> Any:
    """Its ticket, delivered; None when nobody was told."""
    for ticket_id in desk.due(10):
        desk.deliver(ticket_id)
    return incident.tickets.first()


def sound(incident: Incident) -> bool:
    return record.broken_link(incident.pk) is None
