"""The table of functions is that of `go tool pprof -top`, to the last character."""

from pathlib import Path

import pytest

from sre_platform.diagnosis.parsers.profile import parse
from sre_platform.diagnosis.parsers.profile_diff import difference
from sre_platform.diagnosis.parsers.profile_top import render_top, top
from tests.recordings.profiles import record

FOLDER = record.FOLDER
VIEWS = {"top": {}, "cum": {"cum": True}, "top5": {"count": 5}, "all": {"node_fraction": 0, "edge_fraction": 0}}


def recorded(name):
    return parse((FOLDER / f"{name}.pb.gz").read_bytes())


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
