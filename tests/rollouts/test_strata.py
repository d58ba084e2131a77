"""The test behind the judgement, against what is counted by hand."""

from itertools import combinations
from math import comb
from statistics import fmean

import pytest

from sre_platform.rollouts.looks import looks
from sre_platform.rollouts.strata import Block, binomial_tail, difference


def block(canary: list[float], baseline: list[float]) -> Block:
    both = [*canary, *baseline]
    sums = (sum(canary), *(sum(score**power for score in both) for power in (1, 2, 3)))
    return Block(len(canary), len(baseline), *sums)


def test_the_moments_are_those_of_all_shuffles() -> None:
    scores = [0.0, 0.0, 1.0, 2.5, 4.0, 0.5]
    sums = [sum(chosen) for chosen in combinations(scores, 2)]
    mean = fmean(sums)
    one = block(scores[:2], scores[2:])
    assert one.expected == pytest.approx(mean)
    assert one.variance == pytest.approx(fmean((each - mean) ** 2 for each in sums))
    assert one.third_moment == pytest.approx(fmean((each - mean) ** 3 for each in sums))


def test_a_block_of_one_version_says_nothing() -> None:
    assert difference([block([5.0, 6.0], []), block([], [1.0])]).z == 0
    assert difference([]).z == 0


def test_levels_that_both_share_cancel() -> None:
    wild = [block([level, level + 1], [level, level + 1]) for level in (0, 50, 3, 900)]
    assert difference(wild).excess == 0


def test_the_same_excess_counts_less_when_it_comes_in_bursts() -> None:
    steady = [block([1.0, 0.0, 0.0], [0.0] * 3)] * 60
    alternating = (
        [block([1.0] * 3, [0.0] * 3)] * 10 + [block([0.0] * 3, [0.0] * 3)] * 40 + [block([0.0] * 3, [1.0] * 3)] * 2
    )
    assert difference(steady).z > difference(alternating).z > 0


def test_the_binomial_tail_by_hand() -> None:
    exact = sum(comb(10, hits) * 0.2**hits * 0.8 ** (10 - hits) for hits in range(5, 11))
    half = comb(10, 4) * 0.2**4 * 0.8**6 / 2
    assert binomial_tail(4, 10, 0.2) == pytest.approx(exact + half)
    assert binomial_tail(3, 3, 1.0) == 1.0


def test_the_looks_grow_for_a_minute_and_then_move_on() -> None:
    taken = list(looks(75.5))
    assert [(look.since, look.until) for look in taken] == [
        *((0, 10 * n) for n in range(1, 7)),
        (10, 70),
        (20, 75.5),
        (0, 75.5),
    ]
    assert [look.last for look in taken] == [False] * 8 + [True]
    assert taken[0].z > 6
    assert taken[5].z == 2.75


def test_ever_later_looks_are_ever_stricter_and_spend_no_more_than_their_allowance() -> None:
    later = [look.p for look in looks(36_000) if look.since > 0]
    assert later == sorted(later, reverse=True)
    assert sum(later) < 0.0035
