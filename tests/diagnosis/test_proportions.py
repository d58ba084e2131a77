"""The statistics: against values that can be computed by hand, and against brute force."""

from math import comb, erfc, pi, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sre_platform.diagnosis.rca.proportions import cohens_h, holm, p_of_growth


def test_the_lady_tasting_tea():
    """Fisher's own example: all 4 of 4 cups right by chance is 1 in 70; 3 of 4 or better, 17 in 70."""
    assert p_of_growth(4, 4, 0, 4) == pytest.approx(1 / 70)
    assert p_of_growth(3, 4, 1, 4) == pytest.approx(17 / 70)


@given(st.integers(0, 25), st.integers(0, 25), st.integers(0, 25), st.integers(0, 25))
def test_it_is_the_tail_of_all_ways_to_deal(now, rest_now, before, rest_before):
    of_now, of_before = now + rest_now, before + rest_before
    marked, total = now + before, of_now + of_before
    ways = sum(comb(of_now, k) * comb(of_before, marked - k) for k in range(now, min(marked, of_now) + 1))
    assert p_of_growth(now, of_now, before, of_before) == pytest.approx(ways / comb(total, marked), abs=1e-12)


@pytest.mark.parametrize("times", [1, 1.001, 10**6, 10**14])
def test_large_counts_are_right_and_take_no_time(times):
    now, before, total = (int(count * times) for count in (50_100, 50_000, 100_000))
    z = 100 * sqrt(times) / sqrt(0.5 * 100_000)
    assert p_of_growth(now, total, before, total) == pytest.approx(0.5 * erfc(z / sqrt(2)), rel=0.01)
    assert p_of_growth(int(1.2 * now), total, before, total) < 1e-300
    assert p_of_growth(0, total, 0, total) == 1
    assert p_of_growth(total, total, total, total) == 1
    assert p_of_growth(0, 0, total, total) == 1


def test_holm_corrects_the_smallest_most_and_never_swaps_them():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


def test_effect_sizes():
    assert cohens_h(1, 0) == pytest.approx(pi)
    assert cohens_h(0.65, 0.45) == pytest.approx(0.40, abs=0.01)  # Cohen's table 6.2.2
    assert cohens_h(0.3, 0.3) == 0
