"""The tree of a flame graph: values add up whatever is folded, and it is never deeper or larger than it may be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sre_platform.diagnosis.parsers import flamegraph as module
from sre_platform.diagnosis.parsers.flamegraph import OTHER, ROOT, Weights, flamegraph
from sre_platform.diagnosis.parsers.profile import Function, Line, Location, Profile, Sample, ValueType
from sre_platform.kernel.errors import Malformed, Unknown
from tests.diagnosis.profiles import profiles, recorded
from tests.diagnosis.test_profile_goroutines import made

SOME = (
    (5, ("main.hot", "main.serve", "main.main")),
    (3, ("main.cold", "main.serve", "main.main")),
    (2, ("main.serve", "main.main")),
    (1, ("main.init",)),
)


def drawn(graph):
    """One line per node: its depth as indentation, its name, own and total value."""
    return [f"{'.' * node.depth}{node.name} {node.now.self}/{node.now.total}" for node in graph.nodes]


def test_tree():
    assert drawn(flamegraph(made(*SOME))) == [
        "root 0/11",
        ".main.init 1/1",
        ".main.main 0/10",
        "..main.serve 2/10",
        "...main.cold 3/3",
        "...main.hot 5/5",
    ]


def test_parents_children_and_paths():
    graph = flamegraph(made(*SOME))
    assert [graph.nodes[index].name for index in graph.children(0)] == ["main.init", "main.main"]
    assert [graph.nodes[index].name for index in graph.children(3)] == ["main.cold", "main.hot"]
    assert list(graph.children(5)) == []
    assert [graph.nodes[index].name for index in graph.path(5)] == [ROOT, "main.main", "main.serve", "main.hot"]


def test_inlined_calls_are_nodes_and_the_line_is_the_heaviest():
    outer, inner = Function(1, "main.outer", "", "o.go"), Function(2, "main.inner", "", "i.go")
    here = Location(1, None, 0, (Line(inner, 7), Line(outer, 3)))
    there = Location(2, None, 1, (Line(inner, 9), Line(outer, 3)))
    samples = (Sample((here,), (1,)), Sample((there,), (4,)))
    graph = flamegraph(Profile((ValueType("x", "count"),), samples, (), (here, there), (outer, inner)))
    assert [(node.name, node.file, node.line) for node in graph.nodes[1:]] == [
        ("main.outer", "o.go", 3),
        ("main.inner", "i.go", 9),
    ]


def test_small_nodes_are_folded_into_one():
    graph = flamegraph(made(*SOME), fraction=0.4)
    assert drawn(graph) == [
        "root 0/11",
        ".main.main 0/10",
        "..main.serve 2/10",
        "...main.hot 5/5",
        "...(other) 3/3",
        ".(other) 1/1",
    ]
    assert [node.folded for node in graph.nodes if node.name == OTHER] == [1, 1]


def test_no_more_nodes_than_asked_for():
    graph = flamegraph(made(*SOME), limit=2)
    assert drawn(graph) == ["root 0/11", ".main.main 0/10", "..(other) 10/10", ".(other) 1/1"]


def test_a_stack_deeper_than_the_limit(monkeypatch):
    monkeypatch.setattr(module, "DEPTH_LIMIT", 4)
    graph = flamegraph(made((7, ("f",) * 50_000)))
    assert drawn(graph) == ["root 0/7", ".f 0/7", "..f 0/7", "...f 0/7", "....(other) 7/7"]


def test_more_nodes_than_are_told_apart(monkeypatch):
    monkeypatch.setattr(module, "BUILD_LIMIT", 4)
    graph = flamegraph(made((1, ("a", "m")), (9, ("b", "m")), (8, ("c", "n")), (2, ("d", "n"))))
    assert graph.root.now.total == 20
    assert [node.name for node in graph.nodes] == [ROOT, "m", "b", OTHER, "n", OTHER]


def test_two_profiles_stand_side_by_side():
    graph = flamegraph(made((4, ("a", "m")), (3, ("b", "m"))), made((1, ("a", "m")), (6, ("c", "m"))))
    assert graph.compares
    assert {node.name: (node.now, node.before) for node in graph.nodes[1:]} == {
        "m": (Weights(0, 7), Weights(0, 7)),
        "a": (Weights(4, 4), Weights(1, 1)),
        "b": (Weights(3, 3), Weights(0, 0)),
        "c": (Weights(0, 0), Weights(6, 6)),
    }


def test_what_measures_something_else_is_not_compared():
    with pytest.raises(Malformed, match="cannot be compared"):
        flamegraph(recorded("heap"), recorded("cpu"))
    with pytest.raises(Unknown, match="inuse_space"):
        flamegraph(recorded("heap"), sample_index="cpu")


@given(profiles(), st.one_of(st.none(), profiles()), st.sampled_from([0, 0.05, 0.5]), st.integers(1, 12))
def test_values_add_up(profile, before, fraction, limit):
    if before is not None and profile.sample_types[-1] not in before.sample_types:
        before = None
    index = profile.sample_index(len(profile.sample_types) - 1)
    graph = flamegraph(profile, before, sample_index=index, limit=limit, fraction=fraction)
    assert graph.root.now.total == sum(sample.values[index] for sample in profile.samples)
    named = [node for node in graph.nodes if node.name != OTHER]
    assert len(named) <= limit + 1
    for at, node in enumerate(graph.nodes):
        below = [graph.nodes[child] for child in graph.children(at)]
        assert all(child.parent == at and child.depth == node.depth + 1 for child in below)
        for was in ("now", "before"):
            own, total = getattr(node, was)
            assert total == own + sum(getattr(child, was).total for child in below)
        assert node.weight >= sum(child.weight for child in below)
        assert [child.name for child in below[:-1]].count(OTHER) == 0


def test_a_recorded_profile():
    graph = flamegraph(recorded("cpu"))
    hot = {node.name: node.now.total for node in graph.nodes}
    assert graph.root.now.total == sum(sample.values[1] for sample in recorded("cpu").samples)
    assert hot["main.serve"] > hot["main.render"] > 0
