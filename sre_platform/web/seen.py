"""What a collector saw, laid out for reading: single values as fields, lists of records as tables. Pure.

No collector is known by name here, so a new one needs no edit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

RECORDS_SHOWN = 12
NOTHING = "\N{EN DASH}"


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
    records = {key: value for key, value in data.items() if _is_records(value)}
    fields = [(words(key), text(value)) for key, value in data.items() if key not in records]
    return Layout(fields, [_grid(key, value) for key, value in records.items()])


def words(key: str) -> str:
    """``seconds_before`` as ``seconds before``; a final ``_s`` is a unit and is said so."""
    return f"{key[:-2]} (s)".replace("_", " ") if key.endswith("_s") else key.replace("_", " ")


def text(value: Any) -> str:
    """One value as text."""
    if value is None or value == "" or value == []:
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{words(str(key))}: {text(item)}" for key, item in value.items())
    return ", ".join(map(text, value)) if isinstance(value, list | tuple) else str(value)


def _is_records(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, Mapping) for item in value)


def _grid(name: str, records: Sequence[Mapping[str, Any]]) -> Grid:
    columns = list(dict.fromkeys(key for record in records for key in record))
    filled = [key for key in columns if any(record.get(key) not in ("", None) for record in records)]
    rows = [[text(record.get(key)) for key in filled] for record in records[:RECORDS_SHOWN]]
    return Grid(words(name), [words(key) for key in filled], rows, max(0, len(records) - RECORDS_SHOWN))
