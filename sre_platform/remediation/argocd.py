"""An Argo CD application, through its REST API: what it runs, what it ran before, and going back.

Source: https://argo-cd.readthedocs.io/en/stable/developer-guide/api-docs/
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import urlsplit

from pydantic import Field

from sre_platform.catalog.domain import ENVIRONMENT_NAME, Handle, Target
from sre_platform.clients import http
from sre_platform.kernel.errors import Malformed, Rejected, Untouched
from sre_platform.remediation.kubernetes import NAME, digest, needed, part

DEADLINE_S = 30.0  # its API server asks the Kubernetes API and its own repository server
LOOPBACK = ("127.0.0.1", "localhost", "::1")


class ArgoCd(Handle):
    """The application that a service is, at an Argo CD; ``token_env`` names the variable that holds its token.

    ``namespace`` is the application's own, where applications are allowed outside of Argo CD's namespace.
    """

    handle: ClassVar[str] = "argocd"
    url: str = Field(max_length=1000)
    application: str = Field(pattern=NAME, min_length=1)
    namespace: str = Field("", pattern=NAME)
    token_env: str = Field(pattern=ENVIRONMENT_NAME)

    @property
    def path(self) -> str:
        return f"{self.url.rstrip('/')}/api/v1/applications/{self.application}"


@dataclass(frozen=True)
class Deployed:
    """One entry of the history: ``id`` counts up, ``revisions`` are the commits or chart versions of its sources.

    ``mark`` are the revisions and what the sources say besides, such as images and parameters, of which an image
    updater makes releases while the commit stays the same.
    """

    id: int
    revisions: tuple[str, ...]
    mark: tuple[str, ...] = ()


@dataclass(frozen=True)
class Application:
    """An application as Argo CD showed it at one moment."""

    held: ArgoCd
    found: Mapping[str, Any]

    @classmethod
    def of(cls, target: Target) -> "Application":
        """The service's application now. Raises SreError."""
        held = target.held_by(ArgoCd)
        query = f"?appNamespace={held.namespace}" if held.namespace else ""
        answer = http.request("GET", held.path + query, headers=_headers(held), deadline_s=DEADLINE_S).json()
        if not isinstance(answer, dict):
            raise Malformed(f"Argo CD showed something that is no application at {held.path}.")
        return cls(held, answer)

    def __str__(self) -> str:
        return f"application {self.held.application}"

    @property
    def uid(self) -> str:
        return str(needed(self.found, "metadata", "uid"))

    @property
    def history(self) -> list[Deployed]:
        """What was deployed, oldest first. Raises Malformed."""
        try:
            found = [_deployed(item) for item in part(self.found, "status").get("history") or ()]
        except (TypeError, ValueError, AttributeError) as error:
            raise Malformed(f"Argo CD showed a history of {self} that cannot be read.") from error
        return sorted(found, key=lambda entry: entry.id)

    @property
    def automated(self) -> bool:
        """Whether Argo CD would sync it to Git again by itself."""
        automated = part(self.found, "spec", "syncPolicy").get("automated")
        return automated is not None and part({"it": automated}, "it").get("enabled") is not False

    @property
    def started(self) -> str:
        """When its last operation began; empty when there was none."""
        return str(part(self.found, "status", "operationState").get("startedAt", ""))

    @property
    def busy(self) -> bool:
        """Whether an operation is waiting or running."""
        return bool(part(self.found, "operation")) or self.phase in ("Running", "Terminating")

    @property
    def phase(self) -> str:
        return str(part(self.found, "status", "operationState").get("phase", ""))

    @property
    def syncing_to(self) -> tuple[str, ...]:
        """The mark of the operation that waits, or of the last one."""
        waiting = part(self.found, "operation", "sync")
        found = waiting or part(self.found, "status", "operationState", "operation", "sync")
        try:
            return _mark(found)
        except TypeError as error:
            raise Malformed(f"Argo CD showed an operation of {self} that cannot be read.") from error

    def roll_back(self, body: Mapping[str, Any]) -> None:
        """Ask for a rollback, once. Raises Untouched when it is refused, and SreError."""
        try:
            http.request(
                "POST",
                f"{self.held.path}/rollback",
                json=dict(body),
                headers=_headers(self.held),
                deadline_s=DEADLINE_S,
                timeout=(2.0, DEADLINE_S),
            )
        except Rejected as error:
            raise Untouched(str(error)) from error


def _deployed(found: Mapping[str, Any]) -> Deployed:
    return Deployed(int(found.get("id") or 0), _revisions(found), _mark(found))


def _revisions(found: Mapping[str, Any]) -> tuple[str, ...]:
    """An application has one source with a ``revision``, or several with ``revisions``."""
    several = found.get("revisions") or ([found["revision"]] if found.get("revision") else [])
    return tuple(map(str, several))


def _mark(found: Mapping[str, Any]) -> tuple[str, ...]:
    source = found.get("sources") or found.get("source")
    return (*_revisions(found), *([digest(source)] if source else []))


def _headers(held: ArgoCd) -> dict[str, str]:
    parts = urlsplit(held.url)
    if parts.scheme != "https" and parts.hostname not in LOOPBACK:
        raise Rejected(f"Argo CD at {parts.hostname} is not spoken to by https, so no token is sent to it.")
    token = os.environ.get(held.token_env, "")
    if not token:
        raise Rejected(f"The environment variable {held.token_env} holds no token for Argo CD.")
    return {"Authorization": f"Bearer {token}"}
