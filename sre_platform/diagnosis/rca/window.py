"""Reads what Prometheus said of a window of time: the named queries of ``prometheus_window`` evidence."""

from collections.abc import Iterator, Mapping, Sequence
from math import isfinite
from statistics import median
from typing import Any

from sre_platform.diagnosis.domain import Evidence

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
        return str(why) if why else "there is no such series."

    def _series(self, name: str) -> Iterator[list[float]]:
        query = self._queries.get(name)
        series = query.get("series") if isinstance(query, Mapping) else None
        for one in series if isinstance(series, Sequence) else ():
            values = [value for value in map(_value, one.get("points", ())) if value is not None]
            if values:
                yield values


def _recent(values: Sequence[float]) -> float:
    return median(values[-RECENT_POINTS:])


def _value(point: Any) -> float | None:
    """The value of ``[unix s, value]``. Prometheus says NaN where a share is one of nothing."""
    try:
        value = float(point[1])
    except (TypeError, ValueError, IndexError, KeyError):
        return None
    return value if isfinite(value) else None
