"""Canary against baseline, block of time by block of time: a stratified permutation test that bursts cannot fool. Pure.

Both versions serve the same load at the same time, so within one short block their requests are exchangeable while the
canary is healthy, however much load and latency wander from block to block. The score test of Mantel and Haenszel sums
what the canary has above its share of each block. Its variance is that of shuffling requests within the blocks, or the
long-run variance of the blocks' own differences (Newey and West 1987) when that is certainly larger: bursts of one
version alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, lgamma, log, log1p, sqrt

# For bursts of one version that last some seconds: Newey and West's 4(n/100)^(2/9), rounded up, for 60 blocks.
LAGS = 4
# How far above the shuffled variance the long-run one comes by chance alone. It is above 1.65 in 5 % of 600 healthy
# minutes, which costs one breach in 250 at 50 requests/s; with 2.3, bursts of 5xx of one version still fail nobody.
CHANCE = 2.3
LEAST_SKEWNESS = 1e-6  # below it the correction is smaller than its rounding


@dataclass(slots=True)
class Block:
    """What one block of time holds: requests of each version, and sums of their scores."""

    canary: int = 0
    baseline: int = 0
    canary_sum: float = 0.0
    total_sum: float = 0.0
    squares: float = 0.0
    cubes: float = 0.0

    @property
    def weight(self) -> float:
        """What the block says about the difference of the means; nothing when one version is absent."""
        total = self.canary + self.baseline
        return self.canary * self.baseline / total if total else 0.0

    @property
    def expected(self) -> float:
        """The canary's share of the sum, were there no difference."""
        return self.total_sum * self.canary / (self.canary + self.baseline) if self.weight else 0.0

    @property
    def excess(self) -> float:
        return self.canary_sum - self.expected if self.weight else 0.0

    @property
    def variance(self) -> float:
        """Of the excess when the block's requests are shuffled."""
        total = self.canary + self.baseline
        if not self.weight or total < 2:
            return 0.0
        spread = max(0.0, self.squares - self.total_sum**2 / total)
        return self.weight / (total - 1) * spread

    @property
    def third_moment(self) -> float:
        """The third central moment of the excess when the block's requests are shuffled."""
        total = self.canary + self.baseline
        if not self.weight or total < 3:
            return 0.0
        mean = self.total_sum / total
        cubed = self.cubes - 3 * mean * self.squares + 2 * mean**2 * self.total_sum
        return self.weight * (self.baseline - self.canary) / (total - 1) / (total - 2) * cubed


@dataclass(frozen=True)
class Difference:
    """The canary's excess over all blocks, and the normal deviate that is as unlikely without a difference."""

    excess: float
    z: float


def difference(blocks: Sequence[Block]) -> Difference:
    """The score test over blocks in the order of time; no difference where nothing can be compared."""
    used = [block for block in blocks if block.weight]
    excess = sum(block.excess for block in used)
    variance, seen = sum(block.variance for block in used), _long_run(used)
    if seen > CHANCE * variance:
        variance = seen
    if variance <= 0:
        return Difference(excess, 0.0)
    skewness = sum(block.third_moment for block in used) / variance**1.5
    return Difference(excess, _unskewed(excess / sqrt(variance), skewness))


def _unskewed(z: float, skewness: float) -> float:
    """The normal deviate of a skewed one (Wilson and Hilferty 1931): a small canary's excess has a long upper tail."""
    if abs(skewness) < LEAST_SKEWNESS:
        return z
    base = max(0.0, 1 + skewness * z / 2)
    return float(6 / skewness * (base ** (1 / 3) - 1) + skewness / 6)


def _long_run(blocks: Sequence[Block]) -> float:
    """Newey and West's variance of the sum of excesses, around the common difference."""
    if len(blocks) <= LAGS + 1:
        return 0.0
    mean = sum(block.excess for block in blocks) / sum(block.weight for block in blocks)
    left = [block.excess - block.weight * mean for block in blocks]
    total = sum(e * e for e in left)
    for lag in range(1, LAGS + 1):
        total += 2 * (1 - lag / (LAGS + 1)) * sum(a * b for a, b in zip(left, left[lag:], strict=False))
    return total * len(blocks) / (len(blocks) - 1)


def binomial_tail(seen: int, trials: int, share: float) -> float:
    """P(at least ``seen`` of ``trials``), half of the exact hit counted (Lancaster's mid-p). ``share`` from 0 to 1."""
    if not 0 < share < 1:
        return 1.0 if seen <= trials * share else 0.0
    terms = (_binomial(hits, trials, share) for hits in range(seen + 1, trials + 1))
    return min(1.0, 0.5 * _binomial(seen, trials, share) + sum(terms))


def _binomial(hits: int, trials: int, share: float) -> float:
    ways = lgamma(trials + 1) - lgamma(hits + 1) - lgamma(trials - hits + 1)
    return exp(ways + hits * log(share) + (trials - hits) * log1p(-share))
