from datetime import UTC, datetime

import pytest

from sre_platform.kernel.clock import now, parse_rfc3339


@pytest.mark.parametrize(
    ("text", "microsecond"),
    [
        ("2026-11-21T12:19:52.123456789Z", 123456),  # Alertmanager writes nanoseconds, and leaves out trailing zeros
        ("2026-11-21T12:19:52.1234567Z", 123456),
        ("2026-11-21T12:19:52.12345Z", 123450),
        ("2026-11-21T12:19:52.1Z", 100000),
        ("2026-11-21T12:19:52Z", 0),
        ("2026-11-21T17:49:52.123456789+05:30", 123456),
    ],
)
def test_reads_what_alertmanager_writes_as_utc(text, microsecond):
    moment = parse_rfc3339(text)
    assert moment == datetime(2026, 11, 21, 12, 19, 52, microsecond, tzinfo=UTC)
    assert moment.tzinfo is UTC


def test_reads_the_year_one_that_stands_for_never():
    assert parse_rfc3339("0001-01-01T00:00:00Z").year == 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2026-11-21",
        "2026-11-21T12:19:52",
        "2026-13-21T12:19:52Z",
        "0001-01-01T00:00:00+05:00",
        "9999-12-31T23:59:59-05:00",
    ],
)
def test_everything_else_is_a_value_error(text):
    with pytest.raises(ValueError):
        parse_rfc3339(text)


def test_now_is_aware():
    assert now().tzinfo is UTC
