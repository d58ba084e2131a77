"""Values of the remediation room: what an action is about to do, how it is taken back, and the actions' port."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from sre_platform.catalog.domain import Change, Target
from sre_platform.clients.supervisor import Supervisor
from sre_platform.guardrails.domain import Reach
from sre_platform.kernel.errors import Rejected
from sre_platform.kernel.redaction import redact
from sre_platform.playbook.schema import Call


def _nothing_to_look_with(target: Target, looks: Sequence[Call]) -> str:  # noqa: ARG001
    raise Rejected(f"Nothing can be captured of {target.service} here.")


@dataclass(frozen=True)
class World:
    """What actions may reach: the process supervisor, and the changes known of each service, newest first.

    ``capture`` takes collectors' calls, looks through them at a target, keeps what was seen as evidence of the incident
    and says what that was. Other systems are reached by what ``Target.held_by`` says about them.
    """

    supervisor: Supervisor
    changes: Mapping[str, Sequence[Change]]
    capture: Callable[[Target, Sequence[Call]], str] = _nothing_to_look_with


@dataclass(frozen=True)
class Effect:
    """One thing that ``apply`` does to the world: ``PATCH`` an address, ``stop`` a process. ``body`` is JSON."""

    verb: str
    to: str
    body: Any = None

    def as_json(self) -> dict[str, Any]:
        return {"verb": self.verb, "to": self.to, "body": self.body}


@dataclass(frozen=True)
class Delta:
    """One value of the world that an action changes, such as ``release``: JSON values before and after."""

    of: str
    before: Any
    after: Any

    def as_json(self) -> dict[str, Any]:
        return {"of": self.of, "before": self.before, "after": self.after}


@dataclass(frozen=True)
class Prepared:
    """What ``apply`` will make true. JSON-safe, stored before anything is done.

    ``undo`` are the parameters with which the same action takes it back; None, with ``irreversible`` saying why,
    when nothing can. ``says`` is the sentence that people read. ``effects`` are exactly the writes that ``apply`` would
    make now, in their order, and ``diff`` what they change: a dry run shows both. ``reach`` is None for what takes no
    instance away.
    """

    says: str
    aim: Mapping[str, Any]
    undo: Mapping[str, Any] | None
    irreversible: str = ""
    effects: Sequence[Effect] = ()
    diff: Sequence[Delta] = ()
    reach: Reach | None = None

    def plan(self) -> dict[str, Any]:
        """Effects, diff and reach as JSON, without secrets: what a step keeps for people and guards."""
        shown = {"effects": [e.as_json() for e in self.effects], "diff": [d.as_json() for d in self.diff]}
        clean: dict[str, Any] = redact(shown)
        return clean | {"reach": self.reach.as_json() if self.reach else None}


@dataclass(frozen=True)
class Traits:
    """What guards want to know about an action whatever it is done to.

    ``restarts``: it replaces the service's processes, which is no help while what it depends on is in trouble.
    ``destroys`` names the evidence that is gone afterwards (empty: none), which has to be captured first; ``captures``
    is true of an action that does that.
    """

    restarts: bool = False
    destroys: str = ""
    captures: bool = False


class Seen(StrEnum):
    """What a look at the world says about an aim."""

    DONE = "done"
    NOT_DONE = "not_done"
    UNKNOWN = "unknown"


class Action(Protocol):
    """Something that can be done to a service. ``Params`` is its manifest, its docstring its help.

    ``prepare`` only reads; it raises Rejected, with the reason, when the action makes no sense here and now.
    ``apply`` makes the aim true and does nothing that is true already; it calls ``confirm`` right before each effect.
    ``look`` says whether the aim is true. An aim that was stored has to be what ``prepare`` gives again right before it
    begins, or what the action's own ``still_fits(stored, fresh)``, if it has one, takes for no change that matters.
    """

    name: str
    Params: type[Any]
    traits: Traits

    def prepare(self, target: Target, params: Any, world: World) -> Prepared: ...
    def apply(self, target: Target, aim: Mapping[str, Any], world: World, confirm: Callable[[], None]) -> str: ...
    def look(self, target: Target, aim: Mapping[str, Any], world: World) -> Seen: ...
