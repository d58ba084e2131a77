"""Turns a fault of a lab service on through its faults API; it expires by itself if nobody turns it off."""

from typing import Any

from sre_platform.chaos.lab import Lab, from_environment
from sre_platform.clients import http
from sre_platform.kernel.errors import Unavailable


def inject(service: str, fault: str, value: float = 1, ttl_s: float = 60) -> dict[str, Any]:
    """Turn ``fault`` on for at most ``ttl_s`` seconds; returns the fault as the service reports it."""
    lab = from_environment()
    answer = http.request("PUT", _url(lab, service, fault), json={"value": value, "ttl_s": ttl_s}, headers=_auth(lab))
    return answer.json()


def restore(service: str, fault: str) -> bool:
    """Turn it off; False when the service cannot be reached, and then it has no fault either."""
    lab = from_environment()
    try:
        http.request("DELETE", _url(lab, service, fault), headers=_auth(lab))
    except Unavailable:
        return False
    return True


def _url(lab: Lab, service: str, fault: str) -> str:
    return f"{lab.faults[service]}/faults/{fault}"


def _auth(lab: Lab) -> dict[str, str]:
    return {"Authorization": f"Bearer {lab.faults_token}"}
