"""What keeps a roll-out from taking a step forward. Nothing here ever keeps it from going back."""

from fnmatch import fnmatchcase

from sre_platform.catalog.domain import Target, Topology, upstream
from sre_platform.guardrails.models import halted, open_freezes
from sre_platform.incidents.domain import ENDED
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
        if fnmatchcase(target.service, freeze.service) and fnmatchcase(target.environment, freeze.environment):
            return f"Freeze window {freeze.name}: {freeze.reason}."
    affected = upstream(topology, target.service)
    if incident := Incident.objects.filter(service__in=affected).exclude(state__in=ENDED).order_by("pk").first():
        return f"Incident {incident.pk} is open: {incident.title}."
    return ""
