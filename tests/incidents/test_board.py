"""Where alerts go, without rows: each rule's hit, its near miss, and which rule comes first."""

from datetime import UTC, datetime, timedelta

import pytest

from sre_platform.catalog.domain import Target
from sre_platform.incidents.board import (
    CAUSE_LABELS,
    NOTHING_ALIKE,
    Board,
    Fate,
    Known,
    Live,
    key_of,
    topics,
)
from sre_platform.intake.domain import AlertValue

AT = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
NEEDS = {"web": ["orders", "search"], "mobile": ["orders"], "orders": ["db"], "search": ["db"], "db": [], "mail": []}
TOPOLOGY = {name: Target(name, depends_on=tuple(needs)) for name, needs in NEEDS.items()}
OPENED, JOINED, STORM = Fate.OPENED, Fate.JOINED, Fate.STORM


def after(seconds=0.0, minutes=0.0):
    return AT + timedelta(seconds=seconds, minutes=minutes)


def alert(service="orders", name="Slow", status="firing", starts=AT, **labels):
    marked = {"alertname": name, **({"service": service} if service else {}), **labels}
    print_ = "/".join(f"{key}={marked[key]}" for key in sorted(marked))
    return AlertValue(print_, status, marked, {}, starts, AT if status == "resolved" else None, "")


def board(**given):
    return Board(TOPOLOGY, **given)


def storming(count=10, every=1.0):
    """A board after so many unrelated incidents, and when the last one came."""
    it = board()
    for number in range(count):
        placed = it.take(alert(f"s{number}"), after(number * every))
    return it, placed, after((count - 1) * every)


def fates(it, *moments):
    return [it.take(one, at).fate for one, at in moments]


def test_the_first_alert_opens_an_incident_and_says_that_nothing_is_alike():
    placed = board().take(alert(), AT)
    assert (placed.fate, placed.reason, placed.joins) == (OPENED, NOTHING_ALIKE, True)
    assert (placed.live.key, placed.live.title, placed.live.parent) == ("orders", "Slow on orders", None)


def test_the_summary_is_the_title():
    one = AlertValue("f", "firing", {"alertname": "A"}, {"summary": "Late" * 100}, AT, None, "")
    assert board().take(one, AT).live.title == ("Late" * 100)[:300]


def test_the_same_service_joins_however_late():
    it = board()
    first = it.take(alert(), AT)
    second = it.take(alert(name="Late"), after(minutes=600))
    assert (second.fate, second.reason, second.live) == (JOINED, "same service orders", first.live)


def test_a_service_that_joined_is_the_incidents_own_from_then_on():
    it = board()
    first = it.take(alert("db"), AT)
    it.take(alert("orders"), AT)
    third = it.take(alert("orders", "Late"), after(minutes=600))
    assert (third.reason, third.live) == ("same service orders", first.live)


@pytest.mark.parametrize("other", ["web", "mobile", "db"])
def test_a_neighbour_joins_in_both_directions_also_over_a_third(other):
    it = board()
    first = it.take(alert("orders"), AT)
    placed = it.take(alert(other), AT)
    upper, lower = (other, "orders") if other != "db" else ("orders", "db")
    assert (placed.fate, placed.reason, placed.live) == (JOINED, f"{upper} depends on {lower}", first.live)


@pytest.mark.parametrize(("seconds", "fate"), [(600, JOINED), (600.001, OPENED)])
def test_a_neighbour_joins_for_ten_minutes_after_the_last_alert(seconds, fate):
    assert fates(board(), (alert("orders"), AT), (alert("db"), after(seconds)))[-1] is fate


def test_each_alert_that_joins_keeps_the_window_open():
    it = board()
    it.take(alert("orders"), AT)
    it.take(alert("orders", "Late"), after(minutes=9))
    assert it.take(alert("db"), after(minutes=19)).fate is JOINED
    assert it.take(alert("db", name="B"), after(minutes=1)).live.last_at == after(minutes=19), "never backwards"


@pytest.mark.parametrize("other", ["mail", "search", "nobody-knows-it"])
def test_siblings_and_strangers_do_not_join(other):
    assert fates(board(), (alert("orders"), AT), (alert(other), AT)) == [OPENED, OPENED]


def test_a_need_that_the_catalog_does_not_have_is_no_neighbour():
    it = Board({"web": Target("web", depends_on=("ghost",)), "shop": Target("shop", depends_on=("ghost",))})
    assert fates(it, (alert("web"), AT), (alert("shop"), AT), (alert("ghost"), AT)) == [OPENED, OPENED, OPENED]


def test_services_that_need_each_other_are_neighbours():
    it = Board({"a": Target("a", depends_on=("b",)), "b": Target("b", depends_on=("a",))})
    assert fates(it, (alert("a"), AT), (alert("b"), AT)) == [OPENED, JOINED]


def test_an_alert_without_a_service_is_about_itself():
    it = board()
    first, second = it.take(alert("", "Watchdog"), AT), it.take(alert("", "Watchdog", pod="2"), after(minutes=60))
    assert (first.live.key, second.reason, second.live) == ("alert/Watchdog", "same alert Watchdog", first.live)
    assert it.take(alert("", "Other"), AT).fate is OPENED


@pytest.mark.parametrize("label", CAUSE_LABELS)
def test_labels_that_bear_causes_join_strangers_within_the_window(label):
    it = board()
    it.take(alert("mail", **{label: "seven"}), AT)
    placed = it.take(alert("orders", **{label: "seven"}), after(600))
    assert (placed.fate, placed.reason) == (JOINED, f"same {label} seven")
    assert it.take(alert("x", **{label: "eight"}), AT).fate is OPENED
    assert it.take(alert("y", **{label: "seven"}), after(600 + 601)).fate is OPENED
    assert it.take(alert("z", **{label: ""}), AT).fate is OPENED


def test_the_same_value_of_another_label_is_another_cause():
    alerts = [alert("a", node="7"), alert("b", disk="7"), alert("c", team="7")]
    assert fates(board(), *((one, AT) for one in alerts)) == [OPENED] * 3


def test_a_label_that_joined_later_counts_too():
    it = board()
    it.take(alert("orders"), AT)
    it.take(alert("orders", "Late", node="n1"), AT)
    assert it.take(alert("mail", node="n1"), AT).reason == "same node n1"


def test_very_long_labels_are_the_same_whether_read_back_or_not():
    long = alert("mail", node="n" * 1000)
    assert max(map(len, topics(long))) == 300
    assert fates(board(), (long, AT), (alert("orders", node="n" * 1000), AT)) == [OPENED, JOINED]


def test_the_service_comes_before_the_node_and_the_node_before_the_neighbour():
    it = board()
    mail, db = it.take(alert("mail", node="n1"), AT).live, it.take(alert("db"), AT).live
    assert it.take(alert("db", "B", node="n1"), AT).live is db
    assert it.take(alert("orders", node="n1"), AT).live is mail


def test_one_caller_only_takes_its_dependency_in():
    it = board()
    caller = it.take(alert("orders"), AT).live
    placed = it.take(alert("db"), AT)
    assert (placed.fate, placed.live, caller.parent, it.adopted) == (JOINED, caller, None, [])


@pytest.mark.parametrize("callers", [["mobile", "search"], ["mobile", "search", "web"]])
def test_what_several_incidents_depend_on_becomes_their_parent(callers):
    needs = {name: Target(name, depends_on=("db",)) for name in callers}
    it = Board(needs | {"db": Target("db")})
    children = [it.take(alert(name), AT).live for name in callers]
    placed = it.take(alert("db"), after(600))
    assert (placed.fate, placed.reason) == (OPENED, f"{', '.join(callers)} depend on db")
    assert {child.parent for child in children} == {placed.live}
    assert it.adopted == [(child, placed.live) for child in children]
    assert placed.live.parent is None
    assert str(placed).endswith(placed.reason)


def test_callers_whose_last_alert_is_too_old_have_a_cause_of_their_own():
    it = board()
    old, fresh = it.take(alert("mobile"), AT).live, it.take(alert("search"), after(1)).live
    placed = it.take(alert("db"), after(601))
    assert (placed.fate, placed.live, old.parent) == (JOINED, fresh, None)


def test_who_has_a_parent_gets_no_other_and_new_callers_join_the_parent():
    needs = {"a": ("db",), "b": ("db",), "c": ("db",), "db": ("disk",), "disk": ()}
    it = Board({name: Target(name, depends_on=deps) for name, deps in needs.items()})
    a, b = it.take(alert("a"), AT).live, it.take(alert("b"), AT).live
    db = it.take(alert("db"), AT).live
    assert it.take(alert("c"), AT).live is db
    disk = it.take(alert("disk"), AT)
    assert (disk.fate, disk.live, a.parent, b.parent) == (JOINED, db, db, db)


def test_a_storm_begins_with_the_tenth_incident_within_a_minute():
    _, placed, _ = storming(9)
    assert (placed.fate, placed.live.storm) == (OPENED, False)
    _, placed, at = storming(10)
    assert (placed.fate, placed.reason) == (OPENED, "10 incidents within 60 s are a storm")
    assert (placed.live.storm, placed.live.service, placed.live.opened_at) == (True, "", at)
    assert placed.live.title == "Alert storm: 10 incidents within 60 s"


def test_the_recent_incidents_become_the_storms_and_older_ones_do_not():
    it = board()
    old = it.take(alert("mail"), after(-61)).live
    recent = [it.take(alert(f"s{n}"), after(n)).live for n in range(9)]
    assert it.take(alert("x"), after(9)).live.storm
    assert {live.parent.key for live in recent} == {"storm/2026-11-21T12:00:09+00:00"}
    assert old.parent is None


def test_ten_incidents_in_more_than_a_minute_are_no_storm():
    assert not storming(10, every=6.7)[1].live.storm
    assert storming(10, every=6.6)[1].live.storm


def test_children_of_a_parent_are_one_trouble_not_many():
    it = Board({**{f"s{n}": Target(f"s{n}", depends_on=("db",)) for n in range(9)}, "db": Target("db")})
    children = [it.take(alert(f"s{n}"), AT).live for n in range(9)]
    db = it.take(alert("db"), AT).live
    assert it.take(alert("mail"), AT).live.storm is False
    assert {child.parent for child in children} == {db}


def test_a_storm_takes_strangers_until_it_was_calm_for_five_minutes():
    it, placed, at = storming()
    storm = placed.live
    five = timedelta(minutes=5)
    assert [(p.fate, p.live) for p in [it.take(alert("x"), at + five)]] == [(STORM, storm)]
    assert it.take(alert("y"), at + 2 * five).live is storm
    late = it.take(alert("z"), at + 3 * five + timedelta(microseconds=1))
    assert (late.fate, late.live.storm) == (OPENED, False)
    assert it.take(alert("x", "B"), at + 3 * five + timedelta(seconds=1)).live is not storm, "a storm has no topics"


def test_a_known_trouble_goes_on_by_itself_during_a_storm():
    it, placed, at = storming()
    joined = it.take(alert("s1", "Other"), at)
    assert (joined.fate, joined.reason, joined.live.parent) == (JOINED, "same service s1", placed.live)


def test_a_second_storm_is_another_incident():
    it, first, at = storming()
    for number in range(10):
        placed = it.take(alert(f"t{number}"), at + timedelta(minutes=6, seconds=number))
    assert placed.live.storm
    assert placed.live.key != first.live.key


def test_live_incidents_that_were_read_count_for_a_storm():
    live = [Live(f"s{n}", f"s{n}", "t", AT, AT, {f"service=s{n}"}, pk=n + 1) for n in range(9)]
    assert board(live=live).take(alert("x"), AT).live.storm
    live[0].parent = live[1]
    assert not board(live=live).take(alert("x"), AT).live.storm


def test_of_several_incidents_one_without_a_parent_is_chosen_then_the_oldest():
    def live(pk, opened, parent=None):
        return Live(f"k{pk}", f"k{pk}", "t", opened, AT, {"node=n1"}, pk, parent=parent)

    child, young, old = live(1, after(-99), live(9, AT)), live(3, after(-1)), live(2, after(-2))
    assert board(live=[child, young, old]).take(alert("x", node="n1"), AT).live is old


@pytest.mark.parametrize(("before", "said"), [(2, ""), (3, ", flapping: began 4 times within the hour")])
def test_an_alert_that_began_four_times_within_the_hour_flaps(before, said):
    one = alert("orders", "B")
    it = board(starts={one.fingerprint: before})
    it.take(alert("orders"), AT)
    assert it.take(one, AT).reason == f"same service orders{said}"


def test_starts_of_one_batch_count_and_those_of_another_hour_do_not():
    it = board()
    moments = [-61, -3, -2, -1, 0]
    reasons = [it.take(alert(starts=after(minutes=m)), AT).reason for m in moments]
    assert reasons[:4] == [NOTHING_ALIKE, *["same service orders"] * 3]
    assert reasons[4].endswith("began 4 times within the hour")


def test_a_known_alert_is_a_duplicate_and_starts_nothing():
    it = board()
    first = it.take(alert(), AT)
    again = it.take(alert(), after(minutes=60))
    assert (again.fate, again.live, again.joins) == (Fate.DUPLICATE, first.live, False)
    assert (len(it.fresh), len(it.joined), it.starts[alert().fingerprint]) == (1, 1, 1)


def test_the_same_alert_with_another_start_is_another():
    it = board()
    assert fates(it, (alert(), AT), (alert(starts=after(1)), AT)) == [OPENED, JOINED]
    assert len(it.fresh) == 2


def test_a_resolution_ends_it_once():
    it = board()
    first = it.take(alert(), AT)
    over = alert(status="resolved")
    assert [(p.fate, p.live) for p in (it.take(over, AT), it.take(over, AT), it.take(alert(), AT))] == [
        (Fate.RESOLVED, first.live),
        (Fate.DUPLICATE, first.live),
        (Fate.DUPLICATE, first.live),
    ]
    assert list(it.ended) == [(over.fingerprint, AT)]


def test_a_resolution_that_overtook_its_alert_needs_no_incident():
    it = board()
    assert (
        fates(it, (alert(status="resolved"), AT), (alert(), AT), (alert(status="resolved"), AT))
        == [Fate.NOT_NEEDED] * 3
    )
    assert (it.opened, it.ended, len(it.fresh)) == ([], {}, 1)


def test_what_was_known_before_the_batch_keeps_its_incident():
    live = Live("orders", "orders", "t", AT, AT, {"service=orders"}, pk=7)
    one = alert()
    it = board(live=[live], known={(one.fingerprint, AT): Known(False, live)})
    assert it.take(one, AT).fate is Fate.DUPLICATE
    assert it.take(alert(status="resolved"), AT).fate is Fate.RESOLVED
    assert not it.fresh


def until(moment, why="silence 1"):
    return lambda _labels, at: why if at < moment else ""


def test_a_quiet_alert_is_in_no_incident_and_says_why():
    it = board(quiet=until(after(1)))
    placed = it.take(alert(), AT)
    assert (placed.fate, placed.reason, placed.live, placed.joins) == (Fate.QUIET, "silence 1", None, False)
    assert it.quieted == {(alert().fingerprint, AT): "silence 1"}
    assert not it.opened


@pytest.mark.parametrize("same_batch", [True, False])
def test_a_quiet_alert_that_is_quiet_no_more_gets_an_incident_and_is_told_so(same_batch):
    key = (alert().fingerprint, AT)
    it = board(quiet=until(after(1)), known={} if same_batch else {key: Known(False)})
    assert it.take(alert(), AT).fate is Fate.QUIET
    assert it.take(alert(), after(1)).fate is OPENED
    assert it.quieted == {key: ""}
    assert it.take(alert(), AT).fate is Fate.DUPLICATE, "what has an incident is not quiet again"


def test_a_quiet_alert_that_resolves_is_over():
    it = board(quiet=until(after(9)))
    assert fates(it, (alert(), AT), (alert(status="resolved"), AT)) == [Fate.QUIET, Fate.RESOLVED]


def test_quiet_alerts_make_no_storm():
    it = board(quiet=until(after(100)))
    assert {it.take(alert(f"s{n}"), after(n)).fate for n in range(20)} == {Fate.QUIET}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (alert("alert/X"), alert("", "X")),
        (alert("service/alert/X"), alert("alert/X")),
        (alert("", "a" * 199 + "b"), alert("", "a" * 199 + "c")),
    ],
)
def test_two_subjects_never_have_one_key(one, other):
    """Two open incidents with one key would be refused by the database, with the whole batch."""
    assert fates(board(), (one, AT), (other, AT)) == [OPENED, OPENED]
    assert key_of(one) != key_of(other)
    assert len(key_of(one)) <= 200
