"""What keeps a roll-out from taking a step forward. Nothing here ever keeps it from going back."""

from django.db.models import Q

from sre_platform.catalog.domain import Target, Topology, upstream
from sre_platform.guardrails.models import halted, open_freezes
from sre_platform.incidents.domain import ENDED, State
from sre_platform.incidents.models import Incident
from sre_platform.kernel.clock import now

OPT_IN = ("automation", "allowed")


def hold(topology: Topology, target: Target) -> str:
    """Why no step may be taken now, or the empty string. Three queries."""
    if target.labels.get(OPT_IN[0]) != OPT_IN[1]:
        return f"{target.service} is not labelled {OPT_IN[0]}: {OPT_IN[1]}."
    if why := halted():
        return f"All automation is stopped: {why}."
    for freeze in open_freezes(now()):
        if freeze.covers(target.service, target.environment):
            return f"Freeze window {freeze.name}: {freeze.reason}."
    unended = ~Q(state__in=ENDED) | Q(state=State.ESCALATED, members__alert__resolved=False)
    affected = Incident.objects.filter(unended, service__in=upstream(topology, target.service))
    if incident := affected.order_by("pk").first():
        how = "was left to people and still fires" if incident.state == State.ESCALATED else "is open"
        return f"Incident {incident.pk} {how}: {incident.title}."
    return ""
