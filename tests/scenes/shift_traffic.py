from contextlib import contextmanager

from sre_platform.catalog.domain import Target
from sre_platform.clients.supervisor import Supervisor
from sre_platform.remediation.domain import World
from tests.fakes.envoy import envoy
from tests.scenes import Scene

WEIGHED = {"stable": "95", "canary": "5", "header": "100", "region": "0"}


@contextmanager
def scene(folder, monkeypatch):
    with envoy() as it:
        it.runtime |= {f"routing.shop.{name}": value for name, value in WEIGHED.items()}
        yield Scene(
            Target("payments", handles={"envoy": it.handle()}),
            World(Supervisor(""), {}),
            {},
            lambda: [("POST", f"{it.url}/runtime_modify", {k: int(v) for k, v in call.items()}) for call in it.effects],
            lambda: dict(it.runtime),
        )
