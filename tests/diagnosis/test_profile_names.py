"""Names as pprof prints them, and the frames that a profile asks to leave out."""

from dataclasses import replace
from time import process_time

import pytest

from sre_platform.diagnosis.parsers.profile import Function, Line, Location, Mapping, Profile, Sample, ValueType
from sre_platform.diagnosis.parsers.profile_names import base_name, binary_path, interesting, shown_name
from tests.diagnosis.test_profile_goroutines import made


@pytest.mark.parametrize(
    ("name", "system", "shown"),
    [
        ("main.f", "main.f", "main.f"),
        ("nice", "_Zugly", "nice"),
        ("", "linker", "linker"),
        ("", "", ""),
        ("main.Sum[go.shape.int]", "main.Sum[go.shape.int]", "main.Sum[go.shape.int]"),
        ("main.(*List[go.shape.int]).Push", "main.(*List[go.shape.int]).Push", "main.(*List[go.shape.int]).Push"),
        ("std::vector<int>::push(int)", "std::vector<int>::push(int)", "std::vector::push"),
        ("a::f(b(c), d)::g", "a::f(b(c), d)::g", "a::f::g"),
        ("a::f)(", "a::f)(", "a::f)("),
        ("a::f(x))y", "a::f(x))y", "a::f)y"),
        ("a::f(x(y)", "a::f(x(y)", "a::f(x(y)"),
        ("a.<init>(b)", "a.<init>(b)", "a.<init>(b)"),
    ],
)
def test_shown_name(name, system, shown):
    assert shown_name(Function(1, name, system)) == shown


@pytest.mark.parametrize(
    ("file", "build", "path", "base"),
    [
        ("/bin/shop", "", "/bin/shop", "shop"),
        ("/bin/shop/", "", "/bin/shop/", "shop"),
        ("//", "", "//", "/"),
        ("https://shop/debug", "", "", "/"),
        ("https://shop/debug", "b1", "https://shop/debug", "debug"),
        ("C:\\shop.exe", "", "", "/"),
    ],
)
def test_binary(file, build, path, base):
    assert binary_path(Mapping(1, file=file, build_id=build)) == path
    assert base_name(path) == base


def test_no_binary():
    assert binary_path(None) == ""


def left(drop, keep="", stack=("leaf", "alloc", "user", "main")):
    profile = replace(made((1, stack)), drop_frames=drop, keep_frames=keep)
    (sample,) = interesting(profile).samples
    return [line.function.name for location in sample.locations for line in location.lines]


@pytest.mark.parametrize(
    ("drop", "keep", "shown"),
    [
        ("", "", ["leaf", "alloc", "user", "main"]),
        ("alloc", "", ["user", "main"]),
        ("al.*", "", ["user", "main"]),
        ("a.*c|x", "", ["user", "main"]),
        (".*lo.*", "", ["user", "main"]),
        ("all.c", "", ["user", "main"]),
        ("all", "", ["leaf", "alloc", "user", "main"]),
        ("a.*cc", "", ["leaf", "alloc", "user", "main"]),
        ("alloc", "a.*", ["leaf", "alloc", "user", "main"]),
        ("main|alloc", "", ["user", "main"]),
        ("main", "", ["leaf", "alloc", "user", "main"]),
        ("(al)+loc", "", ["leaf", "alloc", "user", "main"]),
        ("alloc", "(al)+loc", ["leaf", "alloc", "user", "main"]),
    ],
)
def test_frames_to_leave_out(drop, keep, shown):
    assert left(drop, keep) == shown


def test_signs_that_mean_themselves():
    assert left("a\\.\\(\\*T\\)\\.M", stack=("leaf", "a.(*T).M", "main")) == ["leaf", "a.(*T).M", "main"]
    assert left("a\\.", stack=("leaf", "a.(*T).M", "main")) == ["main"]


def test_arguments_do_not_count():
    assert left("f", stack=("leaf", "f(int)", "main")) == ["main"]
    assert left("f", stack=("leaf", ".f(int)", "main")) == ["main"]
    assert left(".*::g", stack=("leaf", "(anonymous namespace)::g", "main")) == ["main"]


def test_a_call_that_was_inlined_into_one_that_stays():
    inner, outer, root = Function(1, "drop", "x"), Function(2, "stay", "x"), Function(3, "main", "x")
    both = Location(1, None, 0, (Line(inner, 1), Line(outer, 2)))
    top = Location(2, None, 1, (Line(root, 3),))
    samples = (Sample((both, top), (1,)), Sample((both,), (1,)))
    profile = Profile((ValueType("x"),), samples, (), (both, top), (inner, outer, root), drop_frames="drop")
    pruned = interesting(profile).samples
    assert [[line.function.name for place in s.locations for line in place.lines] for s in pruned] == [
        ["stay", "main"],
        ["stay"],
    ]


@pytest.mark.parametrize("drop", ["a" * 500_000, "|".join(["a.*a.*a.*a.*b"] * 300), "(" * 100_000, ".*" * 1_000])
def test_an_expression_made_to_hurt(drop):
    profile = replace(made(*((1, ("a" * 3_000 + str(n), "main")) for n in range(200))), drop_frames=drop)
    begin = process_time()
    interesting(profile)
    assert process_time() - begin < 30
