"""The lab as chaos experiments reach it: addresses and secrets from the environment that the embedded stack sets."""

import os
from dataclasses import dataclass
from pathlib import Path

from sre_platform.clients.supervisor import Supervisor
from sre_platform.kernel.errors import SreError

ADMINISTERED = ("storefront", "orders", "payments")


@dataclass(frozen=True)
class Lab:
    """Where the lab's parts are. ``faults`` and ``admin`` map a service to the addresses of these APIs."""

    folder: Path
    supervisor: Supervisor
    faults: dict[str, str]
    faults_token: str
    admin: dict[str, str]
    admin_token: str
    users_url: str
    platform_url: str
    intake_token: str

    def link(self, service: str) -> str:
        """The link to the release of a service that runs."""
        return str(self.folder / service / "current")

    def releases(self, service: str) -> str:
        """The folder with the releases of a service."""
        return str(self.folder / service / "releases")


def from_environment() -> Lab:
    """The lab of this installation. Raises SreError when it is not running."""
    try:
        pairs = (pair.partition("=") for pair in os.environ["SRE_LAB_FAULTS"].split(","))
        return Lab(
            folder=Path(os.environ["SRE_LAB_DIR"]),
            supervisor=Supervisor(os.environ["SRE_SUPERVISOR_URL"]),
            faults={service: url for service, _, url in pairs},
            faults_token=os.environ["SRE_LAB_FAULTS_TOKEN"],
            admin={service: os.environ[f"SRE_LAB_{service.upper()}_ADMIN_URL"] for service in ADMINISTERED},
            admin_token=os.environ["SRE_LAB_ADMIN_TOKEN"],
            users_url=os.environ["SRE_LAB_USERS_URL"],
            platform_url=os.environ["SRE_BASE_URL"],
            intake_token=os.environ["SRE_INTAKE_TOKEN"],
        )
    except KeyError as error:
        raise SreError(f"The lab is not running: {error} is not set.", advice="Start it with `make demo`.") from error
