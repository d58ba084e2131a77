"""A service with a canary beside it: releases, two processes, an Envoy, health pages; all at the other end of wires."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from sre_platform.catalog.models import Service, topology
from sre_platform.catalog.routes import CanaryProcess
from sre_platform.clients import releases
from sre_platform.clients.supervisor import Supervisor
from sre_platform.engine import rollouts as engine
from sre_platform.kernel.clock import now
from sre_platform.rollouts import record
from sre_platform.rollouts.hands import Hands
from sre_platform.rollouts.holding import hold
from sre_platform.rollouts.models import Rollout
from sre_platform.rollouts.routing import router_of
from sre_platform.rollouts.walking import Walk
from tests.fakes.envoy import FakeEnvoy, envoy
from tests.fakes.supervisor import FakeSupervisor, supervising
from tests.fakes.wire import Answer, Call, serving

RELEASES = ("v1", "v2", "v3")
BASELINE, CANARY = "payments", "payments-canary"


@dataclass
class Scene:
    """``ill`` holds the paths of health pages that answer 503."""

    folder: Path
    supervisor: FakeSupervisor
    envoy: FakeEnvoy
    health_url: str = ""
    ill: set[str] = field(default_factory=set)

    @property
    def link(self) -> str:
        return str(self.folder / "current")

    @property
    def canary_link(self) -> str:
        return str(self.folder / "canary")

    @property
    def release(self) -> str:
        return releases.current(self.link)

    def runs(self, name: str) -> bool:
        return self.supervisor.processes[name].pid != 0

    def page(self, call: Call) -> Answer:
        return Answer(503 if call.path in self.ill else 200, b"ok")

    def remembered(self) -> tuple[Any, ...]:
        """The world as it is, for ``restore``."""
        processes = {name: replace(process) for name, process in self.supervisor.processes.items()}
        return self.release, releases.running(self.canary_link), dict(self.envoy.runtime), processes

    def restore(self, world: tuple[Any, ...]) -> None:
        """The world as it was, and nothing done to it yet."""
        release, canary, runtime, processes = world
        releases.switch(self.link, str(self.folder / "releases"), release)
        if canary:
            releases.switch(self.canary_link, str(self.folder / "releases"), canary)
        else:
            Path(self.canary_link).unlink(missing_ok=True)
        self.envoy.runtime = dict(runtime)
        self.supervisor.processes.update({name: replace(process) for name, process in processes.items()})
        self.supervisor.effects.clear()
        self.envoy.effects.clear()

    def fields(self) -> dict[str, Any]:
        """The service as the catalog has it."""
        canary = {"process": CANARY, "release_link": self.canary_link, "health_url": f"{self.health_url}/canary"}
        return {
            "process": BASELINE,
            "release_link": self.link,
            "releases_dir": str(self.folder / "releases"),
            "health_url": f"{self.health_url}/baseline",
            "labels": {"automation": "allowed"},
            "handles": {"envoy": self.envoy.handle(), "canary": canary},
        }

    def begin(self, steps: tuple[int, ...] = (5, 50, 100), step_s: float = 10.0, label: str = "") -> Rollout:
        """A roll-out of v2, written and due."""
        return engine.start("payments", "v2", "ann", steps, label, step_s)

    def walk(self, rollout: Rollout, owner: str = "worker") -> Walk:
        """The walk in the hands of a new owner, whoever had it."""
        over = now() - timedelta(seconds=1)
        Rollout.objects.filter(pk=rollout.pk, claimed_until__isnull=False).update(claimed_until=over)
        Rollout.objects.filter(pk=rollout.pk, due_at__isnull=False).update(due_at=over)
        lease = record.claim(rollout.pk, owner)
        assert lease is not None
        known = topology()
        target = known["payments"]
        hands = Hands(target, target.held_by(CanaryProcess), router_of(target), Supervisor(self.supervisor.url), lease)
        return Walk(hands, lambda: hold(topology(), target))

    def serve(self, baseline: int = 200, canary: int = 200, failed: int = 0, ms: float = 5.0) -> None:
        """What both versions answer until the counters are read next."""
        self.envoy.clusters["stable"].serve("2", baseline)
        self.envoy.clusters["canary"].serve("2", canary - failed, ms)
        if failed:
            self.envoy.clusters["canary"].serve("5", failed, ms)


@contextmanager
def scene(folder: Path) -> Iterator[Scene]:
    """v1 of payments runs and serves everybody; nothing runs as its canary."""
    for name in RELEASES:
        (folder / "releases" / name).mkdir(parents=True)
    with supervising(BASELINE, CANARY) as supervisor, envoy() as proxy:
        it = Scene(folder, supervisor, proxy)
        supervisor.processes[CANARY].die("STOPPED")
        releases.switch(it.link, str(folder / "releases"), "v1")
        with serving(it.page) as wire:
            it.health_url = wire.url
            yield it


def install(it: Scene, **changes: Any) -> None:
    Service.objects.create(name="payments", **it.fields() | changes)
