"""Sets a value of a lab service's admin API, as an operator would: what a drill starts from, and goes back to.

``kind`` is settings, breakers or flags; ``value`` is a number, ``open`` or ``closed``, or true or false.
"""

from typing import Any

from sre_platform.chaos.lab import from_environment
from sre_platform.clients import http
from sre_platform.kernel.errors import Unavailable

_KEYS = {"settings": "value", "breakers": "state", "flags": "enabled"}


def inject(service: str, kind: str, name: str, value: float | str | bool) -> dict[str, Any]:
    """Set it; returns what the service says of it now."""
    lab = from_environment()
    url = f"{lab.admin[service]}/{kind}/{name}"
    headers = {"Authorization": f"Bearer {lab.admin_token}"}
    answer: dict[str, Any] = http.request("PUT", url, json={_KEYS[kind]: value}, headers=headers).json()
    return answer


def restore(service: str, kind: str, name: str, value: float | str | bool) -> bool:
    """Set it back; False when the service cannot be reached: it starts with its own values."""
    try:
        inject(service, kind, name, value)
    except Unavailable:
        return False
    return True
