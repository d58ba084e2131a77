"""Requests from CSV files and JSON rows, refused in one sentence when they are not what was agreed. Pure."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from math import isfinite
from typing import Any

from sre_platform.kernel.errors import Malformed
from sre_platform.rollouts.domain import Request

COLUMNS = ("time", "status", "latency_ms")
MOST_REQUESTS = 5_000_000  # of one version: some seven hours at 200 requests/s, about a gigabyte
# Seconds since 1970 are at 4e9 in the year 2096; milliseconds passed this in 1973.
LATEST_S = 1e11
# One latency in ms is a thousand in µs: both the median and P90 of two versions that differ so differ in their unit.
UNIT, UNIT_SLACK = 1000.0, 1.25


def from_csv(lines: Iterable[str]) -> list[Request]:
    """The requests of a CSV text with the columns ``time`` (s), ``status`` and ``latency_ms``. Raises Malformed."""
    rows = csv.reader(lines)
    try:
        header = [name.strip().lstrip("\ufeff") for name in next(rows, [])]
        if sorted(header) != sorted(COLUMNS):
            raise Malformed(f"The first line has to name the columns {', '.join(COLUMNS)}, and no others.")
        places = [header.index(name) for name in COLUMNS]
        return list(
            _bounded(_request(_picked(row, places, rows.line_num), f"Line {rows.line_num}") for row in rows if row)
        )
    except (csv.Error, UnicodeDecodeError) as error:
        raise Malformed(f"This is no CSV text: {error}.") from error


def from_rows(rows: Any, name: str) -> list[Request]:
    """The requests of a list of ``[time, status, latency_ms]``, as JSON has it. Raises Malformed."""
    if not isinstance(rows, list):
        raise Malformed(f'"{name}" has to be a list of [time, status, latency_ms].')
    return list(_bounded(_request(row, f'Row {n} of "{name}"') for n, row in enumerate(rows, start=1)))


def comparable(baseline: Sequence[Request], canary: Sequence[Request]) -> None:
    """Raises Malformed when the latencies of one version are in another unit than those of the other."""
    if not baseline or not canary:
        return
    ratios = [_at(canary, share) / _at(baseline, share) if _at(baseline, share) else 0.0 for share in (0.5, 0.9)]
    for factor in (UNIT, 1 / UNIT):
        if all(factor / UNIT_SLACK <= ratio <= factor * UNIT_SLACK for ratio in ratios):
            raise Malformed(
                "The latencies of baseline and canary are a thousandfold apart: both have to be in milliseconds."
            )


def _at(requests: Sequence[Request], share: float) -> float:
    return sorted(request.latency_ms for request in requests)[int(share * (len(requests) - 1))]


def _picked(row: Sequence[str], places: Sequence[int], number: int) -> list[str]:
    if len(row) != len(COLUMNS):
        raise Malformed(f"Line {number} has {len(row)} columns, not {len(COLUMNS)}.")
    return [row[place] for place in places]


def _request(row: Any, where: str) -> Request:
    if not isinstance(row, list) or len(row) != len(COLUMNS) or any(isinstance(value, bool) for value in row):
        raise Malformed(f"{where} is no [time, status, latency_ms].")
    try:
        time, status, latency_ms = (float(value) for value in row)
    except (TypeError, ValueError, OverflowError):
        raise Malformed(f"{where} holds something that is no number.") from None
    if not (isfinite(time) and abs(time) < LATEST_S):
        raise Malformed(f"{where} has a time that is not in seconds.")
    if not (isfinite(latency_ms) and latency_ms >= 0):
        raise Malformed(f"{where} has a latency that is not a number of milliseconds from 0 up.")
    if not (100 <= status <= 599 and status.is_integer()):
        raise Malformed(f"{where} has a status that is not from 100 to 599.")
    return Request(time, int(status), latency_ms)


def _bounded(requests: Iterable[Request]) -> Iterator[Request]:
    for number, request in enumerate(requests):
        if number >= MOST_REQUESTS:
            raise Malformed(f"There are more than {MOST_REQUESTS:,} requests of one version.")
        yield request
