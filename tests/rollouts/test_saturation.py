"""How full the canary is: within the catalog's limits, and what cannot be measured never passes."""

import pytest

from sre_platform.catalog.routes import Saturation
from sre_platform.rollouts.domain import Verdict
from sre_platform.rollouts.saturation import FEWEST_REQUESTS, checks

SERVED = (1000, 100)
GAUGE = Saturation(metric="goroutines", most=100)
RISE = Saturation(metric="goroutines", rise=0.5)
COST = Saturation(metric="cpu_seconds", kind="per_request", rise=0.5)


@pytest.mark.parametrize(
    ("limit", "before", "now", "served", "verdict"),
    [
        (GAUGE, ({}, {}), ({"goroutines": 10}, {"goroutines": 100}), SERVED, "pass"),
        (GAUGE, ({}, {}), ({"goroutines": 10}, {"goroutines": 101}), SERVED, "fail"),
        (GAUGE, ({}, {}), ({}, {"goroutines": 10}), SERVED, "pass"),
        (GAUGE, ({}, {}), ({"goroutines": 10}, {}), SERVED, "inconclusive"),
        (RISE, ({}, {}), ({"goroutines": 10}, {"goroutines": 15}), SERVED, "pass"),
        (RISE, ({}, {}), ({"goroutines": 10}, {"goroutines": 16}), SERVED, "fail"),
        (RISE, ({}, {}), ({}, {"goroutines": 1}), SERVED, "inconclusive"),
        (COST, ({"cpu_seconds": 5}, {"cpu_seconds": 1}), ({"cpu_seconds": 15}, {"cpu_seconds": 2}), SERVED, "pass"),
        (COST, ({"cpu_seconds": 5}, {"cpu_seconds": 1}), ({"cpu_seconds": 15}, {"cpu_seconds": 3}), SERVED, "fail"),
        (
            COST,
            ({"cpu_seconds": 5}, {"cpu_seconds": 9}),
            ({"cpu_seconds": 15}, {"cpu_seconds": 3}),
            SERVED,
            "inconclusive",
        ),
        (COST, ({}, {}), ({"cpu_seconds": 15}, {"cpu_seconds": 3}), SERVED, "inconclusive"),
        (
            COST,
            ({"cpu_seconds": 5}, {"cpu_seconds": 1}),
            ({"cpu_seconds": 15}, {"cpu_seconds": 1.1}),
            (1000, FEWEST_REQUESTS - 1),
            "inconclusive",
        ),
    ],
)
def test_limits(limit, before, now, served, verdict):
    [check] = checks([limit], before, now, served)
    assert check.verdict is Verdict(verdict)
    assert check.name == limit.metric


def test_the_lower_of_two_limits_counts():
    both = Saturation(metric="goroutines", most=12, rise=0.5)
    [check] = checks([both], ({}, {}), ({"goroutines": 10}, {"goroutines": 13}), SERVED)
    assert (check.limit, check.verdict) == (12, Verdict.FAIL)


def test_a_limit_that_says_nothing_passes_nothing():
    [check] = checks([Saturation(metric="goroutines")], ({}, {}), ({"goroutines": 1}, {"goroutines": 1}), SERVED)
    assert check.verdict is Verdict.INCONCLUSIVE
