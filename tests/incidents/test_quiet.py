import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sre_platform.incidents.quiet import (
    LONGEST_VALUE,
    InhibitionRule,
    MaintenanceWindow,
    Matcher,
    Quiet,
    Silence,
    active,
    parse_matcher,
    parse_matchers,
    why_quiet,
)
from sre_platform.kernel.errors import Malformed

AT = datetime(2026, 11, 21, 13, 0, tzinfo=UTC)
DISK = (Matcher("alertname", "=", "DiskFull"),)
BERLIN = ZoneInfo("Europe/Berlin")


def nobody(_rule):
    raise AssertionError("nobody may be asked")


def why(labels, rules, firing=nobody, at=AT):
    return why_quiet(labels, at, rules, firing)


def silence(**fields):
    some = {"id": "12", "matchers": DISK, "starts_at": AT, "ends_at": AT + timedelta(hours=1)}
    return Silence(**some | {"comment": "disk swap", "by": "ann"} | fields)


def window(rrule="", first=AT, duration_s=3600.0, timezone="UTC", **fields):
    return MaintenanceWindow("db-sunday", fields.get("matchers", DISK), first, duration_s, rrule, timezone)


@pytest.mark.parametrize(
    ("op", "value", "given", "expected"),
    [
        ("=", "a", {"x": "a"}, True),
        ("=", "a", {"x": "b"}, False),
        ("=", "", {}, True),
        ("!=", "a", {}, True),
        ("!=", "", {}, False),
        ("=~", "a|b", {"x": "b"}, True),
        ("=~", "a", {"x": "ab"}, False),
        ("=~", ".*", {}, True),
        ("=~", ".+", {}, False),
        ("!~", "a.*", {"x": "ab"}, False),
        ("!~", "a.*", {}, True),
        ("!~", "a.*", {"x": "ba"}, True),
    ],
)
def test_the_four_signs(op, value, given, expected):
    assert Matcher("x", op, value).matches(given) is expected


@pytest.mark.parametrize("op", ["=~", "!~"])
def test_a_value_too_long_to_be_looked_at_stays_loud(op):
    assert not Matcher("x", op, "b*").matches({"x": "a" * (LONGEST_VALUE + 1)})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('alertname="Foo"', Matcher("alertname", "=", "Foo")),
        ("alertname=Foo", Matcher("alertname", "=", "Foo")),
        (' env =~ "a|b" ', Matcher("env", "=~", "a|b")),
        ("env!~a.*", Matcher("env", "!~", "a.*")),
        (r'x!="a\"b\\c\nd"', Matcher("x", "!=", 'a"b\\c\nd')),
        ("x=", Matcher("x", "=", "")),
        ("x=a=b", Matcher("x", "=", "a=b")),
        ({"name": "x", "value": "a", "isRegex": True, "isEqual": False}, Matcher("x", "!~", "a")),
        ({"name": "x", "value": "a", "isRegex": False}, Matcher("x", "=", "a")),
    ],
)
def test_matchers_are_read(text, expected):
    assert parse_matcher(text) == expected


@given(
    st.sampled_from("abc"), st.sampled_from(["=", "!="]), st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
)
def test_a_matcher_survives_being_written_and_read(name, op, value):
    matcher = Matcher(name, op, value)
    assert parse_matcher(str(matcher)) == matcher
    assert parse_matcher(matcher.as_json()) == matcher


@given(st.text(max_size=20), st.text(max_size=20), st.dictionaries(st.just("x"), st.text(max_size=10)))
def test_a_sign_and_its_opposite_never_agree(value, other, labels):
    assert Matcher("x", "=", value).matches(labels) != Matcher("x", "!=", value).matches(labels)
    assert Matcher("x", "=~", "a.*|b").matches(labels) != Matcher("x", "!~", "a.*|b").matches(labels)


@pytest.mark.parametrize(
    ("matchers", "said"),
    [
        ([], "Matchers are a list of one to 50"),
        ("alertname=Foo", "Matchers are a list of one to 50"),
        (["x=a"] * 51, "Matchers are a list of one to 50"),
        (["alertname"], "is not a matcher such as"),
        (["1x=a"], "is not a label name"),
        (['x="a'], "a quotation mark too few"),
        (["x=~(a+)+"], "repeats a group"),
        (["x=~("], "does not compile"),
        ([5], "A matcher is a text"),
        ([{"name": "x"}], "A matcher has a name, a value"),
        ([{"name": "x", "value": "a", "isRegex": 1}], "A matcher has a name, a value"),
        (["x=~.*"], "At least one matcher has to ask for something"),
        (["x!=a"], "At least one matcher has to ask for something"),
    ],
)
def test_wrong_matchers(matchers, said):
    with pytest.raises(Malformed) as caught:
        parse_matchers(matchers)
    assert said in str(caught.value)


@given(st.recursive(st.none() | st.booleans() | st.text(max_size=9), st.lists, max_leaves=5))
def test_any_json_is_matchers_or_malformed(value):
    with suppress(Malformed):
        assert parse_matchers(value)


def test_a_silence_says_who_and_why_and_until_when():
    rules = Quiet(silences=(silence(),))
    assert why({"alertname": "DiskFull"}, rules) == "silence 12 by ann until 14:00 UTC: disk swap"
    assert why({"alertname": "Other"}, rules) == ""
    assert why({"alertname": "DiskFull"}, rules, at=AT + timedelta(hours=1)) == ""
    assert why({"alertname": "DiskFull"}, rules, at=AT - timedelta(seconds=1)) == ""
    long = silence(ends_at=AT + timedelta(days=3), comment="")
    assert why({"alertname": "DiskFull"}, Quiet((long,))) == "silence 12 by ann until 2026-11-24 13:00 UTC"


def test_a_silence_that_ends_before_it_starts_or_matches_all_is_refused():
    with pytest.raises(Malformed, match="has to end after"):
        silence(ends_at=AT)
    with pytest.raises(Malformed, match="At least one matcher"):
        silence(matchers=())


def test_a_window_once_and_every_week():
    labels = {"alertname": "DiskFull"}
    assert why(labels, Quiet(windows=(window(),))) == "maintenance window db-sunday until 14:00 UTC"
    assert why({"alertname": "x"}, Quiet(windows=(window(),))) == ""
    weekly = Quiet(windows=(window("FREQ=WEEKLY;BYDAY=SU"),))
    assert [why(labels, weekly, at=AT + timedelta(days=n)) != "" for n in range(10)] == [
        n in (1, 8) for n in range(10)
    ], "the first start is a Saturday, and no Sunday"
    assert why(labels, weekly, at=AT - timedelta(days=6)) == "", "nothing before the first start"


def test_narrowed_rules_say_the_same():
    later, weekly = silence(starts_at=AT + timedelta(minutes=1)), window("FREQ=WEEKLY;BYDAY=SU")
    rules = Quiet((silence(), later), (window(), weekly), (DOWN,))
    narrow = rules.narrowed(AT)
    assert narrow == Quiet((silence(),), (window(),), (DOWN,))
    assert why({"alertname": "DiskFull"}, narrow) == why({"alertname": "DiskFull"}, rules)


@pytest.mark.parametrize(
    ("day", "utc_hour"),
    [((2026, 3, 22), 1), ((2026, 3, 30), 0), ((2026, 10, 24), 0), ((2026, 10, 26), 1)],
)
def test_a_window_at_two_in_berlin_stays_at_two(day, utc_hour):
    nightly = window("FREQ=DAILY", datetime(2026, 1, 1, 2, tzinfo=BERLIN), 1800, "Europe/Berlin")
    start = datetime(*day, utc_hour, tzinfo=UTC)
    assert active(nightly, start) == start + timedelta(minutes=30)
    assert active(nightly, start - timedelta(seconds=1)) is None
    assert active(nightly, start + timedelta(minutes=30)) is None


def test_the_night_when_clocks_are_turned():
    nightly = window("FREQ=DAILY", datetime(2026, 1, 1, 2, 30, tzinfo=BERLIN), 1800, "Europe/Berlin")
    spring = datetime(2026, 3, 29, 1, 30, tzinfo=UTC)  # there is no 02:30: counted as before the turn
    autumn = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)  # there are two: the first
    for start in (spring, autumn):
        assert active(nightly, start) == start + timedelta(minutes=30)
        assert active(nightly, start - timedelta(seconds=1)) is None
        assert active(nightly, start + timedelta(hours=1)) is None


def test_clocks_that_are_turned_at_midnight():
    """There is no 00:00 to 01:00 on this day, so an hour from 23:30 on lasts until 01:30 on the wall."""
    place = "America/Sao_Paulo"
    nightly = window("FREQ=DAILY", datetime(2018, 1, 1, 23, 30, tzinfo=ZoneInfo(place)), 3600, place)
    start = datetime(2018, 11, 4, 2, 30, tzinfo=UTC)
    assert active(nightly, start + timedelta(minutes=59)) == start + timedelta(hours=1)


@given(st.integers(0, 366 * 24 * 60), st.sampled_from([60.0, 5400.0, 90000.0]))
def test_a_nightly_window_is_active_from_its_start_for_its_duration(minutes, duration_s):
    """Day by day, from the definition: 02:30 on every day's wall."""
    first = datetime(2026, 1, 1, 2, 30, tzinfo=BERLIN)
    at = datetime(2026, 1, 2, tzinfo=UTC) + timedelta(minutes=minutes)
    wall = at.astimezone(BERLIN)
    starts = [(wall + timedelta(days=n)).replace(hour=2, minute=30, second=0, fold=0) for n in range(-3, 2)]
    starts = [start.astimezone(UTC) for start in starts if start >= first]
    expected = any(start <= at < start + timedelta(seconds=duration_s) for start in starts)
    nightly = window("FREQ=DAILY", first, duration_s, "Europe/Berlin")
    assert (active(nightly, at) is not None) is expected


def test_until_ends_it():
    for until, last in (("20261122", 1), ("20261122T130000Z", 1), ("20261122T125959Z", 0)):
        daily = window(f"FREQ=DAILY;UNTIL={until}")
        assert [active(daily, AT + timedelta(days=n)) is not None for n in range(4)] == [n <= last for n in range(4)]


def test_a_window_after_thousands_of_years_costs_no_more():
    daily = window("FREQ=DAILY;INTERVAL=3;BYHOUR=1,2,3", datetime(1970, 1, 1, tzinfo=UTC))
    never = window("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", datetime(1970, 1, 1, tzinfo=UTC))
    began = time.perf_counter()
    for _ in range(100):
        active(daily, datetime(8000, 1, 1, tzinfo=UTC)), active(never, datetime(8000, 1, 1, tzinfo=UTC))
    assert time.perf_counter() - began < 2


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"first": datetime(2026, 1, 1)}, "needs a UTC offset"),  # noqa: DTZ001 that is the point
        ({"first": datetime(1, 1, 1, tzinfo=UTC)}, "between the years 1970"),
        ({"duration_s": 0}, "A duration lies between"),
        ({"duration_s": float("nan")}, "A duration lies between"),
        ({"duration_s": 32 * 86400, "rrule": "FREQ=DAILY"}, "A duration lies between 0 and 2678400"),
        ({"timezone": "Berlin"}, "'Berlin' is not a time zone"),
        ({"timezone": "../etc/passwd"}, "is not a time zone"),
        ({"timezone": ""}, "is not a time zone"),
        ({"rrule": "FREQ=MINUTELY"}, "FREQ has to be one of"),
        ({"matchers": ()}, "At least one matcher"),
    ],
)
def test_wrong_windows(fields, said):
    with pytest.raises(Malformed) as caught:
        window(**fields)
    assert said in str(caught.value)


DOWN = InhibitionRule(
    "x", (Matcher("alertname", "=", "ClusterDown"),), (Matcher("severity", "=", "warning"),), ("cluster",)
)
TARGET = {"alertname": "Slow", "severity": "warning", "cluster": "eu1"}
SOURCE = {"alertname": "ClusterDown", "cluster": "eu1"}


def inhibited(labels, *firing, rule=DOWN):
    return why(labels, Quiet(inhibitions=(rule,)), lambda _rule: firing)


def test_an_inhibited_alert_says_by_what():
    assert inhibited(TARGET, SOURCE) == "inhibited by ClusterDown (rule x), same cluster=eu1"
    free = InhibitionRule("x", DOWN.source, DOWN.target)
    assert inhibited(TARGET, SOURCE, rule=free) == "inhibited by ClusterDown (rule x)"


@pytest.mark.parametrize(
    ("target", "firing", "expected"),
    [
        (TARGET, [], False),
        (TARGET, [SOURCE | {"cluster": "us1"}], False),
        (TARGET, [SOURCE | {"cluster": "us1"}, SOURCE], True),
        (TARGET, [{"alertname": "ClusterDown"}], False),
        ({"severity": "warning"}, [{"alertname": "ClusterDown"}], True),  # both lack the label: equal
        ({"severity": "warning", "cluster": ""}, [{"alertname": "ClusterDown"}], True),
        (TARGET, [SOURCE | {"severity": "warning"}], True),  # a source that is a target too, against a mere target
        (SOURCE | {"severity": "warning"}, [SOURCE | {"severity": "warning"}], False),  # not itself
        (SOURCE | {"severity": "warning"}, [SOURCE | {"severity": "warning", "host": "a"}], False),  # nor its like
        (SOURCE | {"severity": "warning"}, [SOURCE], True),  # but by a mere source
    ],
)
def test_inhibition_as_alertmanager_does_it(target, firing, expected):
    assert bool(inhibited(target, *firing)) is expected


def test_nobody_is_asked_for_what_is_no_target():
    assert why({"severity": "page"}, Quiet(inhibitions=(DOWN,)), nobody) == ""


def test_an_inhibition_rule_needs_matchers_and_label_names():
    with pytest.raises(Malformed, match="At least one matcher"):
        InhibitionRule("x", (), DOWN.target)
    with pytest.raises(Malformed, match="is not a label name"):
        InhibitionRule("x", DOWN.source, DOWN.target, ("a b",))
