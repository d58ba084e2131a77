"""Values of the catalog: a service as the platform may look at it and touch it, and what depends on what."""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import Field, ValidationError, model_validator

from sre_platform.kernel.complaint import complaint
from sre_platform.kernel.errors import Malformed, Rejected
from sre_platform.playbook.schema import Block, Criterion

ENVIRONMENT_NAME = r"^[A-Za-z_][A-Za-z0-9_]*$"
MAX_REPLICAS = 1000
MAX_PREFIX = 32  # words of an agentless command

# The words of a command that is put before ``cat``. It is run as an argument list, never by a shell.
Prefix = Annotated[tuple[Annotated[str, Field(min_length=1, max_length=500)], ...], Field(max_length=MAX_PREFIX)]


class PprofAuth(Block):
    """How to be let in to /debug/pprof: the name of an environment variable, never the secret itself.

    ``bearer_env`` names one that holds a token, ``basic_env`` one that holds ``user:password``. Exactly one of them.
    """

    bearer_env: str = Field("", pattern=ENVIRONMENT_NAME)
    basic_env: str = Field("", pattern=ENVIRONMENT_NAME)

    @model_validator(mode="after")
    def _exactly_one(self) -> "PprofAuth":
        if bool(self.bearer_env) == bool(self.basic_env):
            raise ValueError("name either bearer_env or basic_env")
        return self


class Replica(Block):
    """One of several processes of a service. ``exec`` is the command by which files of its machine are read."""

    name: str = Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9_.:-]*[A-Za-z0-9])?$", max_length=100)
    metrics_url: str = ""
    pprof_url: str = ""
    process: str = ""
    pid: int = Field(0, ge=0)
    exec: Prefix = ()


class Handle(Block):
    """By what one system holds a service: a subclass has a name in ``handle``, and fields for what the catalog says."""

    handle: ClassVar[str]


SomeHandle = TypeVar("SomeHandle", bound=Handle)


@dataclass(frozen=True)
class Target:
    """A service and the addresses through which it is seen (URLs) and handled (process, release folders).

    An empty field means that this is not known, and whatever needs it says so instead of guessing. ``replica`` names
    the replica that these addresses are of; it is empty for the service itself, which is its own only replica when
    ``replicas`` is empty. ``repository`` is a local Git checkout and ``source_root`` the folder in it that holds this
    service's code (all of it when empty). ``handles`` are what other systems than the supervisor hold it by, read by
    ``held_by``; ``labels``, ``tier``, ``environment`` and ``cluster`` are what policies and limits speak about.
    """

    service: str
    metrics_url: str = ""
    health_url: str = ""
    pprof_url: str = ""
    process: str = ""
    release_link: str = ""
    releases_dir: str = ""
    depends_on: tuple[str, ...] = ()
    objectives: tuple[Criterion, ...] = ()
    replica: str = ""
    replicas: tuple[Replica, ...] = ()
    pid: int = 0
    exec: tuple[str, ...] = ()
    pprof_auth: PprofAuth | None = None
    repository: str = ""
    source_root: str = ""
    log_files: tuple[str, ...] = ()
    baseline: bool = False
    handles: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    tier: str = ""
    environment: str = ""
    cluster: str = ""

    def held_by(self, kind: type[SomeHandle]) -> SomeHandle:
        """What the catalog says about one system's hold on it. Raises Rejected when it says nothing, and Malformed."""
        if kind.handle not in self.handles:
            raise Rejected(f"The catalog says nothing about {kind.handle} for {self.service}.")
        try:
            return kind.model_validate(self.handles[kind.handle])
        except ValidationError as error:
            wrong = complaint(error, kind.handle)
            raise Malformed(f"Of {self.service}, the catalog's handle {wrong}.") from error

    def at(self, replica: Replica) -> "Target":
        """This service as it is seen at one of its replicas, and nowhere else."""
        return replace(
            self,
            replica=replica.name,
            replicas=(),
            metrics_url=replica.metrics_url,
            pprof_url=replica.pprof_url,
            process=replica.process,
            pid=replica.pid,
            exec=replica.exec or self.exec,
        )

    @property
    def pprof_env(self) -> tuple[str, str]:
        """The environment variables that hold a bearer token and ``user:password`` for pprof; empty when not needed."""
        return (self.pprof_auth.bearer_env, self.pprof_auth.basic_env) if self.pprof_auth else ("", "")

    @property
    def label(self) -> str:
        """The service, and which replica of it if it has several, as it is said in sentences."""
        return f"{self.service} ({self.replica})" if self.replica else self.service


@dataclass(frozen=True)
class Change:
    """Something that was done to a service. ``before`` and ``after`` are releases; ``by`` is a person or a tool."""

    service: str
    kind: str
    at: datetime
    before: str
    after: str
    by: str


Topology = Mapping[str, Target]


def downstream(topology: Topology, service: str) -> list[str]:
    """``service`` and all that it depends on, nearest first; unknown names are left out. O(services + edges)."""
    return _walk(topology, service, lambda name: topology[name].depends_on)


def upstream(topology: Topology, service: str) -> list[str]:
    """``service`` and all that depend on it, nearest first. O(services + edges)."""
    callers: dict[str, list[str]] = {}
    for target in topology.values():
        for name in target.depends_on:
            callers.setdefault(name, []).append(target.service)
    return _walk(topology, service, lambda name: callers.get(name, ()))


def related(topology: Topology, one: str, other: str) -> str:
    """Why an alert on ``one`` may belong to an incident on ``other``, or the empty string when it may not."""
    if one == other:
        return f"same service {one}"
    if other in downstream(topology, one):
        return f"{one} depends on {other}"
    if one in downstream(topology, other):
        return f"{other} depends on {one}"
    return ""


def depth(topology: Topology, service: str) -> int:
    """How many services stand above this one: the larger, the nearer to a root cause."""
    return len(upstream(topology, service)) - 1


def _walk(topology: Topology, start: str, neighbours: Callable[[str], Iterable[str]]) -> list[str]:
    seen: list[str] = []
    queue = deque([start])
    while queue:
        name = queue.popleft()
        if name in topology and name not in seen:
            seen.append(name)
            queue.extend(neighbours(name))
    return seen


def objectives(topology: Topology, services: Iterable[str]) -> Sequence[Criterion]:
    """The objectives of these services, in their order.

    Their names name the service, too: what was measured is told apart by name, and two may both have an "error ratio".
    """
    return [_of(name, goal) for name in services if name in topology for goal in topology[name].objectives]


def _of(service: str, goal: Criterion) -> Criterion:
    named = goal.name if service in goal.name else f"{goal.name} of {service}"
    return goal.model_copy(update={"name": named})
