"""Counters become requests: nothing is lost, nothing invented, and what was never answered is slow."""

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from sre_platform.catalog.routes import CanaryLimits
from sre_platform.clients.traffic import Counts, Observed
from sre_platform.rollouts.expanding import (
    MOST_REQUESTS,
    SLOWER_THAN_ALL_MS,
    WAITS_SAMPLES,
    Sample,
    Slice,
    between,
    requests,
)

EMPTY = Slice()


def counts(codes, *buckets):
    return Counts(codes, buckets)


def test_what_was_served_between_two_readings():
    before = counts({"2": 10, "5": 1}, (10.0, 8), (100.0, 11), (inf, 11))
    after = counts({"2": 15, "4": 2, "5": 3}, (10.0, 12), (100.0, 18), (inf, 20))
    served = between(Observed(before, before), Observed(before, after))
    assert served is not None
    assert (served[0].codes, list(served[0].latencies)) == ({}, [])
    assert served[1] == Slice({"2": 5, "4": 2, "5": 2}, [(10.0, 4), (100.0, 3), (SLOWER_THAN_ALL_MS, 2)])


@pytest.mark.parametrize("after", [counts({"2": 9}, (inf, 10)), counts({"2": 10}, (inf, 9)), counts({}, (inf, 10))])
def test_counters_that_went_back_say_nothing(after):
    before = counts({"2": 10}, (inf, 10))
    assert between(Observed(before, before), Observed(before, after)) is None
    assert between(Observed(before, before), Observed(after, before)) is None


def test_codes_wait_for_latencies_that_come_a_flush_later():
    samples = [Sample(1.0, EMPTY, Slice({"2": 2, "5": 1})), Sample(2.0, EMPTY, Slice({}, [(10.0, 3)]))]
    assert requests(samples) == ([], [(2.0, 500, 10.0), (2.0, 200, 10.0), (2.0, 200, 10.0)])


def test_what_was_never_answered_is_slower_than_every_limit():
    gone = [Sample(float(n), EMPTY, EMPTY) for n in range(1, WAITS_SAMPLES + 1)]
    _, canary = requests([Sample(0.0, EMPTY, Slice({"5": 2})), *gone])
    assert canary == [(float(WAITS_SAMPLES), 500, SLOWER_THAN_ALL_MS)] * 2
    with pytest.raises(ValidationError):
        CanaryLimits(p99_ms=SLOWER_THAN_ALL_MS)


def piece(good, bad, quick, slow):
    """A version within one sample: codes and latencies that need not be of the same requests."""
    return Slice({"2": good, "5": bad}, [(10.0, quick), (850.0, slow)])


@given(st.lists(st.tuples(*[st.integers(0, 9)] * 8), max_size=12))
def test_no_code_is_lost_or_invented(numbers):
    samples = [Sample(float(n), piece(*eight[:4]), piece(*eight[4:])) for n, eight in enumerate(numbers)]
    samples += [Sample(100.0 + n, EMPTY, EMPTY) for n in range(WAITS_SAMPLES + 1)]
    for side, found in zip(("baseline", "canary"), requests(samples), strict=True):
        served = [getattr(sample, side) for sample in samples]
        assert len(found) == sum(piece.total for piece in served)
        assert sum(request.status >= 500 for request in found) == sum(piece.failed for piece in served)
        assert [request.time for request in found] == sorted(request.time for request in found)


def test_only_the_newest_are_taken_when_there_are_too_many():
    half = Slice({"2": MOST_REQUESTS // 2}, [(10.0, MOST_REQUESTS // 2)])
    baseline, canary = requests([Sample(float(n), half, EMPTY) for n in range(5)])
    assert (len(baseline), {request.time for request in baseline}, canary) == (MOST_REQUESTS, {3.0, 4.0}, [])
