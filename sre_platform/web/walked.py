"""A roll-out's weight over time as one line, and its checks, ready to be shown. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

from sre_platform.rollouts.models import RolloutEvent

WIDTH, HEIGHT, MARGIN = 640.0, 120.0, 6.0


@dataclass(frozen=True)
class Course:
    """The canary's share as a step line in a box of WIDTH by HEIGHT; ``says`` is the same in words."""

    points: str
    says: str
    seconds: float


@dataclass(frozen=True)
class CheckLine:
    """One check: ``met`` is None when it cannot be told."""

    name: str
    baseline: str
    canary: str
    limit: str
    met: bool | None
    reason: str


def course(events: Sequence[RolloutEvent], began: datetime, until: datetime) -> Course:
    """The weights that the router was seen with, from ``began`` to ``until``."""
    seconds = max((until - began).total_seconds(), 1.0)
    seen = [(0.0, 0)]
    seen += [
        ((event.at - began).total_seconds(), int(event.data["weights"]["canary"]))
        for event in events
        if event.name == "weights_set"
    ]
    corners = [_at(0.0, 0, seconds)]
    for (_, before), (at, after) in pairwise(seen):
        corners += [_at(at, before, seconds), _at(at, after, seconds)]
    corners.append(_at(seconds, seen[-1][1], seconds))
    said = ", ".join(f"{percent} % from {at:.0f} s" for at, percent in seen)
    return Course(" ".join(f"{x:.1f},{y:.1f}" for x, y in corners), f"The canary's share: {said}.", seconds)


def _at(at: float, percent: int, seconds: float) -> tuple[float, float]:
    across = MARGIN + min(at / seconds, 1.0) * (WIDTH - 2 * MARGIN)
    return across, HEIGHT - MARGIN - percent / 100 * (HEIGHT - 2 * MARGIN)


def checks(judgement: dict[str, Any] | None) -> list[CheckLine]:
    """The newest analysis, a line for each check."""
    return [_line(check) for check in (judgement or {}).get("checks", ())]


def _line(check: dict[str, Any]) -> CheckLine:
    name = check["name"]
    met = {"pass": True, "fail": False}.get(check["verdict"])
    return CheckLine(
        name,
        _shown(name, check["baseline"]),
        _shown(name, check["canary"]),
        f"+{check['limit']:.0%}" if name == "p99_rise" else _shown(name, check["limit"]),
        met,
        check["reason"],
    )


def _shown(name: str, value: float | None) -> str:
    if value is None:
        return "–"
    if name.startswith("5xx"):
        return f"{value:.2%}"
    return f"{value:,.1f} ms" if name.startswith("p99") else f"{value:.4g}"
