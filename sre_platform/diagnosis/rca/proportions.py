"""Whether a share grew, or only seems to: Fisher's exact test, Holm's correction, Cohen's effect size."""

from collections.abc import Sequence
from math import asin, erfc, exp, lgamma, sqrt

# Samples. A CPU profile of 5 s on 100 busy processors has 50,000.
EXACT_UP_TO = 200_000


def p_of_growth(now: int, of_now: int, before: int, of_before: int) -> float:
    """The chance of a share ``now``/``of_now`` at least this far above ``before``/``of_before`` when nothing changed.

    Fisher's exact test, one-sided: the hypergeometric tail (R. A. Fisher, 1934), right for counts of any size. Above
    EXACT_UP_TO the normal approximation, which is as good there and takes no time. Counts are not negative.
    """
    marked, total = now + before, of_now + of_before
    if total > EXACT_UP_TO:
        return _approximate(now, of_now, before, of_before)
    lowest_other = max(0, marked - of_now)
    ways = _log_choose(total, marked)
    tail = [
        _log_choose(of_now, marked - other) + _log_choose(of_before, other) - ways
        for other in range(lowest_other, before + 1)
    ]
    return min(1.0, sum(map(exp, tail)))


def _approximate(now: int, of_now: int, before: int, of_before: int) -> float:
    """The two-proportion z-test with pooled variance."""
    if not of_now or not of_before:
        return 1.0
    pooled = (now + before) / (of_now + of_before)
    deviation = sqrt(pooled * (1 - pooled) * (1 / of_now + 1 / of_before))
    return 0.5 * erfc((now / of_now - before / of_before) / deviation / sqrt(2)) if deviation else 1.0


def _log_choose(total: int, chosen: int) -> float:
    return lgamma(total + 1) - lgamma(chosen + 1) - lgamma(total - chosen + 1)


def holm(chances: Sequence[float]) -> list[float]:
    """The p-values of one family of tests, each corrected for there being so many (S. Holm, 1979). Same order."""
    corrected = [0.0] * len(chances)
    highest = 0.0
    for rank, index in enumerate(sorted(range(len(chances)), key=lambda i: chances[i])):
        highest = max(highest, min(1.0, (len(chances) - rank) * chances[index]))
        corrected[index] = highest
    return corrected


def cohens_h(share: float, before: float) -> float:
    """The size of the difference of two shares (0..1), the same everywhere on the scale: 0.2 small, 0.5 medium.

    J. Cohen, Statistical Power Analysis for the Behavioral Sciences (1988), chapter 6.
    """
    return 2 * asin(sqrt(min(1.0, share))) - 2 * asin(sqrt(min(1.0, before)))
