"""Requests as they are given: what is read, and what is refused in one sentence."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sre_platform.kernel.errors import Malformed
from sre_platform.rollouts.canary import judge
from sre_platform.rollouts.domain import Request, Verdict
from sre_platform.rollouts.reading import comparable, from_csv, from_rows

HEADER = "time,status,latency_ms"


def test_columns_stand_in_any_order_and_rows_too() -> None:
    lines = ["\ufefflatency_ms, time ,status\n", "12.5,3,200\n", "\n", "7,1.5,503\n"]
    assert from_csv(lines) == [Request(3, 200, 12.5), Request(1.5, 503, 7)]


def test_a_header_alone_is_no_request() -> None:
    assert from_csv([HEADER]) == []


@pytest.mark.parametrize("header", ["", "1,200,5", "time,status,latency_s", "time,status", f"{HEADER},path"])
def test_without_the_header_nothing_is_read(header: str) -> None:
    with pytest.raises(Malformed, match="first line has to name the columns"):
        from_csv([header, "1,200,5"])


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("1,200", "2 columns"),
        ("x,200,5", "no number"),
        ("1,200,", "no number"),
        ("nan,200,5", "time that is not in seconds"),
        ("1763755200000,200,5", "time that is not in seconds"),
        ("1,200,nan", "latency"),
        ("1,200,inf", "latency"),
        ("1,200,-1", "latency"),
        ("1,0,5", "status"),
        ("1,600,5", "status"),
        ("1,200.5,5", "status"),
        ("1,nan,5", "status"),
    ],
)
def test_a_row_that_cannot_be_right_is_refused(row: str, says: str) -> None:
    with pytest.raises(Malformed, match=f"Line 2 .*{says}"):
        from_csv([HEADER, row])


@pytest.mark.parametrize(
    "rows", [None, {}, "x", [1], [[1, 200]], [[1, True, 5]], [[1, 200, None]], [[10**400, 200, 5]]]
)
def test_rows_of_json_are_refused_alike(rows: object) -> None:
    with pytest.raises(Malformed):
        from_rows(rows, "canary")


@pytest.mark.parametrize("factor", [1000, 0.001])
def test_units_that_differ_are_refused(factor: float) -> None:
    baseline = [Request(n, 200, 10 + n % 100) for n in range(1000)]
    canary = [request._replace(latency_ms=request.latency_ms * factor) for request in baseline]
    with pytest.raises(Malformed, match="have to be in milliseconds"):
        comparable(baseline, canary)


def test_timeouts_are_no_other_unit() -> None:
    baseline = [Request(n / 20, 200, 5 + n % 100) for n in range(1000)]
    stuck = [request._replace(latency_ms=5000) for request in baseline]
    assert comparable(baseline, stuck) is None  # it raises what it does not take
    assert comparable(baseline, []) is None
    assert judge(baseline, stuck).verdict is Verdict.FAIL


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        read = from_csv([HEADER, *text.splitlines(keepends=True)])
    except Malformed as error:
        assert str(error)
    else:
        assert all(isinstance(request, Request) for request in read)


json_values = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=20)


@given(json_values)
def test_any_json_is_read_or_refused(value: object) -> None:
    try:
        from_rows(json.loads(json.dumps(value)), "canary")
    except Malformed as error:
        assert str(error)
