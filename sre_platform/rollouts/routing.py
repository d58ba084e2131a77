"""The routers' port: how a canary gets its share of the traffic, and what became of each version's requests."""

from typing import Any, Protocol

from sre_platform.catalog.domain import Handle, Target
from sre_platform.clients.traffic import Observed, Weights
from sre_platform.kernel.errors import Rejected
from sre_platform.kernel.registry import Registry


class Router(Protocol):
    """A proxy between a service and its callers; ``Handle`` is by what the catalog holds it. They raise SreError.

    ``set`` brings it to the weights, and does nothing more when it is there already. ``observe`` reads what both
    versions have served since the proxy, or they, started.
    """

    name: str
    Handle: type[Handle]

    def read(self, target: Target) -> Weights: ...
    def set(self, target: Target, weights: Weights) -> None: ...
    def observe(self, target: Target) -> Observed: ...


ROUTERS: Registry[Router] = Registry("sre_platform.rollouts.routers", "router")


def router_of(target: Target) -> Router:
    """The router that the catalog names for a service. Raises Rejected when there is none, or more than one."""
    found: list[Any] = [router for router in ROUTERS if router.Handle.handle in target.handles]
    if len(found) != 1:
        said = "more than one router" if found else "no router"
        raise Rejected(
            f"The catalog names {said} for {target.service}, so no share of its traffic can be given to a canary.",
            advice=f"Known are: {', '.join(ROUTERS.names())}.",
        )
    router: Router = found[0]
    return router
