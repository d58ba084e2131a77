"""Lines to templates: linear in their length, bounded in their number, and never an exception."""

import json
from datetime import UTC, datetime, timedelta
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sre_platform.diagnosis.parsers.log_templates import (
    MAX_LINE,
    MAX_TEMPLATE,
    MAX_TEMPLATES,
    OTHER,
    mask,
    read,
    templates,
)

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
EARLIER = NOON - timedelta(hours=1)


@pytest.mark.parametrize(
    ("line", "level", "template", "at"),
    [
        (
            '{"time":"2026-11-21T12:00:00.5Z","level":"WARN","msg":"slow 5ms"}',
            "warning",
            "slow <*>",
            NOON + timedelta(seconds=0.5),
        ),
        ('{"ts":1795262400.25,"level":"error","message":"x"}', "error", "x", NOON + timedelta(seconds=0.25)),
        ('{"ts":1795262400250,"lvl":"fatal","event":"x"}', "critical", "x", NOON + timedelta(seconds=0.25)),
        ('{"timestamp":"2026-11-21T13:00:00+01:00","severity":"Debug","msg":"x"}', "debug", "x", NOON),
        ('{"b":1,"a":2}', "", "a b", None),
        ('{"time":true,"msg":"x","level":5}', "", "x", None),
        ('{"time":1e400,"msg":"x"}', "", "x", None),
        ("2026/11/21 12:00:00 http: panic serving 10.0.0.1:80: x", "critical", "http: panic serving <*> x", NOON),
        ("2026-11-21 12:00:00,250 ERROR exhausted", "error", "ERROR exhausted", NOON + timedelta(seconds=0.25)),
        ("[INFO] 2026-11-21T12:00:00+0000 id=a1b2 said 'no way'", "info", "id=<*> said <*>", NOON),
        ("2026-99-99T12:00:00Z x", "", "x", None),
        ("no time at all", "", "no time at all", None),
        ('{"not json', "", '{"not json', None),
    ],
)
def test_lines_as_loggers_write_them(line, level, template, at):
    seen = read(line)
    assert (seen.level, seen.template, seen.at) == (level, template, at)


def test_an_empty_line_is_none():
    assert read("  \r") is None


def test_lines_without_a_time_belong_to_the_one_before_them():
    lines = ["goroutine 5 [running]:", "2026-11-21T12:00:00Z panic: boom", "goroutine 7 [running]:", "main.f()"]
    total, found = templates(lines, EARLIER, NOON)
    assert total == 3
    assert {t.template for t in found} == {"panic: boom", "goroutine <*> [running]:", "main.f()"}


def test_the_most_frequent_since_the_change_come_first_and_equal_ones_by_name():
    def at(minutes, says):
        return f"{(NOON + timedelta(minutes=minutes)).isoformat()} {says}"

    lines = [at(-5, "c"), at(-5, "c"), at(-6, "b"), at(1, "a"), at(2, "d"), at(3, "d"), at(-61, "old")]
    total, found = templates(lines, EARLIER, NOON)
    assert [(t.template, t.count, t.count_before) for t in found] == [
        ("d", 2, 0),
        ("a", 1, 0),
        ("c", 0, 2),
        ("b", 0, 1),
    ]
    assert (total, found[2].first_at) == (6, NOON - timedelta(minutes=5))


def words(number):
    return "".join(chr(97 + int(digit)) for digit in str(number))


def test_there_are_never_more_templates_than_the_bound():
    lines = [f"2026-11-21T12:00:00Z {words(n)}" for n in range(3 * MAX_TEMPLATES)]
    total, found = templates(lines, EARLIER, NOON)
    assert (total, len(found)) == (3 * MAX_TEMPLATES, MAX_TEMPLATES + 1)
    assert (found[0].template, found[0].count) == (OTHER, 2 * MAX_TEMPLATES)
    assert sum(t.count for t in found) == total


def test_a_long_line_is_cut():
    seen = read("x " * MAX_LINE)
    assert len(seen.template) <= MAX_TEMPLATE
    assert len(seen.text) <= MAX_LINE


@pytest.mark.parametrize("unit", ["a", '"', "'", "1", "a.", " ", "-", '"a', "\\", "[", "é"])
def test_it_takes_time_in_proportion_to_the_length(unit):
    def took(length):
        began = process_time()
        mask(unit * (length // len(unit)))
        return process_time() - began

    took(1000)
    assert min(took(400_000) for _ in range(3)) < 2.0, "half a minute, if it were the square of that"


@given(st.lists(st.text(alphabet=st.sampled_from("{}[]\":,\\ 0129-TZ+/.'aé\x00\ud800\n"), max_size=200), max_size=20))
def test_no_line_raises(lines):
    total, found = templates([*lines, "2026-11-21T12:00:00Z x", *lines], EARLIER, NOON)
    assert sum(t.count + t.count_before for t in found) == total >= 1


KEYS = st.sampled_from(["time", "ts", "@timestamp", "level", "severity", "msg", "message", "error", "x"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=3),
)


@given(st.dictionaries(KEYS, VALUES, max_size=6))
def test_no_structured_line_raises(fields):
    line = json.dumps(fields)
    templates([line, "2026-11-21T12:00:00Z x", line], EARLIER, NOON)
    assert read(line).template is not None
    assert json.dumps([t.as_json() for t in templates([line], EARLIER, NOON)[1]])
