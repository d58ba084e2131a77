"""What every page shows besides its own: whether automation is stopped."""

from typing import Any

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from sre_platform.guardrails.models import KillSwitch


def automation(request: HttpRequest) -> dict[str, Any]:
    """``switch`` is the kill switch, read only when a template asks for it and only for people who are signed in."""
    user = getattr(request, "user", None)
    return {"switch": SimpleLazyObject(kill_switch) if user and user.is_authenticated else KillSwitch()}


def kill_switch() -> KillSwitch:
    """The switch as it is now; one that is off when nobody has ever used it."""
    return KillSwitch.objects.filter(pk=1).first() or KillSwitch()
