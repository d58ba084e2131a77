"""Verification as a table: a row for each criterion, a column for each sample, and a line that shows the way. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sre_platform.verification.models import SampleRow

SAMPLES_SHOWN = 8  # the newest, besides the one from before the action
WIDTH, HEIGHT, MARGIN = 96.0, 24.0, 3.0


@dataclass(frozen=True)
class Cell:
    """One measured value. ``met`` is None when it could not be measured, and ``missing`` says why."""

    value: float | None
    met: bool | None
    missing: str


@dataclass(frozen=True)
class Spark:
    """All values of one criterion as a line, in a box of WIDTH by HEIGHT."""

    lines: Sequence[str]
    threshold_y: float
    last: tuple[float, float, bool] | None
    says: str


@dataclass(frozen=True)
class Row:
    """One criterion: what it wants, its cells in the order of the columns, and the line over all samples."""

    name: str
    wants: str
    cells: Sequence[Cell]
    spark: Spark


@dataclass(frozen=True)
class Column:
    """One sample: its number, seconds after the first alert, and whether all criteria were met."""

    number: int
    after_s: float
    good: bool | None


@dataclass(frozen=True)
class Table:
    """``hidden`` samples lie between the first column and the second and are only in the lines."""

    columns: Sequence[Column]
    rows: Sequence[Row]
    hidden: int


def table(samples: Sequence[SampleRow], started_at: datetime) -> Table | None:
    """The samples of one step, by number; None when there are none."""
    if not samples:
        return None
    before = [sample for sample in samples if sample.number == 0]
    after = [sample for sample in samples if sample.number]
    shown = before + after[-SAMPLES_SHOWN:]
    columns = [Column(s.number, (s.at - started_at).total_seconds(), s.good) for s in shown]
    rows = [_row(index, samples, shown) for index in range(max(len(s.checks) for s in samples))]
    return Table(columns, rows, len(samples) - len(shown))


def _row(index: int, samples: Sequence[SampleRow], shown: Sequence[SampleRow]) -> Row:
    checks = [_check(sample, index) for sample in samples]
    newest = next(check for check in reversed(checks) if check)
    cells = [_cell(_check(sample, index)) for sample in shown]
    return Row(newest["name"], f"{newest['op']} {newest['threshold']:g}", cells, _spark(checks, newest))


def _check(sample: SampleRow, index: int) -> dict[str, Any]:
    # A step's criteria stay the same and in order, so that the position names the criterion.
    return sample.checks[index] if index < len(sample.checks) else {}


def _cell(check: dict[str, Any]) -> Cell:
    return Cell(check.get("value"), check.get("met"), check.get("missing") or "not measured")


def _spark(checks: Sequence[dict[str, Any]], newest: dict[str, Any]) -> Spark:
    values = [check.get("value") for check in checks]
    known = [value for value in values if value is not None]
    low, high = min([*known, newest["threshold"]]), max([*known, newest["threshold"]])

    def place(index: int, value: float) -> tuple[float, float]:
        across = index / max(1, len(values) - 1)
        up = (value - low) / (high - low) if high > low else 0.5
        return round(MARGIN + across * (WIDTH - 2 * MARGIN), 1), round(HEIGHT - MARGIN - up * (HEIGHT - 2 * MARGIN), 1)

    points = [None if value is None else place(index, value) for index, value in enumerate(values)]
    ends = [(*point, bool(check.get("met"))) for point, check in zip(points, checks, strict=True) if point]
    said = ", ".join("not measured" if value is None else f"{value:.4g}" for value in values)
    says = f"{newest['name']}: {said}. It has to be {newest['op']} {newest['threshold']:g}."
    return Spark(_lines(points), place(0, newest["threshold"])[1], ends[-1] if ends else None, says)


def _lines(points: Sequence[tuple[float, float] | None]) -> list[str]:
    """The points as SVG point lists, a new one after each gap."""
    runs: list[list[str]] = [[]]
    for point in points:
        if point:
            runs[-1].append(f"{point[0]},{point[1]}")
        elif runs[-1]:
            runs.append([])
    return [" ".join(run) for run in runs if len(run) > 1]
