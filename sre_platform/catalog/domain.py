"""Values of the catalog: a service as the platform may look at it and touch it, and what depends on what."""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sre_platform.playbook.schema import Criterion


@dataclass(frozen=True)
class Target:
    """A service and the addresses through which it is seen (URLs) and handled (process, release folders).

    An empty field means that this is not known, and whatever needs it says so instead of guessing.
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
    """The objectives of these services, in their order."""
    return [goal for name in services if name in topology for goal in topology[name].objectives]
