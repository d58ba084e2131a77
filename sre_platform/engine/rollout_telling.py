"""Telling people of a roll-out: a ticket of its own, since there is no incident. Calls are idempotent by key."""

from datetime import timedelta

import structlog
from django.conf import settings
from django.urls import reverse

from sre_platform.kernel.clock import now
from sre_platform.kernel.errors import SreError
from sre_platform.rollouts.models import Rollout
from sre_platform.rollouts.walk import State
from sre_platform.tickets.desk import SYSTEMS
from sre_platform.tickets.domain import Draft

RETRY_S = 15.0
log = structlog.get_logger()


def due(limit: int) -> list[int]:
    """Roll-outs of which people have to be told."""
    return list(Rollout.objects.filter(tell_at__lte=now()).order_by("tell_at").values_list("pk", flat=True)[:limit])


def tell(rollout_id: int) -> None:
    """Open a ticket about a roll-out, say in it where it stands, close it when it was promoted; later if that fails.

    Every system is told, whichever of them is away.
    """
    claimed = Rollout.objects.filter(pk=rollout_id, tell_at__lte=now())
    if not claimed.update(tell_at=now() + timedelta(seconds=RETRY_S)):
        return
    rollout = Rollout.objects.get(pk=rollout_id)
    not_told = [name for name in settings.SRE_TICKET_SYSTEMS if not _told(rollout, name)]
    if not not_told:
        Rollout.objects.filter(pk=rollout_id, state=rollout.state).update(tell_at=None)


def _told(rollout: Rollout, name: str) -> bool:
    try:
        _tell(rollout, name)
    except SreError as error:
        log.warning("rollout_not_told", rollout=rollout.pk, system=name, reason=str(error))
        return False
    return True


def _tell(rollout: Rollout, name: str) -> None:
    system, key = SYSTEMS.get(name), f"sre-rollout-{rollout.pk}"
    reference, _ = system.open(Draft(key, str(rollout)[:300], body(rollout), ["sre-platform", "roll-out"]))
    system.comment(reference, f"{key}-{rollout.state}", f"It is {rollout.state.replace('_', ' ')}. {rollout.reason}")
    if rollout.state == State.PROMOTED:
        system.close(reference)


def body(rollout: Rollout) -> str:
    """What a ticket about it says, in Markdown: where it stands, why, and the numbers of the decision."""
    url = settings.SRE_BASE_URL + reverse("rollout", args=[rollout.pk])
    checks = (rollout.judgement or {}).get("checks", ())
    lines = [
        f"- `{c['name']}`: baseline {_shown(c['baseline'])}, canary {_shown(c['canary'])}, limit {c['limit']:g}:"
        f" {c['verdict']}. {c['reason']}"
        for c in checks
    ]
    said = f"The roll-out of **{rollout.service}** from {rollout.baseline} to {rollout.canary} is **{rollout.state}**."
    return "\n\n".join([f"{said} {rollout.reason}", f"Decisions and numbers: {url}", "\n".join(lines)]) + "\n"


def _shown(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.4g}"
