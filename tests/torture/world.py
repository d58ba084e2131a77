"""What the platform looks after in a torture run: services that break, and a supervisor that counts effects.

All of it lives in the torture's own process, which is never killed, so its counts are the truth about every effect.
"""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, RLock
from time import sleep, time
from typing import Any

from sre_platform.clients import releases
from tests.fakes.supervisor import PASSWORD, USER, FakeSupervisor
from tests.fakes.wire import Answer, Call, serving

CHAINS, SINGLES, GUARDED = 2, 3, 1  # so few that never ten have incidents at once: that would be a storm
GOOD, BAD = "v1", "v2"
SLOW_S = 0.2  # the longest that the supervisor takes before an effect, and again before it answers
ACTS = ("startProcess", "stopProcess")
FAILS = 0.02  # of all questions to it: the next act gets no answer, having been done or not


@dataclass(frozen=True)
class Effect:
    """Something that was done to a process: ``verb`` is ``start`` or ``stop``; ``at`` is in Unix seconds."""

    verb: str
    service: str
    pid: int
    at: float


@dataclass
class Hands:
    """What people and faults did past the supervisor's API: the pids they ``started``, and (service, Unix time)s."""

    started: set[int] = field(default_factory=set)
    acts: list[tuple[str, float]] = field(default_factory=list)

    def between(self, service: str, one: float, other: float) -> bool:
        """Whether they changed the service between two moments."""
        return any(name == service and one <= at <= other for name, at in self.acts)


@dataclass
class Service:
    """One service. ``cursed``: bad whatever runs, until a person helps. ``guarded``: people approve what is done."""

    name: str
    folder: Path
    depends_on: tuple[str, ...] = ()
    guarded: bool = False
    runs: str = GOOD
    cursed: bool = False

    @property
    def link(self) -> str:
        return str(self.folder / "current")

    @property
    def releases_dir(self) -> str:
        return str(self.folder / "releases")


class Supervisor(FakeSupervisor):
    """Does one thing at a time as supervisord does, takes its time, and writes down every effect."""

    def __init__(self, services: dict[str, Service], rng: random.Random) -> None:
        super().__init__(*services)
        self.services, self.rng = services, rng
        self.done: list[Effect] = []
        self.acting = Event()  # set while somebody has asked for an effect and has no answer yet
        self.lock = RLock()

    def answer(self, call: Call) -> Answer:
        if self.rng.random() < FAILS:
            self.fail[self.rng.choice(ACTS)] = self.rng.choice(("die_before", "die_after"))
        return super().answer(call)

    def _effect(self, verb: str, name: str, do: Any) -> bool:
        process = self.processes[name]
        before = process.pid
        do()
        if verb == "start":
            self.services[name].runs = releases.current(self.services[name].link)
        self.done.append(Effect(verb, name, process.pid or before, time()))
        return True

    def _call(self, name: str, args: tuple[Any, ...]) -> Any:
        if name not in ACTS:
            with self.lock:
                return super()._call(name, args)
        self.acting.set()
        try:
            sleep(self.rng.uniform(0, SLOW_S))
            with self.lock:
                return super()._call(name, args)
        finally:
            sleep(self.rng.uniform(0, SLOW_S))
            self.acting.clear()


@dataclass
class World:
    """The services, their supervisor and the address of their metrics pages."""

    services: dict[str, Service]
    supervisor: Supervisor
    metrics_url: str = ""
    hands: Hands = field(default_factory=Hands)
    healed: int = 0
    broken: dict[str, int] = field(default_factory=dict)

    def neighbours(self, name: str) -> list[str]:
        """The services that depend on this one."""
        return [service.name for service in self.services.values() if name in service.depends_on]

    def well(self, name: str) -> bool:
        """Whether its users get what they are owed."""
        service = self.services[name]
        return bool(self.supervisor.processes[name].pid) and service.runs == GOOD and not service.cursed

    def break_(self, name: str, how: str) -> None:
        """``killed``: its process ends. ``release``: a bad one is deployed. ``cursed``: that, and nothing helps.

        ``mystery``: it is bad and nobody has done anything.
        """
        self.broken[how] = self.broken.get(how, 0) + 1
        with self.supervisor.lock:
            if how == "killed":
                self.supervisor.processes[name].die("EXITED", 1)
            if how in ("release", "cursed"):
                self._run(name, BAD)
            self.services[name].cursed = how in ("cursed", "mystery")
            self.hands.acts.append((name, time()))

    def heal(self, name: str) -> None:
        """A person repairs it."""
        with self.supervisor.lock:
            self.services[name].cursed = False
            self._run(name, GOOD)
            self.hands.acts.append((name, time()))
            self.healed += 1

    def _run(self, name: str, release: str) -> None:
        service = self.services[name]
        releases.switch(service.link, service.releases_dir, release)
        self.supervisor.processes[name].spawn()
        self.hands.started.add(self.supervisor.processes[name].pid)
        service.runs = release

    def page(self, call: Call) -> Answer:
        """The metrics page of the service that the path names."""
        name = call.path.rpartition("/")[2]
        if not self.supervisor.processes[name].pid:
            return Answer(503)
        return Answer(200, f"shop_bad {int(not self.well(name))}\n".encode())


def _services(folder: Path) -> dict[str, Service]:
    names: dict[str, dict[str, Any]] = {}
    for number in range(CHAINS):
        names[f"back-{number}"] = {}
        names |= {f"{caller}-{number}": {"depends_on": (f"back-{number}",)} for caller in ("front", "batch")}
    names |= {f"solo-{number}": {} for number in range(SINGLES)}
    names |= {f"vault-{number}": {"guarded": True} for number in range(GUARDED)}
    return {name: Service(name, folder / name, **fields) for name, fields in names.items()}


@contextmanager
def world(folder: Path, rng: random.Random) -> Iterator[World]:
    """All services well, in ``folder``, and their supervisor at ``supervisor.url``."""
    services = _services(folder)
    supervisor = Supervisor(services, rng)
    it = World(services, supervisor)
    for service in services.values():
        for release in (GOOD, BAD):
            (Path(service.releases_dir) / release).mkdir(parents=True)
        releases.switch(service.link, service.releases_dir, GOOD)
    with serving(supervisor.answer) as rpc, serving(it.page) as pages:
        supervisor.url = f"http://{USER}:{PASSWORD.replace('@', '%40').replace(':', '%3A')}@{rpc.address}"
        it.metrics_url = pages.url
        try:
            yield it
        finally:
            supervisor.ended.set()
