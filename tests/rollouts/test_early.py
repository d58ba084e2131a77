"""The rule that does not wait for the next look: how seldom it is wrong, and how soon it is right."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sre_platform.rollouts.early import ALPHA, BLOCKS, Second, alarm, first_needed

counts = st.integers(0, 500)


def walked(rng, seconds, rps, share, baseline, canary, since=0, most=0.008):
    """The second at which it raises the alarm, None when it never does. ``canary`` fails from ``since`` on."""
    seen: list[Second] = []
    for number in range(seconds):
        theirs = rng.binomialvariate(rps, share) if hasattr(rng, "binomialvariate") else _binomial(rng, rps, share)
        failing = canary if number >= since else baseline
        seen.append(
            Second(rps - theirs, _binomial(rng, rps - theirs, baseline), theirs, _binomial(rng, theirs, failing))
        )
        first = first_needed(number)
        if alarm(seen[first:], first, most):
            return number
    return None


def _binomial(rng, number, probability):
    return sum(rng.random() < probability for _ in range(number))


@pytest.mark.parametrize(("rps", "share"), [(20, 0.05), (40, 0.5), (100, 0.25)])
def test_a_healthy_canary_at_the_limit_is_hardly_ever_condemned(rps, share):
    """Both versions fail exactly as often as the limit allows: 400 walks of two minutes, of which 0.4 may be wrong."""
    rng = random.Random(7)
    wrong = sum(walked(rng, 120, rps, share, 0.008, 0.008) is not None for _ in range(400))
    assert wrong <= 3  # more than 3 of 400 have a chance of 0.07 % were ALPHA what is kept
    assert ALPHA == 0.001


def test_an_outage_of_both_versions_is_hardly_ever_held_against_the_canary():
    rng = random.Random(8)
    wrong = sum(walked(rng, 120, 40, 0.25, 0.3, 0.3) is not None for _ in range(200))
    assert wrong <= 2


@pytest.mark.parametrize(
    ("rps", "share", "canary", "within"),
    [(200, 0.05, 0.33, 5), (40, 0.05, 1.0, 6), (40, 0.5, 0.33, 5), (200, 0.25, 0.1, 5)],
)
@pytest.mark.parametrize("since", [0, 9, 55, 300])
def test_a_canary_that_fails_for_certain_is_found_within_seconds(rps, share, canary, within, since):
    """Whenever it begins: in the first second, at the end of a block, or after five good minutes."""
    rng = random.Random(9)
    found = [walked(rng, since + 60, rps, share, 0.001, canary, since) for _ in range(30)]
    assert all(at is not None and at >= since for at in found)
    assert sorted(at - since for at in found)[15] <= within


@given(st.lists(st.builds(Second, counts, st.just(0), counts, st.just(0)), min_size=1, max_size=60), st.integers(0, 50))
def test_without_a_5xx_there_is_no_alarm(seconds, block):
    assert alarm(seconds, block * max(BLOCKS)) is None


@given(st.integers(0, 200), st.integers(1, 60), st.integers(0, 1))
def test_one_failed_request_is_no_alarm_however_few_there_are(others, place, failed):
    seconds = [Second(others, 0, 1, 0)] * (place - 1) + [Second(others, 0, 1, failed)]
    assert alarm(seconds, 0) is None


def test_there_need_not_be_a_baseline():
    assert alarm([Second(0, 0, 20, 20)], 0) is not None
    assert alarm([Second(20, 20, 20, 20)], 0) is None


def test_nothing_seen_is_no_alarm():
    assert alarm([], 0) is None


@pytest.mark.parametrize(("most", "raised"), [(0.008, True), (0.4, False)])
def test_the_limit_is_a_default(most, raised):
    """A third of the canary's requests fail, none of the baseline's."""
    found = alarm([Second(20, 0, 9, 3)] * 10, 0, most)
    assert (found is not None) == raised
    assert found is None or found.limit == most


def test_with_a_high_limit_a_canary_below_it_is_hardly_ever_condemned():
    rng = random.Random(11)
    wrong = sum(walked(rng, 60, 40, 0.5, 0.0, 0.1, most=0.2) is not None for _ in range(200))
    assert wrong == 0
