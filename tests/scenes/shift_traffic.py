from contextlib import contextmanager

from sre_platform.catalog.domain import Target
from sre_platform.clients.supervisor import Supervisor
from sre_platform.remediation.domain import World
from tests.fakes.envoy import envoy
from tests.scenes import Scene


@contextmanager
def scene(folder, monkeypatch):
    """An Envoy that gives a quarter of the traffic to the canary."""
    with envoy() as it:
        it.runtime |= {"routing.shop.stable": "75", "routing.shop.canary": "25"}
        yield Scene(
            Target("shop", handles={"envoy": it.handle()}),
            World(Supervisor(""), {}),
            {},
            lambda: [("POST", f"{it.url}/runtime_modify", body) for body in it.effects],
            lambda: it.weight,
        )
