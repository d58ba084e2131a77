"""May we touch this now? Guards answer Allow, Ask or Deny, each with its reason; deny wins. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Protocol


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


@dataclass(frozen=True)
class Policy:
    """How far an action may go on its own: ``mode`` is observe, suggest, approve or auto; any other does not act.

    Patterns are shell-style; ``cooldown_s`` is in seconds. One that is not ``enabled`` covers nothing.
    """

    name: str
    service: str
    cause: str
    action: str
    mode: str
    cooldown_s: float
    max_actions: int
    enabled: bool = True

    def mismatch(self, request: "Request") -> str:
        """Why this policy does not speak about the request; the empty string when it does."""
        if not self.enabled:
            return "it is not enabled"
        asked = (
            ("service", request.target, self.service),
            ("cause", request.cause, self.cause),
            ("action", request.action, self.action),
        )
        wrong = [
            f"{kind} {value} is not {pattern}" for kind, value, pattern in asked if not fnmatchcase(value, pattern)
        ]
        return ", ".join(wrong)

    def covers(self, request: "Request") -> bool:
        """Whether this policy speaks about the request."""
        return not self.mismatch(request)


@dataclass(frozen=True)
class Request:
    """What somebody wants to do, and whether it could be taken back (``irreversible`` says why not)."""

    incident_id: int
    target: str
    action: str
    cause: str
    irreversible: str = ""


@dataclass(frozen=True)
class PastAction:
    """An action that was begun: when, for which incident, and whether it still holds its target."""

    incident_id: int
    target: str
    action: str
    at: datetime
    active: bool


@dataclass(frozen=True)
class Facts:
    """All that guards may know.

    ``halted`` is the reason of the kill switch, ``storm`` says which incident is one, ``flapping`` names the incident's
    alerts that come and go, ``unproven`` the playbook when it names no experiment; each is empty while there is nothing
    to say.
    """

    now: datetime
    halted: str
    policies: Sequence[Policy]
    past: Sequence[PastAction]
    storm: str = ""
    flapping: str = ""
    unproven: str = ""

    def policy(self, request: Request) -> Policy | None:
        """The first policy that covers the request; they are in order of precedence."""
        return next((policy for policy in self.policies if policy.covers(request)), None)


@dataclass(frozen=True)
class Considered:
    """A policy held against a request: why it does not cover it (empty: it does), and whether it is the first to."""

    policy: Policy
    mismatch: str
    counts: bool

    def as_json(self) -> dict[str, str | bool]:
        policy = self.policy
        return {
            "policy": policy.name,
            "mode": policy.mode,
            "service": policy.service,
            "cause": policy.cause,
            "action": policy.action,
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
