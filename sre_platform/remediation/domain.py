"""Values of the remediation room: what an action is about to do, how it is taken back, and the actions' port."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from sre_platform.catalog.domain import Change, Target
from sre_platform.clients.supervisor import Supervisor


@dataclass(frozen=True)
class World:
    """What actions may reach: the process supervisor, and the changes known of each service, newest first."""

    supervisor: Supervisor
    changes: Mapping[str, Sequence[Change]]


@dataclass(frozen=True)
class Prepared:
    """What ``apply`` will make true. JSON-safe, stored before anything is done.

    ``undo`` are the parameters with which the same action takes it back; None, with ``irreversible`` saying why,
    when nothing can. ``says`` is the sentence that people read.
    """

    says: str
    aim: Mapping[str, Any]
    undo: Mapping[str, Any] | None
    irreversible: str = ""


class Seen(StrEnum):
    """What a look at the world says about an aim."""

    DONE = "done"
    NOT_DONE = "not_done"
    UNKNOWN = "unknown"


class Action(Protocol):
    """Something that can be done to a service. ``Params`` is its manifest, its docstring its help.

    ``prepare`` only reads; it raises Rejected, with the reason, when the action makes no sense here and now.
    ``apply`` makes the aim true and does nothing that is true already; it calls ``confirm`` right before each effect.
    ``look`` says whether the aim is true.
    """

    name: str
    Params: type[Any]

    def prepare(self, target: Target, params: Any, world: World) -> Prepared: ...
    def apply(self, target: Target, aim: Mapping[str, Any], world: World, confirm: Callable[[], None]) -> str: ...
    def look(self, target: Target, aim: Mapping[str, Any], world: World) -> Seen: ...
