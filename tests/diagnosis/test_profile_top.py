"""The table of functions is that of `go tool pprof -top`, to the last character."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sre_platform.diagnosis.parsers.profile import Function, Line, Location, Mapping, Profile, Sample, ValueType
from sre_platform.diagnosis.parsers.profile_diff import difference
from sre_platform.diagnosis.parsers.profile_top import render_top
from sre_platform.kernel.errors import Malformed
from tests.diagnosis.profiles import profiles, recorded
from tests.recordings.profiles import record

FOLDER = record.FOLDER
VIEWS = {"top": {}, "cum": {"cum": True}, "top5": {"count": 5}, "all": {"node_fraction": 0, "edge_fraction": 0}}


def differs(before, after, **options):
    return difference(recorded(before), recorded(after), **options)


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("name", record.NAMES)
def test_table(name, view):
    assert render_top(recorded(name), **VIEWS[view]) == (FOLDER / f"{name}.{view}.txt").read_text()


@pytest.mark.parametrize(
    ("name", "profile", "options"),
    [
        ("heap.inuse_objects", lambda: recorded("heap"), {"sample_index": "inuse_objects"}),
        ("heap.alloc_space", lambda: recorded("heap"), {"sample_index": 1}),
        ("mutex.contentions", lambda: recorded("mutex"), {"sample_index": "contentions"}),
        ("cpu.base", lambda: differs("cpu.baseline", "cpu"), {}),
        ("cpu.diff_base", lambda: differs("cpu.baseline", "cpu", of_before=True), {"cum": True}),
        ("heap.base", lambda: differs("heap.earlier", "heap"), {}),
        ("heap.diff_base", lambda: differs("heap.earlier", "heap", of_before=True), {}),
        ("block.base", lambda: differs("block.earlier", "block"), {}),
    ],
)
def test_other_values_and_differences(name, profile, options):
    assert render_top(profile(), **options) == (FOLDER / f"{name}.txt").read_text()


# --- against the live tool --------------------------------------------------------------------------------------------

SHARES = {(): {}, ("-nodefraction=0", "-edgefraction=0"): VIEWS["all"],
          ("-nodefraction=0.1", "-edgefraction=0.2"): {"node_fraction": 0.1, "edge_fraction": 0.2}}  # fmt: skip
LIVE = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


@LIVE
@given(profiles(), st.booleans(), st.integers(0, 4), st.sampled_from(list(SHARES)))
def test_any_profile(real, profile, cum, count, shares):
    options = (*shares, *(["-cum"] if cum else []), *([f"-nodecount={count}"] if count else []))
    assert (
        render_top(profile, cum=cum, count=count, **SHARES[shares]) == real("-top", *options, "p.pb.gz", p=profile)[0]
    )


@LIVE
@given(st.data(), st.sampled_from(["base", "diff_base"]))
def test_any_difference(real, data, how):
    before = data.draw(profiles())
    after = data.draw(st.one_of(profiles(types=before.sample_types), profiles()))
    output, _ = real("-top", f"-{how}=before.pb.gz", "after.pb.gz", before=before, after=after)
    if not output:
        with pytest.raises(Malformed, match="cannot be compared"):
            difference(before, after, how == "diff_base")
        return
    found = difference(before, after, how == "diff_base")
    assert render_top(found) == output
    assert real("-top", "d.pb.gz", d=found)[0] == output, "the download opens in the tool, and shows the same"


@pytest.mark.parametrize(("before", "after"), [("cpu.baseline", "cpu"), ("heap.earlier", "heap")])
def test_a_difference_is_the_one_that_the_tool_saves(real, before, after):
    """Sample for sample; the tool orders labels and leaves the label of the base in."""
    real("-proto", "-output=t.pb.gz", "-base=b.pb.gz", "a.pb.gz", b=recorded(before), a=recorded(after))
    saved = real("-raw", "t.pb.gz")[0]
    assert real("-raw", "d.pb.gz", d=difference(recorded(before), recorded(after)))[0] == saved != ""


def mapped_at(start, value):
    """A profile of one stack in a binary that stands at ``start``."""
    binary = Mapping(1, start, start + 0x5000, 0, "/bin/shop", "b1", True)
    function = Function(1, "main.f", "main.f", "f.go")
    place = Location(1, binary, start + 0x42, (Line(function, 3),))
    return Profile((ValueType("cpu", "ms"),), (Sample((place,), (value,)),), (binary,), (place,), (function,))


def test_a_binary_that_was_mapped_elsewhere_is_the_same(real):
    before, after = mapped_at(0x7F00_0000_0000, 5), mapped_at(0x5500_0000_0000, 8)
    found = difference(before, after)
    assert [(sample.values, sample.locations[0].address) for sample in found.samples] == [((3,), 0x5500_0000_0042)]
    assert difference(before, mapped_at(0x1000, 5)).samples == ()
    assert render_top(found) == real("-top", "-base=b.pb.gz", "a.pb.gz", b=before, a=after)[0]
