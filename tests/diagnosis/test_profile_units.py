"""Amounts and shares as pprof writes them."""

import pytest

from sre_platform.diagnosis.parsers.profile_units import (
    INT64_MIN,
    amount,
    int64,
    percentage,
    same_family,
    scale,
    wrapped,
)


@pytest.mark.parametrize(
    ("value", "unit", "wanted", "text"),
    [
        (0, "bytes", "auto", "0"),
        (1023, "bytes", "auto", "1023B"),
        (1536, "bytes", "auto", "1.50kB"),
        (-1536, "bytes", "auto", "-1.50kB"),
        (1536, "bytes", "MB", "0"),
        (15360, "bytes", "MB", "0.01MB"),
        (3, "MegaBytes", "kb", "3072kB"),
        (2**52, "b", "auto", "4PB"),
        (2**62, "b", "auto", "4096PB"),
        (999, "nanoseconds", "auto", "999ns"),
        (1_234_567, "ns", "auto", "1.23ms"),
        (59, "seconds", "auto", "59s"),
        (7200, "s", "auto", "2hrs"),
        (5, "s", "widgets", "5s"),
        (5, "s", "bytes", "5s"),
        (5, "μs", "auto", "5"),
        (12, "count", "auto", "12"),
        (12, "count", "count", "12"),
        (12, "widgets", "widgets", "12widgets"),
        (12, "", "", "12"),
        (1500, "milligcu", "auto", "1.50GCU"),
        (INT64_MIN, "bytes", "auto", "-9223372036854775808B"),
    ],
)
def test_amount(value, unit, wanted, text):
    assert amount(value, unit, wanted) == text


@pytest.mark.parametrize(
    ("value", "total", "text"),
    [
        (0, 10, "    0%"),
        (5, 0, "    0%"),
        (10, 10, "  100%"),
        (-10, 10, "  100%"),
        (9995, 10000, "  100%"),
        (9994, 10000, "99.94%"),
        (10005, 10000, "  100%"),
        (10006, 10000, "100.06%"),
        (1, 100, " 1.00%"),
        (1, 101, " 0.99%"),
        (1, 1000, "  0.1%"),
        (1, 3000, "0.033%"),
        (1, 10**7, "1e-05%"),
        (25, 10, "250.00%"),
    ],
)
def test_percentage(value, total, text):
    assert percentage(value, total) == text


def test_whole_numbers_of_64_bits():
    assert (int64(1.9), int64(-1.9), int64(2.0**63), int64(-(2.0**63)), int64(-1e30)) == (
        1, -1, INT64_MIN, INT64_MIN, INT64_MIN,
    )  # fmt: skip
    assert (wrapped(2**63), wrapped(-(2**63) - 1), wrapped(2**64 + 5), wrapped(-7)) == (INT64_MIN, 2**63 - 1, 5, -7)


def test_families():
    assert same_family("ns", "hours")
    assert same_family("widgets", "widgets")
    assert not same_family("ns", "bytes")
    assert scale(1, "s", "ns") == (1e9, "ns")
