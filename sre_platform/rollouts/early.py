"""Is the canary so bad that nobody has to wait for the next look? Asked every second. Pure.

Two bets have to be won at the same time. One is against "its share of 5xx keeps the limit", by the likelihood ratio of
each answer. The other is against "its requests fail no oftener than the baseline's of the same second", by that of
which version each 5xx came from; an outage that both share does not win it. Each bet is a mixture over how bad the
canary may be and starts with the stake 1, so that a healthy canary's stake ever exceeds 1/a with a probability of at
most a (Ville 1939), however often one looks. A bet that has run over good times is deep in debt when bad ones begin, so
new pairs begin every ten samples, for much traffic, and every minute, for little: pair k of either kind has
a = ALPHA / 2 * 6 / (pi k)^2, and all of them together never more than ALPHA.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log, log1p, pi

from sre_platform.rollouts.domain import DEFAULTS

# False alarms of a healthy canary over its whole walk: a tenth of the 1 % that the analysis as a whole is allowed.
ALPHA = 0.001
BLOCKS = (10, 60)  # samples, of which one a second is taken; the longest is a multiple of the others
# How bad a canary may be: shares of 5xx from a little above the limit to "it answers nothing".
SHARES = (0.02, 0.05, 0.15, 0.4, 0.98)
# How much oftener than the baseline's its requests may fail.
RATIOS = (3.0, 10.0, 100.0, 1000.0)
LEAST_5XX = 2  # one failed request is no evidence of anything, however few there were


@dataclass(frozen=True)
class Second:
    """What both versions answered within the time of one sample: all requests, and those with 5xx."""

    baseline: int
    baseline_5xx: int
    canary: int
    canary_5xx: int


@dataclass(frozen=True)
class Alarm:
    """Why the canary has to go at once, with the numbers that say so."""

    reason: str
    canary: float
    limit: float
    stakes: tuple[float, float]


def first_needed(newest: int) -> int:
    """The number of the oldest sample that counts when ``newest`` (from 0) is the number of the newest."""
    return newest - newest % max(BLOCKS)


def alarm(seconds: Sequence[Second], first: int, most: float = DEFAULTS.errors) -> Alarm | None:
    """Whether any pair of bets on the newest samples is won; the first of ``seconds`` is sample number ``first``.

    ``most`` is the share of 5xx that a canary may have.
    """
    newest = first + len(seconds) - 1
    for length in BLOCKS if seconds else ():
        block, since = divmod(newest, length)
        if found := _won(seconds[max(0, len(seconds) - since - 1) :], block, most):
            return found
    return None


def _won(seconds: Sequence[Second], block: int, most: float) -> Alarm | None:
    allowed = log(len(BLOCKS) * pi**2 / 6 * (block + 1) ** 2 / ALPHA)
    requests, failed = sum(s.canary for s in seconds), sum(s.canary_5xx for s in seconds)
    if failed < LEAST_5XX:
        return None
    beyond, worse = _beyond_limit(requests, failed, most), _worse_than_baseline(seconds)
    if beyond < allowed or (worse < allowed and any(s.baseline for s in seconds)):
        return None
    said = f"{failed} of {requests} requests to the canary failed with 5xx; at most {most:.1%} may."
    return Alarm(said, failed / requests, most, (exp(min(beyond, 700.0)), exp(min(worse, 700.0))))


def _beyond_limit(requests: int, failed: int, most: float) -> float:
    """The logarithm of the stake against a share of 5xx of ``most`` or less. O(1)."""
    won, lost = failed, requests - failed
    return _mixture([won * log(p / most) + lost * (log1p(-p) - log1p(-most)) for p in SHARES if p > most])


def _worse_than_baseline(seconds: Sequence[Second]) -> float:
    """The logarithm of the stake against "a 5xx is the canary's as often as a request is". O(seconds)."""
    return _mixture([sum(_ratio(second, ratio) for second in seconds) for ratio in RATIOS])


def _ratio(second: Second, ratio: float) -> float:
    if not (second.canary and second.baseline):
        return 0.0  # one version alone says nothing about a difference
    share = second.canary / (second.canary + second.baseline)
    claimed = ratio * share / (ratio * share + 1 - share)
    theirs = second.canary_5xx * log(claimed / share)
    return theirs + second.baseline_5xx * (log1p(-claimed) - log1p(-share))


def _mixture(stakes: Sequence[float]) -> float:
    """The logarithm of the mean of exp(stakes)."""
    top = max(stakes)
    return top + log(sum(exp(stake - top) for stake in stakes) / len(stakes))
