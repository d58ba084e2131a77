"""What every page shows besides its own: whether automation is stopped, and alarms about the platform itself."""

from typing import Any

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from sre_platform.engine.models import Alarm
from sre_platform.guardrails.models import KillSwitch

ALARMS_SHOWN = 3


def automation(request: HttpRequest) -> dict[str, Any]:
    """``switch`` is the kill switch, read only when a template asks for it and only for people who are signed in."""
    user = getattr(request, "user", None)
    return {"switch": SimpleLazyObject(kill_switch) if user and user.is_authenticated else KillSwitch()}


def alarms(request: HttpRequest) -> dict[str, Any]:
    """``alarms`` are the open ones, oldest first, read when a template asks for them, for people who are signed in."""
    user = getattr(request, "user", None)
    return {"alarms": SimpleLazyObject(open_alarms) if user and user.is_authenticated else []}


def open_alarms() -> list[Alarm]:
    """What the auditor has found and has not yet found well again."""
    return list(Alarm.objects.filter(ended_at=None).order_by("since")[:ALARMS_SHOWN])


def kill_switch() -> KillSwitch:
    """The switch as it is now; one that is off when nobody has ever used it."""
    return KillSwitch.objects.filter(pk=1).first() or KillSwitch()
