"""One measured value, as an exporter shows it."""

from dataclasses import dataclass

Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Sample:
    """One line of a ``/metrics`` page: a name, its labels as (name, value) pairs sorted by name, and the value."""

    name: str
    labels: Labels
    value: float
