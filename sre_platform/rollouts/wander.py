"""How sure a difference is when each version may also wander on its own, as its caches, clients and hosts do. Pure.

What a block of time shows is the common difference, plus chance, plus what one version has for itself in that block: an
AR(1) of unknown strength and memory. Given these two, the Kalman filter (Harvey 1989, chapter 3) yields the difference
and its error. Unknown, they are averaged over a grid, and each pair counts by how well it foretells every block from
the blocks before it (Bayesian model averaging, Hoeting et al. 1999). So the series' own past says how far it strays
without a cause, and a difference that has merely drifted to where it is proves little.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from math import exp, log, sqrt
from statistics import NormalDist
from typing import NamedTuple

from sre_platform.rollouts.strata import Block

Habit = tuple[float, float]  # strength and memory of a version's own wandering
Belief = Mapping[Habit, float]  # how likely each is; the sum is 1

# Variance of the wandering in units of an average block's chance. A hundredth of it adds up to as much as chance within
# a minute when its memory is long; 400 are 20 % at a thousand requests/s of narrow latencies.
STRENGTHS = (0.01, 0.06, 0.36, 2.0, 12.0, 72.0, 400.0)
# What is left of it in the next block: gone within two seconds, or not within a minute.
MEMORIES = (0.5, 0.8, 0.9, 0.95, 0.98)
# Chance, too, may be larger than shuffling says, when requests come in clusters: by these factors of its variance.
CLUSTERS = (1.0, 1.4, 2.0, 3.0, 5.0, 9.0, 18.0, 36.0)
# Before anything is seen. Measured on 400 canaries each: with 0.8, breaches at 50 requests/s are found in 98.5 %; with
# 0.95, a third more of the healthy ones that wander on their own fail.
STEADY, UNCLUSTERED = 0.9, 0.6
WARNING = 0.1
# The slowest share of the requests says about a shift of all of them: share to the power of this. It is 1 for Pareto's
# tails, and about 0.5 for lognormal ones.
TAIL_POWER = 0.75
LEAST_P, MOST_P = 1e-300, 1 - 1e-12  # what the normal curve's inverse can take

_NORMAL = NormalDist()
_EACH = (1 - STEADY) / len(STRENGTHS) / len(MEMORIES)
UNINFORMED: Belief = {(0.0, 0.0): STEADY} | dict.fromkeys(product(STRENGTHS, MEMORIES), _EACH)


class _Series(NamedTuple):
    """By block: the difference, in standard deviations of an average block's chance, and the variance of its chance."""

    differences: list[float]
    chances: list[float]


class _Explanation(NamedTuple):
    habit: Habit
    log_weight: float
    z: float  # of the common difference


def certainty(blocks: Sequence[Block], belief: Belief = UNINFORMED, top: float = 1.0) -> float:
    """The normal deviate that is as unlikely as a common difference of none or less.

    ``blocks`` hold the slowest ``top`` of the requests, in the order of time; ``belief`` is about all requests.
    """
    found = _weighted(_explanations(blocks, belief, top))
    total = sum(weight for weight, _ in found)
    if not total:
        return 0.0
    none = sum(weight * _NORMAL.cdf(-explanation.z) for weight, explanation in found) / total
    return -_NORMAL.inv_cdf(min(max(none, LEAST_P), MOST_P))


def learnt(blocks: Sequence[Block], belief: Belief = UNINFORMED) -> Belief:
    """What to believe after these blocks of all requests; unchanged when they show nothing."""
    found = _weighted(_explanations(blocks, belief, 1.0))
    total = sum(weight for weight, _ in found)
    if not total:
        return belief
    after = dict.fromkeys(belief, 0.0)
    for weight, explanation in found:
        after[explanation.habit] += weight / total
    return after


def warned(past: Belief) -> Belief:
    """Before anything is seen, but after one version's ``past``: a tenth more for what it says, at the cost of steady.

    What wandered there may be shared by both versions, and then it cancels: so it is a warning, and no more. It never
    makes a canary more certain to be slower than without a past.
    """
    likely = {habit: weight + WARNING * past.get(habit, 0.0) for habit, weight in UNINFORMED.items()}
    likely[0.0, 0.0] -= WARNING
    return likely


def carried(belief: Belief, ratio: float) -> Belief:
    """The belief in units of another series' chance, whose variance is ``ratio`` times smaller."""
    found = dict.fromkeys(belief, 0.0)
    for (strength, memory), weight in belief.items():
        target = strength * ratio
        nearest = min(STRENGTHS, key=lambda one: abs(log(one / target))) if target else 0.0
        found[nearest, memory] += weight
    return found


def information(blocks: Sequence[Block]) -> float:
    """What an average block says about a difference, in requests."""
    used = [block.weight for block in blocks if block.weight]
    return sum(used) / len(used) if used else 0.0


def _weighted(explanations: Iterator[_Explanation]) -> list[tuple[float, _Explanation]]:
    found = list(explanations)
    most = max((explanation.log_weight for explanation in found), default=0.0)
    return [(exp(explanation.log_weight - most), explanation) for explanation in found]


def _explanations(blocks: Sequence[Block], belief: Belief, top: float) -> Iterator[_Explanation]:
    series = _series(blocks)
    if series is None:
        return
    free = len(series.differences) - 1
    for habit, likely in belief.items():
        if not likely:
            continue
        spread, misfit, information, difference = _filtered(series, habit, top**TAIL_POWER)
        for factor in CLUSTERS:
            prior = likely * (UNCLUSTERED if factor == 1 else (1 - UNCLUSTERED) / (len(CLUSTERS) - 1))
            surprise = free * log(factor) + spread + log(information) + misfit / factor
            yield _Explanation(habit, log(prior) - surprise / 2, difference * sqrt(information / factor))


def _series(blocks: Sequence[Block]) -> _Series | None:
    used = [block for block in blocks if block.weight]
    weight, variance = sum(block.weight for block in used), sum(block.variance for block in used)
    if variance <= 0:
        return None
    average = weight / len(used)
    unit = sqrt(variance / weight / average)
    return _Series([block.excess / block.weight / unit for block in used], [average / block.weight for block in used])


def _filtered(series: _Series, habit: Habit, scale: float) -> tuple[float, float, float, float]:
    """Spread (log determinant), misfit, information on the common difference, and its estimate (de Jong 1991)."""
    strength, memory = habit[0] * scale, habit[1]
    uncertain, grows, kept = strength, strength * (1 - memory * memory), memory * memory
    state = per_difference = spread = squares = products = information = 0.0
    for seen, chance in zip(series.differences, series.chances, strict=True):
        variance = uncertain + chance
        missed, missed_by_one = seen - state, 1 - per_difference
        spread += log(variance)
        squares += missed * missed / variance
        products += missed * missed_by_one / variance
        information += missed_by_one * missed_by_one / variance
        gain = uncertain / variance
        state = memory * (state + gain * missed)
        per_difference = memory * (per_difference + gain * missed_by_one)
        uncertain = kept * uncertain * (1 - gain) + grows
    difference = products / information
    return spread, squares - products * difference, information, difference
