"""Prometheus' arithmetic on the points of one series, after its source at release 2.42.

``promql/functions.go`` (extrapolatedRate, linearRegression) and ``promql/quantile.go`` (bucketQuantile). Points are
(Unix milliseconds, value), in order of time, because Prometheus stores and compares whole milliseconds.
"""

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise

Point = tuple[int, float]

_EXTRAPOLATE_WITHIN = 1.1  # of the average distance of two points; functions.go, extrapolationThreshold


def rate(points: Sequence[Point], start_ms: int, end_ms: int) -> float | None:
    """Increase per second of a counter over the range, extrapolated to its ends; None with fewer than two points.

    A value below its predecessor is a restart from zero. The extrapolation stops half a step outside the points when
    the range's end is further away than a step, and never goes to before the counter was zero.
    """
    if len(points) < 2:
        return None
    (first_ms, first), (last_ms, last) = points[0], points[-1]
    increase = last - first + sum(before for (_, before), (_, after) in pairwise(points) if after < before)
    sampled = (last_ms - first_ms) / 1000
    step = sampled / (len(points) - 1)
    to_start, to_end = (first_ms - start_ms) / 1000, (end_ms - last_ms) / 1000
    if increase > 0 and first >= 0:
        # 2.42 looks for the zero point first and at the threshold second; since 2.52 it is the other way round, which
        # differs only for a young counter that is sparser than the range.
        to_start = min(to_start, sampled * (first / increase))
    covered = sampled + _reach(to_start, step) + _reach(to_end, step)
    return increase * (covered / sampled / ((end_ms - start_ms) / 1000))


def _reach(distance: float, step: float) -> float:
    return distance if distance < step * _EXTRAPOLATE_WITHIN else step / 2


def slope(points: Sequence[Point]) -> float | None:
    """Least-squares slope per second (``deriv``); None with fewer than two points, NaN for a constant infinity."""
    if len(points) < 2:
        return None
    first_ms, first = points[0]
    if all(value == first for _, value in points):
        return math.nan if math.isinf(first) else 0.0
    xs = [(at - first_ms) / 1000 for at, _ in points]
    ys = [value for _, value in points]
    n, sum_x, sum_y = len(points), _sum(xs), _sum(ys)
    covariance = _sum([x * y for x, y in zip(xs, ys, strict=True)]) - sum_x * sum_y / n
    return covariance / (_sum([x * x for x in xs]) - sum_x * sum_x / n)


def _sum(values: Sequence[float]) -> float:
    """Exactly rounded where Prometheus compensates (Kahan); NaN and infinities as IEEE 754 adds them."""
    try:
        return math.fsum(values)
    except (OverflowError, ValueError):
        return sum(values)


def quantile(q: float, buckets: Mapping[float, float]) -> float:
    """``histogram_quantile`` of cumulative ``buckets``: upper bound to count (or rate).

    Linear within a bucket, from 0 in the lowest one. In the +Inf bucket it is the highest finite bound. NaN without a
    +Inf bucket, with fewer than two buckets and without observations.
    """
    bounds = sorted(buckets)
    if len(bounds) < 2 or bounds[-1] != math.inf:
        return math.nan
    # Scrapes of a histogram that is being written can show a bucket below its predecessor: ensureMonotonic.
    counts = list(accumulate((buckets[bound] for bound in bounds), _at_least))
    rank = q * counts[-1]
    if not counts[-1] or math.isnan(rank):
        return math.nan
    index = bisect_left(counts, rank, hi=len(counts) - 1)
    if index == len(counts) - 1:
        return bounds[-2]
    if index == 0 and bounds[0] <= 0:
        return bounds[0]
    lower, below = (bounds[index - 1], counts[index - 1]) if index else (0.0, 0.0)
    inside = counts[index] - below
    return lower + (bounds[index] - lower) * ((rank - below) / inside) if inside else math.nan


def _at_least(highest: float, count: float) -> float:
    return highest if count < highest else count
