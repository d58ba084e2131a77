"""What a canary is judged by, and what the judgement says. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple


@dataclass(frozen=True)
class Limits:
    """What a canary may be at the most: shares of requests, ms, and how much slower as a part of the baseline's P99.

    The defaults are our field's rule for progressive delivery: roll back at once when the new version answers more than
    0.8 % with 5xx or its P99 is above 850 ms, and go on only while its P99 is not more than 15 % above that of the
    version it replaces. ``errors_rise`` counts only while the baseline itself is beyond ``errors``; it is half of the
    rise by a percentage point that must be found.
    """

    errors: float = 0.008
    errors_rise: float = 0.005
    p99_ms: float = 850.0
    p99_rise: float = 0.15


DEFAULTS = Limits()


class Verdict(StrEnum):
    """What the requests say. ``INCONCLUSIVE``: too few, or not comparable; neither good nor bad."""

    PASS = "pass"  # noqa: S105 (not a password)
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


class Request(NamedTuple):
    """One answered request: seconds on any clock that both versions share, HTTP status, milliseconds."""

    time: float
    status: int
    latency_ms: float


@dataclass(frozen=True)
class Check:
    """One comparison. ``baseline`` and ``canary`` are None when there was nothing to measure them from."""

    name: str
    baseline: float | None
    canary: float | None
    limit: float
    verdict: Verdict
    reason: str

    def as_json(self) -> dict[str, Any]:
        """The check as the command prints it, with six digits after the point."""
        values = {"baseline": _rounded(self.baseline), "canary": _rounded(self.canary), "limit": self.limit}
        return {"name": self.name, **values, "verdict": str(self.verdict), "reason": self.reason}


@dataclass(frozen=True)
class Judgement:
    """The verdict, the seconds from the canary's first request until it was reached, and what it rests on."""

    verdict: Verdict
    at: float
    checks: Sequence[Check] = field(default_factory=tuple)

    def as_json(self) -> dict[str, Any]:
        """``{"verdict", "at", "checks"}``."""
        return {
            "verdict": str(self.verdict),
            "at": round(self.at, 3),
            "checks": [check.as_json() for check in self.checks],
        }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)


def overall(checks: Sequence[Check]) -> Verdict:
    """One failed check fails the canary; one that cannot tell leaves it open."""
    said = {check.verdict for check in checks}
    if Verdict.FAIL in said:
        return Verdict.FAIL
    return Verdict.INCONCLUSIVE if Verdict.INCONCLUSIVE in said or not checks else Verdict.PASS
