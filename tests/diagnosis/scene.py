"""What collectors are given in tests: a moment, changes, a measurer that says what it is told, a supervisor."""

from datetime import UTC, datetime, timedelta
from typing import Any

from sre_platform.catalog.domain import Change, Target
from sre_platform.clients.supervisor import Supervisor
from sre_platform.detection.measure import Measured
from sre_platform.diagnosis.domain import Evidence
from sre_platform.diagnosis.investigate import COLLECTORS, Scene

OPENED = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


class Says:
    """A measurer that gives these values, None for what could not be measured."""

    def __init__(self, *values: float | None) -> None:
        self.values = values

    def measure(self, slis):
        return [Measured(value, "" if value is not None else "nobody answered") for value in self.values]


def scene(*changes: Change, supervisor: str = "", measurer: Any = None) -> Scene:
    return Scene(OPENED, {"payments": changes}, measurer or Says(), Supervisor(supervisor))


def deploy(before_s: float, before: str = "v1", after: str = "v2", kind: str = "deploy") -> Change:
    return Change("payments", kind, OPENED - timedelta(seconds=before_s), before, after, "ann")


def collect(name: str, target: Target, world: Scene | None = None, **params: Any) -> Evidence:
    collector = COLLECTORS.get(name)
    return collector.collect(target, world or scene(), collector.Params(**params))


def seen(collector: str, texts: dict[str, str] | None = None, missing: str = "", **data: Any) -> dict[str, Evidence]:
    """One collector's evidence about payments, as rules are given it."""
    return {collector: Evidence(collector, "payments", OPENED, data, texts or {}, missing)}
