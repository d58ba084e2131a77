"""Deploys a release of a lab service as a pipeline would: switch the link, restart, report the change."""

from contextlib import suppress

from sre_platform.chaos.lab import Lab, from_environment
from sre_platform.clients import http, releases
from sre_platform.kernel.clock import now
from sre_platform.kernel.errors import Rejected


def inject(service: str, release: str, before: str = "") -> dict[str, str]:
    """Deploy ``release`` and report it; returns what ran before and what runs now.

    A release that does not come up is left to its supervisor, and reported all the same: no pipeline takes it back.
    ``before`` is what the pipeline reports as the release before; by default the one that really ran.
    """
    lab = from_environment()
    before = before or releases.current(lab.link(service))
    with suppress(Rejected):
        _deploy(lab, service, release)
    change = {"service": service, "kind": "deploy", "at": now().isoformat(), "before": before, "after": release}
    headers = {"Authorization": f"Bearer {lab.intake_token}"}
    http.request("POST", f"{lab.platform_url}/hooks/changes", json=change | {"by": "lab pipeline"}, headers=headers)
    return {"before": before, "after": release}


def restore(service: str, release: str) -> bool:
    """Make sure that ``release`` runs, unless it does already; True when something had to be done."""
    lab = from_environment()
    if releases.current(lab.link(service)) == release and lab.supervisor.process(service).running:
        return False
    _deploy(lab, service, release)
    return True


def _deploy(lab: Lab, service: str, release: str) -> None:
    releases.switch(lab.link(service), lab.releases(service), release)
    lab.supervisor.stop(service)
    lab.supervisor.start(service)
