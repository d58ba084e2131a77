import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sre_platform.diagnosis.parsers.numbers import decimal, whole


@given(st.integers(-(10**19), 10**20 - 1))
def test_every_whole_number_that_is_printed(number):
    assert whole(str(number)) == number


@pytest.mark.parametrize("text", ["", "-", "+1", "--1", "1.0", "1_0", " 1", "\u0663", "\u00b2", "9" * 21])
def test_no_whole_number(text):
    assert whole(text) is None


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_decimal_that_is_printed(number):
    assert decimal(repr(number)) == number


@pytest.mark.parametrize(("text", "value"), [("0.25", 0.25), ("0,25", 0.25), ("12", 12.0), ("1e-3", 0.001)])
def test_decimals_with_point_or_comma(text, value):
    assert decimal(text) == value


@pytest.mark.parametrize("text", ["", "nan", "inf", "1e999", "1_0", "\u0663", "1.2.3", "1,234,567", "9" * 41])
def test_no_decimal(text):
    assert decimal(text) is None


@given(st.text())
def test_any_text_is_a_finite_number_or_none(text):
    assert whole(text) is None or isinstance(whole(text), int)
    assert decimal(text) is None or math.isfinite(decimal(text))
