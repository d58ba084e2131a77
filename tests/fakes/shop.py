"""A service to be healed: supervised, with releases in a folder, and a metrics page that says how its users are."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from sre_platform.catalog.domain import Change, Target
from sre_platform.clients import releases
from sre_platform.clients.supervisor import Supervisor
from sre_platform.kernel.clock import now
from sre_platform.remediation.domain import World
from tests.fakes.supervisor import FakeSupervisor, supervising
from tests.fakes.wire import Answer, Call, serving

GOAL = {"name": "payments is well", "sli": {"kind": "gauge", "metric": "shop_bad", "labels": {"job": "payments"}}}
GOAL |= {"op": "<=", "threshold": 0}


@dataclass
class Shop:
    """One service, ``payments``, of which v2 runs and v1 ran before. ``bad`` is what its page shows as shop_bad."""

    supervisor: FakeSupervisor
    folder: Path
    metrics_url: str = ""
    bad: Callable[[], float | None] = lambda: 1
    scrapes: list[str] = field(default_factory=list)

    @property
    def link(self) -> str:
        return str(self.folder / "current")

    @property
    def releases_dir(self) -> str:
        return str(self.folder / "releases")

    @property
    def process(self):
        return self.supervisor.processes["payments"]

    @property
    def release(self) -> str:
        return releases.current(self.link)

    def switch(self, release: str) -> None:
        releases.switch(self.link, self.releases_dir, release)

    def places(self) -> dict[str, str]:
        """The fields by which the catalog knows it."""
        return {"process": "payments", "release_link": self.link, "releases_dir": self.releases_dir}

    def target(self, **changes: Any) -> Target:
        return Target("payments", **self.places() | changes)

    def world(self, *changes: Change) -> World:
        """The world with the deploy that brought v2, or with other changes."""
        known = changes or (deploy("v1", "v2"),)
        return World(Supervisor(self.supervisor.url), {"payments": known})

    def page(self, call: Call) -> Answer:
        self.scrapes.append(call.path)
        value = self.bad()
        return Answer(503) if value is None else Answer(200, f"shop_bad {value}\n".encode())


def deploy(before: str, after: str, ago_s: float = 40) -> Change:
    return Change("payments", "deploy", now() - timedelta(seconds=ago_s), before, after, "ann")


@contextmanager
def shop(folder: Path) -> Iterator[Shop]:
    """The shop, running release v2."""
    for name in ("v1", "v2"):
        (folder / "releases" / name).mkdir(parents=True)
    with supervising("payments") as supervisor:
        it = Shop(supervisor, folder)
        it.switch("v2")
        with serving(it.page) as wire:
            it.metrics_url = f"{wire.url}/metrics"
            yield it
