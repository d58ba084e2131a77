import pytest
from hypothesis import given
from hypothesis import strategies as st

from sre_platform.catalog.domain import Target, depth, downstream, objectives, related, upstream
from sre_platform.kernel.sli import Sli
from sre_platform.playbook.schema import Criterion


def world(**edges):
    return {name: Target(name, depends_on=tuple(needs.split())) for name, needs in edges.items()}


SHOP = world(users="shop", shop="orders search", orders="payments redis", payments="redis", search="", redis="")
CYCLE = world(a="b", b="c", c="a", d="a")


@pytest.mark.parametrize(
    ("service", "below", "above"),
    [
        ("shop", ["shop", "orders", "search", "payments", "redis"], ["shop", "users"]),
        ("redis", ["redis"], ["redis", "orders", "payments", "shop", "users"]),
        ("payments", ["payments", "redis"], ["payments", "orders", "shop", "users"]),
        ("nobody", [], []),
    ],
)
def test_walks_both_ways_nearest_first(service, below, above):
    assert downstream(SHOP, service) == below
    assert upstream(SHOP, service) == above


def test_a_cycle_is_walked_once():
    assert downstream(CYCLE, "b") == ["b", "c", "a"]
    assert upstream(CYCLE, "b") == ["b", "a", "c", "d"]
    assert downstream(world(a="a"), "a") == ["a"]


def test_a_dependency_that_the_catalog_does_not_know_is_left_out():
    assert downstream(world(a="ghost b", b=""), "a") == ["a", "b"]
    assert upstream(world(a="ghost"), "ghost") == []


@pytest.mark.parametrize(
    ("one", "other", "reason"),
    [
        ("orders", "orders", "same service orders"),
        ("users", "redis", "users depends on redis"),
        ("redis", "users", "users depends on redis"),
        ("search", "orders", ""),
        ("nobody", "nobody", "same service nobody"),
        ("nobody", "orders", ""),
        ("orders", "nobody", ""),
    ],
)
def test_related_says_why(one, other, reason):
    assert related(SHOP, one, other) == reason


def test_depth_counts_who_stands_above():
    assert [depth(SHOP, name) for name in ("users", "shop", "orders", "redis")] == [0, 1, 2, 4]
    assert depth(CYCLE, "a") == depth(CYCLE, "c") == 3


def test_depth_of_an_unknown_service_is_that_of_the_outermost():
    assert depth(SHOP, "nobody") <= depth(SHOP, "users")


def test_objectives_come_in_the_services_order_and_unknown_services_have_none():
    def goal(name):
        return Criterion(name=name, sli=Sli("gauge", "m"), op="<", threshold=1)

    topology = {name: Target(name, objectives=(goal(f"{name} 1"), goal(f"{name} 2"))) for name in "ab"}
    assert [each.name for each in objectives(topology, ["b", "nobody", "a"])] == ["b 1", "b 2", "a 1", "a 2"]


names = st.sampled_from("abcdef")


@given(st.dictionaries(names, st.lists(names, max_size=4)), names, names)
def test_up_is_down_seen_from_the_other_side(edges, one, other):
    topology = {name: Target(name, depends_on=tuple(needs)) for name, needs in edges.items()}
    below = downstream(topology, one)
    assert len(below) == len(set(below))
    assert (other in below) == (one in upstream(topology, other))
    assert bool(related(topology, one, other)) == bool(related(topology, other, one))
