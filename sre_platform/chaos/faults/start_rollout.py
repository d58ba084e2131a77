"""Begins a roll-out of a lab service's release as a pipeline would: one POST, and the platform walks the canary."""

from collections.abc import Sequence

from sre_platform.chaos.faults import deploy_release
from sre_platform.chaos.lab import from_environment
from sre_platform.clients import http


def inject(service: str, release: str, steps: Sequence[int], step_s: float) -> int:
    """Start it; returns its number."""
    lab = from_environment()
    body = {"service": service, "release": release, "steps": list(steps), "step_s": step_s, "by": "lab pipeline"}
    headers = {"Authorization": f"Bearer {lab.intake_token}"}
    answer = http.request("POST", f"{lab.platform_url}/hooks/rollouts", json=body, headers=headers)
    return int(answer.json()["rollout"])


def restore(service: str, release: str) -> bool:
    """Make sure that ``release`` runs, as before; the platform has stopped the canary itself."""
    return deploy_release.restore(service, release)
