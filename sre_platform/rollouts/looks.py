"""When a running canary is looked at, and how sure a look has to be. Pure.

Looking every ten seconds at the 5 % level would condemn a healthy canary far more often than once in twenty. The first
minute's six looks share one allowance by the boundary of O'Brien and Fleming (1979), strict at first; all later ones,
however many, share another: look n gets 1 / ((n - 6) (n - 5)) of it, which never sums to more than the whole.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil, sqrt
from statistics import NormalDist

LOOK_S = 10
FIRST_LOOKS = 6  # a minute, within which a breach must be found
# False alarms of one test: the boundary's constant gives 0.35 % over six looks at growing data (400,000 random walks
# of six normal steps: 2.748), and the later looks together get as much again at the most.
BOUNDARY = 2.75
LATER = 0.0035

_NORMAL = NormalDist()


@dataclass(frozen=True)
class Look:
    """One look at the requests from ``since`` to ``until``, seconds from the start, failing at ``z`` and above."""

    since: float
    until: float
    z: float
    last: bool

    @property
    def p(self) -> float:
        """One-sided: how unlikely chance has to be."""
        return _NORMAL.cdf(-self.z)


def looks(duration_s: float) -> Iterator[Look]:
    """The looks, oldest first: at growing data for a minute, then at the last minute, and at the end at everything."""
    number = max(1, ceil(duration_s / LOOK_S))
    for n in range(1, number + 1):
        last = n == number
        until = duration_s if last else float(n * LOOK_S)
        since = max(0.0, float(n - FIRST_LOOKS) * LOOK_S)
        yield Look(since, until, _z(n), last and not since)
        if last and since:
            yield Look(0.0, until, _z(n), last)


def whole_looks(duration_s: float, after_s: float) -> Iterator[Look]:
    """The looks at a canary that still runs and that end later than ``after_s``: without the one at everything."""
    number = int(duration_s // LOOK_S)
    for n in range(int(after_s // LOOK_S) + 1, number + 1):
        yield Look(max(0.0, float(n - FIRST_LOOKS) * LOOK_S), float(n * LOOK_S), _z(n), n == number)


def _z(n: int) -> float:
    if n <= FIRST_LOOKS:
        return BOUNDARY * sqrt(FIRST_LOOKS / n)
    after = n - FIRST_LOOKS
    return -_NORMAL.inv_cdf(LATER / 2 / (after * (after + 1)))  # halved: the end is looked at twice
