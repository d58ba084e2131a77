"""What holds of the board whatever comes."""

from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from sre_platform.incidents.board import Fate
from tests.incidents.test_board import AT, NEEDS, after, alert, board

names = st.sampled_from([*NEEDS, "", "x", "alert/Slow", *(f"s{n}" for n in range(12))])
taken = st.builds(
    lambda service, name, status, start, label: alert(service, name, status, after(start), **label),
    names,
    st.sampled_from(["Slow", "Down"]),
    st.sampled_from(["firing", "firing", "resolved"]),
    st.integers(0, 2),
    st.sampled_from([{}, {"node": "n1"}, {"node": "n2", "disk": "d"}]),
)
streams = st.lists(st.tuples(taken, st.integers(0, 400)), max_size=60)


def some_quiet(labels, _at):
    return "silence 7" if labels.get("disk") and labels["alertname"] == "Down" else ""


def told(stream):
    it, at, placed = board(quiet=some_quiet), AT, []
    for one, wait in stream:
        at += timedelta(seconds=wait)
        placed.append(it.take(one, at))
    return it, placed


@settings(max_examples=150, deadline=None)
@given(streams)
def test_whatever_comes_nothing_is_lost_or_twice(stream):
    it, placed = told(stream)
    for key, known in it.known.items():
        assert known.resolved or known.live or it.quieted[key], key
    homes = [key for key, _, _ in it.joined]
    assert len(homes) == len(set(homes)), "each is in one incident"
    keys = [live.key for live in it.opened]
    assert len(keys) == len(set(keys)), "all of these are live"
    assert all(item.reason or item.fate in (Fate.DUPLICATE, Fate.RESOLVED) for item in placed)
    for live in it.opened:
        seen = {id(live)}
        while live := live.parent:
            assert id(live) not in seen, "no incident is its own ancestor"
            seen.add(id(live))


@settings(max_examples=50, deadline=None)
@given(streams)
def test_placing_is_deterministic(stream):
    one, other = told(stream), told(stream)
    assert [*map(str, one[1])] == [*map(str, other[1])]
    assert [live.key for live in one[0].opened] == [live.key for live in other[0].opened]
