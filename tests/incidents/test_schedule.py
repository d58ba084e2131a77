# ruff: noqa: DTZ001 times on a wall, without a zone
"""Our occurrences against python-dateutil's, which walks from the first one on."""

from datetime import datetime, timedelta

import pytest
from dateutil.rrule import rrulestr
from hypothesis import given, settings
from hypothesis import strategies as st

from sre_platform.incidents.schedule import LONGEST_TEXT, newest_first, parse
from sre_platform.kernel.errors import Malformed

FIRST = datetime(2026, 1, 5, 2, 30)
BACK = timedelta(days=800)
WEEKDAY = st.sampled_from(["MO", "TU", "WE", "TH", "FR", "SA", "SU"])


def some(items, most=3):
    return st.lists(items, min_size=1, max_size=most, unique=True).map(lambda found: ",".join(map(str, found)))


def days(ordinals):
    """All with a number or all without: dateutil takes a mixture for "both", RFC 5545 for "either"."""
    counted = some(st.builds(lambda number, day: f"{number}{day}", st.sampled_from(ordinals), WEEKDAY))
    return st.one_of(some(WEEKDAY), counted) if ordinals else some(WEEKDAY)


MONTHDAY = some(st.sampled_from([1, 2, 13, 28, 29, 30, 31, -1, -5, -31]))
OPTIONAL = {
    "DAILY": {"BYDAY": days([]), "BYMONTHDAY": MONTHDAY, "BYMONTH": some(st.integers(1, 12))},
    "WEEKLY": {"BYDAY": days([]), "WKST": WEEKDAY, "BYMONTH": some(st.integers(1, 12))},
    "MONTHLY": {"BYDAY": days([1, 2, 4, 5, -1, -2]), "BYMONTHDAY": MONTHDAY, "BYMONTH": some(st.integers(1, 12))},
    "YEARLY": {"BYDAY": days([1, 2, 5, -1, -3]), "BYMONTHDAY": MONTHDAY, "BYMONTH": some(st.integers(1, 12))},
}
ALWAYS = {
    "INTERVAL": st.integers(1, 5),
    "BYHOUR": some(st.integers(0, 23)),
    "BYMINUTE": some(st.integers(0, 59), 2),
    "UNTIL": st.sampled_from(["20261231T235959", "20270303T023000"]),
}


@st.composite
def rules(draw):
    freq = draw(st.sampled_from(sorted(OPTIONAL)))
    fields = draw(st.fixed_dictionaries({}, optional=ALWAYS | OPTIONAL[freq]))
    if freq in ("MONTHLY", "YEARLY") and draw(st.booleans()):
        fields["BYSETPOS"] = draw(some(st.sampled_from([1, 2, -1])))
        if freq == "YEARLY":
            fields.setdefault("BYDAY", "MO")
    return ";".join([f"FREQ={freq}", *(f"{name}={value}" for name, value in fields.items())])


def ours(text, first, at, back=BACK):
    return [moment for moment in newest_first(parse(text), first, at, back) if at - back <= moment <= at]


def theirs(text, first, at, back=BACK):
    endless = text if "UNTIL" in text else f"{text};UNTIL={at:%Y%m%dT%H%M%S}"
    found = rrulestr(endless + ";BYSECOND=0", dtstart=first).between(at - back, at, inc=True)
    return sorted(set(found), reverse=True)


# A rule that never comes true takes dateutil through all years to 9999: seconds, hence no deadline and few examples.
@settings(max_examples=150, deadline=None)
@given(rules(), st.integers(0, 900))
def test_as_dateutil_finds_them(text, days_on):
    at = FIRST + timedelta(days=days_on, hours=1)
    assert ours(text, FIRST, at) == theirs(text, FIRST, at), text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("FREQ=WEEKLY;BYDAY=SU", ["2027-02-28 02:30", "2027-02-21 02:30"]),
        ("FREQ=WEEKLY;INTERVAL=2", ["2027-03-01 02:30", "2027-02-15 02:30"]),
        ("FREQ=MONTHLY;BYDAY=-1FR;BYHOUR=22;BYMINUTE=0", ["2027-02-26 22:00", "2027-01-29 22:00"]),
        ("RRULE:FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1", ["2027-02-26 02:30", "2027-01-29 02:30"]),
        ("freq=yearly", ["2027-01-05 02:30", "2026-01-05 02:30"]),
        ("FREQ=MONTHLY;BYDAY=MO,1SU", ["2027-03-01 02:30", "2027-02-22 02:30"]),
        ("FREQ=DAILY;UNTIL=20270101", ["2027-01-01 02:30", "2026-12-31 02:30"]),
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", []),
    ],
)
def test_examples(text, expected):
    found = ours(text, FIRST, datetime(2027, 3, 2))[:2]
    assert [f"{moment:%Y-%m-%d %H:%M}" for moment in found] == expected


def test_looking_at_a_late_day_costs_no_more():
    far = datetime(9998, 1, 5, 12)
    for text in ("FREQ=DAILY", "FREQ=WEEKLY;INTERVAL=2", "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30"):
        rule = parse(text)
        periods = list(newest_first(rule, FIRST, far, timedelta(days=31)))
        assert len(periods) <= 33


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "'' is no part of a recurrence; known are: FREQ, INTERVAL"),
        ("FREQ=SECONDLY", "FREQ has to be one of DAILY, WEEKLY, MONTHLY, YEARLY"),
        ("FREQ=MINUTELY", "FREQ has to be one of"),
        ("FREQ=HOURLY", "for several times a day give BYHOUR"),
        ("INTERVAL=2", "FREQ has to be one of"),
        ("FREQ=DAILY;COUNT=5", "give UNTIL instead"),
        ("FREQ=DAILY;FREQ=DAILY", "is no part"),
        ("FREQ=DAILY;BYEASTER=1", "'BYEASTER=1' is no part"),
        ("FREQ=DAILY;INTERVAL=0", "INTERVAL lies between 1 and 1000"),
        ("FREQ=DAILY;INTERVAL=1,2", "INTERVAL is one number"),
        ("FREQ=DAILY;BYMONTH=13", "BYMONTH lies between 1 and 12; 13 does not"),
        ("FREQ=MONTHLY;BYMONTHDAY=0", "BYMONTHDAY lies between 1 and 31"),
        ("FREQ=DAILY;BYHOUR=x", "BYHOUR needs whole numbers, not 'X'"),
        ("FREQ=MONTHLY;BYDAY=0MO", "BYDAY needs weekdays"),
        ("FREQ=WEEKLY;BYDAY=XX", "BYDAY needs weekdays"),
        ("FREQ=WEEKLY;BYDAY=1MO", "need FREQ=MONTHLY"),
        ("FREQ=WEEKLY;BYSETPOS=1", "need FREQ=MONTHLY"),
        ("FREQ=WEEKLY;BYMONTHDAY=1", "another FREQ than WEEKLY"),
        ("FREQ=WEEKLY;WKST=XX", "WKST is one of MO"),
        ("FREQ=DAILY;UNTIL=20271301", "UNTIL is written as"),
        ("FREQ=DAILY;UNTIL=tomorrow", "UNTIL is written as"),
        ("FREQ=DAILY;BYHOUR=0,1,2,3,4,5,6,7,8,9;BYMINUTE=0,1,2,3,4,5,6,7,8,9", "more than 96 times a day"),
        ("FREQ=DAILY;" + "X" * LONGEST_TEXT, "this one has"),
    ],
)
def test_what_is_refused(text, said):
    with pytest.raises(Malformed) as caught:
        parse(text)
    assert said in str(caught.value)


@given(st.text(max_size=60) | st.from_regex(r"FREQ=(DAILY|YEARLY)(;[A-Z]{2,9}=[-+0-9A-Z,]{1,6}){0,3}", fullmatch=True))
def test_any_text_is_a_rule_or_malformed(text):
    try:
        rule = parse(text)
    except Malformed:
        return
    starts = list(newest_first(rule, FIRST, FIRST + BACK, timedelta(days=40)))
    assert starts == sorted(set(starts), reverse=True)
