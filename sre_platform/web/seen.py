"""What a collector saw, laid out for reading: values as fields, records as tables, series in a few numbers. Pure.

No collector is known by name here, so a new one needs no edit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

RECORDS_SHOWN = 12
LARGE = 1e5  # a number from here on is read with its thousands
NOTHING = "\N{EN DASH}"
EMPTY: tuple[Any, ...] = (None, "", [], {})


@dataclass(frozen=True)
class Grid:
    """A list of records: its name, the columns, and one row of texts for each record; ``more`` are not shown."""

    name: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    more: int


@dataclass(frozen=True)
class Layout:
    """Single values by name, then the lists."""

    fields: Sequence[tuple[str, str]]
    grids: Sequence[Grid]


def lay_out(data: Mapping[str, Any]) -> Layout:
    """``data`` for reading; the order of its keys is kept."""
    records = {key: found for key, value in data.items() if (found := _records(value))}
    fields = [(words(key), text(value)) for key, value in data.items() if key not in records]
    return Layout(fields, [_grid(key, value) for key, value in records.items()])


def words(key: str) -> str:
    """``seconds_before`` as ``seconds before``; a final ``_s`` is a unit and is said so."""
    return f"{key[:-2]} (s)".replace("_", " ") if key.endswith("_s") else key.replace("_", " ")


def text(value: Any) -> str:
    """One value as text."""
    if value in EMPTY:
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= LARGE else f"{value:.4g}"
    if isinstance(value, Mapping):
        return (
            ", ".join(f"{words(str(key))}: {text(item)}" for key, item in value.items() if item not in EMPTY) or NOTHING
        )
    if _is_series(value):
        return _series([point[1] for point in value])
    return ", ".join(map(text, value)) if isinstance(value, list | tuple) else str(value)


def _records(value: Any) -> Sequence[Mapping[str, Any]]:
    """A list of records, or an object of records by their names; else nothing."""
    if isinstance(value, Mapping) and _are_records([*value.values()]):
        return [{"name": words(str(key)), **record} for key, record in value.items()]
    return value if isinstance(value, list) and _are_records(value) else []


def _are_records(values: Sequence[Any]) -> bool:
    return bool(values) and all(isinstance(item, Mapping) for item in values)


def _is_series(value: Any) -> bool:
    """Points of time and value, as a Prometheus has them."""
    points = isinstance(value, list) and all(isinstance(one, list | tuple) and len(one) == 2 for one in value)
    return points and all(isinstance(part, int | float) for one in value for part in one)


def _series(values: Sequence[float]) -> str:
    return f"{text(float(values[-1]))} at last, from {text(float(min(values)))} to {text(float(max(values)))} in all"


def _grid(name: str, records: Sequence[Mapping[str, Any]]) -> Grid:
    columns = list(dict.fromkeys(key for record in records for key in record))
    filled = [key for key in columns if any(record.get(key) not in ("", None) for record in records)]
    rows = [[text(record.get(key)) for key in filled] for record in records[:RECORDS_SHOWN]]
    return Grid(words(name), [words(key) for key in filled], rows, max(0, len(records) - RECORDS_SHOWN))
