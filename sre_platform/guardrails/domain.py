"""May we touch this now? Guards answer Allow, Ask or Deny, each with its reason; deny wins. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from fnmatch import fnmatchcase
from itertools import takewhile
from typing import Any, Protocol

from sre_platform.kernel.errors import SreError
from sre_platform.playbook.schema import Call


class Answer(StrEnum):
    """Of several answers a denial counts most, then the wish that a person is asked."""

    ALLOW = "allow"
    ASK = "ask"
    DENY = "deny"


@dataclass(frozen=True)
class Judgement:
    """One guard's answer and the reason for it."""

    guard: str
    answer: Answer
    reason: str

    def as_json(self) -> dict[str, str]:
        return {"guard": self.guard, "answer": self.answer.value, "reason": self.reason}


class Denied(SreError):
    """The guards deny it now, or want a person whom nobody has asked: nothing was done. ``verdict`` is what counts."""

    def __init__(self, judgements: Sequence[Judgement], verdict: Judgement) -> None:
        super().__init__(verdict.reason)
        self.judgements = judgements
        self.verdict = verdict


@dataclass(frozen=True)
class Policy:
    """How far an action may go on its own: ``mode`` is observe, suggest, approve or auto; any other does not act.

    Patterns are shell-style; ``cooldown_s`` is in seconds. One that is not ``enabled`` covers nothing. ``plan`` is a
    ladder of calls from mild to strong that replaces the playbooks'; empty leaves theirs. ``min_healthy_share`` is of
    the service's instances while it is done, ``max_blast_share`` of those that one action takes away at the same time,
    ``min_budget_left`` of the error budget; all are shares (0..1). ``version`` counts its changes.
    """

    name: str
    service: str
    cause: str
    action: str
    mode: str
    cooldown_s: float
    max_actions: int
    enabled: bool = True
    version: int = 0
    tier: str = "*"
    environment: str = "*"
    plan: Sequence[Call] = ()
    min_healthy_share: float = 0.5
    max_blast_share: float = 0.5
    min_budget_left: float = 0.0

    def mismatch(self, request: "Request") -> str:
        """Why this policy does not speak about the request; the empty string when it does."""
        if not self.enabled:
            return "it is not enabled"
        asked = (
            ("service", request.target, self.service),
            ("tier", request.tier, self.tier),
            ("environment", request.environment, self.environment),
            ("cause", request.cause, self.cause),
            ("action", request.action, self.action),
        )
        wrong = [
            f"{kind} {value} is not {pattern}" for kind, value, pattern in asked if not fnmatchcase(value, pattern)
        ]
        return ", ".join(wrong)

    def unknown(self, request: "Request") -> str:
        """What is not known of the target and alone keeps this policy from speaking about the request; else empty."""
        asked = (("tier", request.tier, self.tier), ("environment", request.environment, self.environment))
        blank = [name for name, value, pattern in asked if not value and not fnmatchcase(value, pattern)]
        tier, environment = (pattern if value else "*" for _, value, pattern in asked)
        covers = replace(self, tier=tier, environment=environment).covers(request)
        return " and ".join(blank) if covers else ""

    def __str__(self) -> str:
        return f"{self.name} v{self.version}"

    def covers(self, request: "Request") -> bool:
        """Whether this policy speaks about the request."""
        return not self.mismatch(request)


@dataclass(frozen=True)
class Reach:
    """How many instances the service has, how many of them are ready, and how many ready ones it takes away at once."""

    total: int
    ready: int
    takes: int

    @property
    def possible(self) -> bool:
        """Whether there can be such figures."""
        return 0 <= self.takes <= self.ready <= self.total

    def as_json(self) -> dict[str, int]:
        return {"total": self.total, "ready": self.ready, "takes": self.takes}


@dataclass(frozen=True)
class Request:
    """What somebody wants to do, and whether it could be taken back (``irreversible`` says why not).

    ``labels``, ``tier``, ``environment`` and ``cluster`` are the target's; ``needs`` all services that it depends on,
    nearest first. ``restarts`` and ``destroys`` are the action's traits, ``captured`` whether evidence is captured
    first; ``reach`` is None when the action takes no instance away, or does not know.
    """

    incident_id: int
    target: str
    action: str
    cause: str
    irreversible: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    tier: str = ""
    environment: str = ""
    cluster: str = ""
    needs: Sequence[str] = ()
    restarts: bool = False
    destroys: str = ""
    captured: bool = False
    reach: Reach | None = None


@dataclass(frozen=True)
class PastAction:
    """An action that was begun: when, for which incident, and whether it still holds its target."""

    incident_id: int
    target: str
    action: str
    at: datetime
    active: bool
    cluster: str = ""


@dataclass(frozen=True)
class Limit:
    """At most ``max_actions`` within ``window_s`` seconds, and ``at_once`` at the same time (0: as many as they are).

    ``per`` says what is counted together: each service, each cluster, each action, or all. ``service``, ``cluster`` and
    ``action`` are shell-style patterns of what it is about.
    """

    name: str
    per: str
    max_actions: int
    window_s: float
    at_once: int = 0
    service: str = "*"
    cluster: str = "*"
    action: str = "*"


@dataclass(frozen=True)
class Freeze:
    """A freeze window that is open now, with its reason. Patterns are shell-style."""

    name: str
    reason: str
    service: str = "*"
    environment: str = "*"

    def covers(self, service: str, environment: str) -> bool:
        """A service whose environment is not known might be in any, so a window for another one counts for it, too."""
        there = not environment or fnmatchcase(environment, self.environment)
        return there and fnmatchcase(service, self.service)


@dataclass(frozen=True)
class Facts:
    """All that guards may know.

    ``halted`` is the reason of the kill switch, ``storm`` says which incident is one, ``flapping`` names the incident's
    alerts that come and go, ``unproven`` the playbook when it names no experiment; each is empty while there is nothing
    to say. ``troubled`` maps a service to the alert on it that fires, ``budgets`` to what is left of its error budget
    (a share; 1 is all of it, below 0 is overdrawn; None: it could not be measured), ``moving`` to the roll-out that
    starts, promotes or takes back its canary.
    """

    now: datetime
    halted: str
    policies: Sequence[Policy]
    past: Sequence[PastAction]
    storm: str = ""
    flapping: str = ""
    unproven: str = ""
    limits: Sequence[Limit] = ()
    freezes: Sequence[Freeze] = ()
    troubled: Mapping[str, str] = field(default_factory=dict)
    budgets: Mapping[str, float | None] = field(default_factory=dict)
    moving: Mapping[str, str] = field(default_factory=dict)

    def policy(self, request: Request) -> Policy | None:
        """The first policy that covers the request; they are in order of precedence."""
        return next((policy for policy in self.policies if policy.covers(request)), None)

    def perhaps(self, request: Request) -> list[tuple[Policy, str]]:
        """The policies that would come before it if they cover the request, and what is not known to tell that."""
        before = takewhile(lambda policy: not policy.covers(request), self.policies)
        return [(policy, blank) for policy in before if (blank := policy.unknown(request))]


def planned(policies: Iterable[Policy], request: Request) -> Policy | None:
    """The first policy with a plan that covers the request whatever it does: its plan replaces the playbook's ladder.

    Each action of the plan is then judged like any other: by the first policy that covers it.
    """
    return next((policy for policy in policies if policy.plan and replace(policy, action="*").covers(request)), None)


def uncovered(request: Request) -> str:
    """What every guard says that needs a policy's figures when no policy covers the request."""
    return f"No policy covers {request.action} on {request.target} for {request.cause}."


@dataclass(frozen=True)
class Considered:
    """A policy held against a request: why it does not cover it (empty: it does), and whether it is the first to."""

    policy: Policy
    mismatch: str
    counts: bool

    def as_json(self) -> dict[str, Any]:
        policy = self.policy
        return {
            "policy": policy.name,
            "mode": policy.mode,
            "service": policy.service,
            "cause": policy.cause,
            "tier": policy.tier,
            "environment": policy.environment,
            "action": policy.action,
            "version": policy.version,
            "plan": [call.name for call in policy.plan],
            "covers": not self.mismatch,
            "counts": self.counts,
            "why_not": self.mismatch,
        }


def considered(request: Request, facts: Facts) -> list[Considered]:
    """Every policy that the facts hold, in order of precedence; at most one counts: what ``Facts.policy`` gives."""
    first = facts.policy(request)
    return [Considered(policy, policy.mismatch(request), policy is first) for policy in facts.policies]


class Guard(Protocol):
    """One reason why an action might not be wise. Pure."""

    name: str

    def judge(self, request: Request, facts: Facts) -> tuple[Answer, str]: ...


def judge(guards: Iterable[Guard], request: Request, facts: Facts) -> list[Judgement]:
    """Every guard's judgement, in the guards' order. Raises ValueError for an answer that is none."""
    judged = [(guard.name, *guard.judge(request, facts)) for guard in guards]
    # A plugin's "deny" that is a plain string has to count as a denial: verdict() compares by identity.
    return [Judgement(name, Answer(answer), reason) for name, answer, reason in judged]


def verdict(judgements: Sequence[Judgement]) -> Judgement:
    """The first denial, else the first request to ask, else leave. No guard at all is a denial: unknown is deny."""
    for answer in (Answer.DENY, Answer.ASK):
        for judgement in judgements:
            if judgement.answer is answer:
                return judgement
    if not judgements:
        return Judgement("none", Answer.DENY, "No guard is registered, so nothing may be touched.")
    return Judgement("all", Answer.ALLOW, f"all {len(judgements)} guards allow it.")
