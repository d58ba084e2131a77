"""Reads what Prometheus said of a window of time: the named queries of ``prometheus_window`` evidence."""

from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import Any

from sre_platform.diagnosis.domain import Evidence
from sre_platform.diagnosis.rca.values import finite

# Points of a series that count as "now": one odd scrape among five does not move their median.
RECENT_POINTS = 5


class Window:
    """Values by the name of their query. A query that is not there, failed or has no point has no value.

    Of several series the one with the greatest recent value speaks: a limit is reached by the worst.
    """

    def __init__(self, evidence: Evidence | None) -> None:
        data = evidence.data if evidence and not evidence.missing else {}
        queries = data.get("queries")
        self._queries: Mapping[str, Any] = queries if isinstance(queries, Mapping) else {}

    def values(self, name: str) -> list[float]:
        """All values of the window, oldest first; [] when there is none."""
        return max(self._series(name), key=_recent, default=[])

    def recent(self, name: str) -> float | None:
        """The median of the last RECENT_POINTS values."""
        values = self.values(name)
        return _recent(values) if values else None

    def first(self, name: str) -> float | None:
        """The median of the first RECENT_POINTS values."""
        values = self.values(name)
        return median(values[:RECENT_POINTS]) if values else None

    def missing(self, *names: str) -> list[str]:
        """A sentence for each of ``names`` that has no value."""
        return [f"{name} was not measured: {self._why(name)}" for name in names if not self.values(name)]

    def _why(self, name: str) -> str:
        query = self._queries.get(name)
        why = query.get("missing") if isinstance(query, Mapping) else "the playbook does not ask for it."
        return f"{why}".rstrip(".") + "." if why else "there is no such series."

    def _series(self, name: str) -> Iterator[list[float]]:
        query = self._queries.get(name)
        for one in _rows(query.get("series") if isinstance(query, Mapping) else None):
            points = _rows(one.get("points") if isinstance(one, Mapping) else None)
            # A point is [unix s, value]. Prometheus says NaN where a share is one of nothing.
            values = (finite(point[1]) for point in points if isinstance(point, list | tuple) and len(point) == 2)
            if known := [value for value in values if value is not None]:
                yield known


def _rows(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else ()


def _recent(values: Sequence[float]) -> float:
    return median(values[-RECENT_POINTS:])
