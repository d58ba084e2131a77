"""Counters, sampled every second, as the requests that the analysis takes. Pure.

A bucket says of its requests only that none was slower than its bound: all get the bound as their latency, and are
tied. Counters know codes and latencies apart from each other, and so does the analysis, so any pairing will do.
"""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import isinf

from sre_platform.clients.traffic import Counts, Observed
from sre_platform.rollouts.domain import Request

# Histograms of proxies come up to a flush later than their counters. A code without a latency for longer than this many
# samples belongs to a request that was never answered.
WAITS_SAMPLES = 3
# For what is above the last bound, or was never answered: slower than every limit.
SLOWER_THAN_ALL_MS = 60_000.0
# Requests that one analysis takes, the newest: 200,000 were judged in 5 s on a loaded machine of two cores, and as long
# nobody looks whether the canary has to go at once.
MOST_REQUESTS = 100_000
STATUS = {"1": 101, "2": 200, "3": 302, "4": 404, "5": 500}


@dataclass(frozen=True)
class Slice:
    """One version within one sample: requests by status class, and by the upper bound of their latency in ms."""

    codes: Mapping[str, int] = field(default_factory=dict)
    latencies: Sequence[tuple[float, int]] = ()

    @property
    def total(self) -> int:
        return sum(self.codes.values())

    @property
    def failed(self) -> int:
        return self.codes.get("5", 0)


@dataclass(frozen=True)
class Sample:
    """Both versions between two readings; ``time`` in seconds on any clock."""

    time: float
    baseline: Slice
    canary: Slice


def between(before: Observed, after: Observed) -> tuple[Slice, Slice] | None:
    """What was served between two readings of the counters; None when one went back: something has been restarted."""
    slices = [_slice(getattr(before, name), getattr(after, name)) for name in ("baseline", "canary")]
    return (slices[0], slices[1]) if slices[0] and slices[1] else None


def _slice(before: Counts, after: Counts) -> Slice | None:
    codes = {code: after.codes.get(code, 0) - before.codes.get(code, 0) for code in {*before.codes, *after.codes}}
    old, new = _apart(before.buckets), _apart(after.buckets)
    latencies = [(bound, new.get(bound, 0) - old.get(bound, 0)) for bound in sorted({*old, *new})]
    if any(count < 0 for count in codes.values()) or any(count < 0 for _, count in latencies):
        return None
    return Slice({k: v for k, v in sorted(codes.items()) if v and k in STATUS}, [one for one in latencies if one[1]])


def _apart(cumulative: Sequence[tuple[float, int]]) -> dict[float, int]:
    """Buckets that count up to their bounds as buckets that count what lies between them."""
    rows = [(0.0, 0), *cumulative]
    return {_finite(bound): count - before for (_, before), (bound, count) in pairwise(rows)}


def _finite(bound: float) -> float:
    return SLOWER_THAN_ALL_MS if isinf(bound) else bound


def requests(samples: Sequence[Sample]) -> tuple[list[Request], list[Request]]:
    """The baseline's and the canary's requests, the newest MOST_REQUESTS of both together. O(requests)."""
    newest = _newest(samples)
    return list(_of([(s.time, s.baseline) for s in newest])), list(_of([(s.time, s.canary) for s in newest]))


def _newest(samples: Sequence[Sample]) -> Sequence[Sample]:
    room = MOST_REQUESTS
    for place in range(len(samples) - 1, -1, -1):
        room -= samples[place].baseline.total + samples[place].canary.total
        if room < 0:
            return samples[place + 1 :]
    return samples


def _of(slices: Sequence[tuple[float, Slice]]) -> Iterator[Request]:
    """Codes wait for latencies, 5xx first, so that what was never answered does not hide them."""
    waiting: deque[tuple[int, int]] = deque()  # (number of the sample, status)
    for number, (time, piece) in enumerate(slices):
        failed_first = sorted(piece.codes.items(), reverse=True)
        waiting.extend((number, STATUS[code]) for code, count in failed_first for _ in range(count))
        for bound, count in piece.latencies:
            for _ in range(min(count, len(waiting))):
                yield Request(time, waiting.popleft()[1], bound)
        while waiting and waiting[0][0] <= number - WAITS_SAMPLES:
            yield Request(time, waiting.popleft()[1], SLOWER_THAN_ALL_MS)
