"""What a replay has found out, for people and machines."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from sre_platform.incidents.board import Fate, Key, Live, Placed


@dataclass
class Told:
    """An incident that would open, and what it would gather."""

    live: Live
    reason: str
    placed: list[Placed] = field(default_factory=list)
    under: str = ""

    def as_json(self) -> dict[str, Any]:
        live = self.live
        return {
            "number": live.pk,
            "key": live.key,
            "service": live.service,
            "title": live.title,
            "opened_at": live.opened_at.isoformat(),
            "alerts": len(self.placed),
            "services": sorted({item.alert.service for item in self.placed if item.alert.service}),
            "storm": live.storm,
            "parent": live.parent.pk if live.parent else None,
            "reason": self.under or self.reason,
            "joined": dict(Counter(item.reason for item in self.placed if item.fate is not Fate.OPENED)),
        }


@dataclass
class Replayed:
    """``quiet`` says why, and nothing of those that are quiet no longer; ``fired`` are the occurrences seen firing."""

    webhooks: int = 0
    fates: Counter[str] = field(default_factory=Counter)
    quiet: dict[Key, str] = field(default_factory=dict)
    fired: set[Key] = field(default_factory=set)
    incidents: dict[int, Told] = field(default_factory=dict)

    @property
    def visible(self) -> list[Told]:
        """What a person would see at the top: the incidents without a parent."""
        return [told for told in self.incidents.values() if told.live.parent is None]

    def as_json(self) -> dict[str, Any]:
        """Figures and incidents; a reduction is one less visible incidents by what came, null when nothing came."""
        seen = len(self.visible)
        return {
            "webhooks": self.webhooks,
            "occurrences": len(self.fired),
            "visible": seen,
            "fates": dict(self.fates),
            "quiet": dict(Counter(filter(None, self.quiet.values()))),
            "noise_reduction": _reduction(seen, len(self.fired)),
            "noise_reduction_webhooks": _reduction(seen, self.webhooks),
            "incidents": [told.as_json() for told in self.incidents.values()],
        }


def _reduction(seen: int, came: int) -> float | None:
    return round(1 - seen / came, 4) if came else None
