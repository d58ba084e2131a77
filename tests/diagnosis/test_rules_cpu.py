"""The CPU hot spot: two releases recorded, and shares that grow for other reasons."""

from dataclasses import replace

import pytest

from sre_platform.diagnosis.domain import Evidence
from sre_platform.diagnosis.rules.cpu_hot_spot import CpuHotSpot
from tests.diagnosis.pprof import CONTENTION, CPU, profile
from tests.diagnosis.recorded import recorded, without
from tests.diagnosis.scene import OPENED

PERIOD = 10_000_000  # 100 samples a second


def cpu(rows, seconds=6.0):
    return profile(CPU, [(calls, [count, count * PERIOD], 0) for calls, count in rows], PERIOD, seconds)


def judge(now, before, seconds=(6.0, 6.0), data=None):
    given = {"cpu": cpu(now, seconds[0]), "cpu.baseline": cpu(before, seconds[1])}
    data = {"baseline": {"release": "v1", "at": "2026-03-01T11:00:00Z"}} if data is None else data
    seen = Evidence("go_profiles", "orders", OPENED, data, profiles=given)
    return CpuHotSpot().judge("orders", {"go_profiles": seen})


def rows(hot, rest=200, calls=("regexp.compile", "regexp.MustCompile", "main.accepted:33", "main.quote:9")):
    return [(list(calls), hot), (["main.price:41", "main.quote:9"], rest)]


def test_recorded_release_that_compiles_a_pattern_for_every_line():
    finding = CpuHotSpot().judge("orders", recorded("cpu/sick"))
    assert (finding.cause, finding.family, finding.evidence, finding.confidence) == (
        "go.cpu.hot-spot", "cpu", "profile", 0.85,
    )  # fmt: skip
    assert (finding.site.function, str(finding.site)) == ("main.accepted", "causes/cpu.go:35")
    assert "in release v1" in finding.because[0]
    assert "which calls regexp.MustCompile" in finding.because[0]


def test_two_runs_of_one_release_differ_by_chance_only():
    assert CpuHotSpot().judge("orders", recorded("cpu/healthy")) is None


def test_the_release_that_was_cured_has_no_hot_spot():
    sick = recorded("cpu/sick")["go_profiles"]
    swapped = {"cpu": sick.profiles["cpu.baseline"], "cpu.baseline": sick.profiles["cpu"]}
    assert CpuHotSpot().judge("orders", {"go_profiles": replace(sick, profiles=swapped)}) is None


def test_library_code_counts_for_the_line_that_calls_it_and_the_hottest_line_is_named():
    now = [*rows(60), (["sort.Strings", "main.accepted:35"], 20), (["main.accepted:36"], 10)]
    finding = judge(now, rows(10))
    assert (str(finding.site), finding.count) == ("shop/main.go:33", 90)
    assert finding.because[0] == (
        "orders: main.accepted takes 31% of the CPU samples (90 of 290), 5% in release v1. Its hottest line is"
        " shop/main.go:33, which calls regexp.MustCompile."
    )
    assert finding.because[2] == "It takes 150 ms of CPU per second, 17 ms before."


@pytest.mark.parametrize(
    ("now", "before"),
    [
        (rows(5, 10), rows(0, 15)),  # a third of the samples, but of 15: chance
        (rows(1200, 10_000), rows(700, 10_000)),  # certain, and too little: 4 points
        (rows(2600, 5000), rows(2000, 5000)),  # certain, and 5.6 points: not even a small effect
        (rows(100, 100), rows(100, 300)),  # the other one was made faster
        (rows(200, 60), rows(100, 300)),  # and the machine is twice as fast: 2 times more, the rest 5 times less
        (rows(200, 200), rows(200, 200)),
        (rows(60, 200, ["runtime.gcDrain", "runtime.gcAssistAlloc", "runtime.mallocgc", "main.accepted:33"]), rows(0)),
        (rows(200, 200, ["runtime.futex", "runtime.schedule"]), rows(0)),  # no line of the owner's
        ([], rows(10)),
        (rows(10), []),
    ],
)
def test_near_misses(now, before):
    assert judge(now, before) is None


def test_the_collectors_samples_neither_make_nor_hide_a_hot_spot():
    collecting = [(["runtime.gcDrain", "runtime.gcBgMarkWorker"], 500)]
    assert judge([*rows(60), *collecting], rows(10)).because[0] == judge(rows(60), rows(10)).because[0]
    assert judge(rows(10), [*rows(10), *collecting]) is None


def test_assembly_of_the_runtime_is_nobodys_function():
    nameless = [(["gogo@runtime/asm_amd64.s", "runtime.mcall"], 90), (["_.f@runtime/proc.go", "runtime.mcall"], 90)]
    finding = judge([*rows(60), *nameless], rows(10))
    assert "(60 of 260)" in finding.because[0]
    own = [(["gogo@shop/asm_amd64.s"], 90)]
    assert "gogo takes 26% of the CPU samples (90 of 350)" in judge([*rows(60), *own], rows(10)).because[0]


@pytest.mark.parametrize(
    ("now", "before", "found"),
    [
        ((601, 9399), (100, 9900), True),
        ((599, 9401), (100, 9900), False),  # 4.99 points
        ((11_000, 9000), (4500, 5500), True),
        ((10_980, 9020), (4500, 5500), False),  # Cohen's h is 0.198
        ((1255, 805), (1000, 1000), True),
        ((1245, 805), (1000, 1000), False),  # it takes 1.245 times more
        ((23, 100), (7, 100), True),  # p = 0.0097 after correction
        ((19, 100), (5, 100), False),  # 0.0108
    ],
)
def test_limits(now, before, found):
    assert bool(judge(rows(*now), rows(*before))) is found


def test_the_function_that_gained_most_comes_first_and_the_others_are_told():
    now = [(["main.most:1"], 100), (["main.more:2"], 60), (["main.same:3"], 200)]
    finding = judge(now, [(["main.most:1"], 10), (["main.more:2"], 5), (["main.same:3"], 200)])
    assert finding.site.function == "main.most"
    assert finding.because[3:] == ["So does main.more: 17%, 2% before."]


def test_of_many_functions_one_that_grew_by_chance_is_not_named():
    """p = 0.001 alone; among 60 functions somebody is as unlucky in one of twenty profiles."""
    others = [([f"main.f{n}:1"], 3) for n in range(60)]
    hot, quiet = [*others, (["main.hot:1"], 22)], [*others, (["main.hot:1"], 5)]
    assert judge(hot, quiet) is None
    few, fewer = [(["main.a:1"], 180), (["main.hot:1"], 22)], [(["main.a:1"], 180), (["main.hot:1"], 5)]
    assert judge(few, fewer)


def test_a_hot_spot_is_seen_under_half_the_load_too():
    assert judge(rows(200, 100), rows(60, 200))


def test_more_load_with_the_same_shares_is_no_hot_spot():
    assert judge(rows(400, 2000), rows(40, 200)) is None


def test_unknown_durations_make_it_less_sure():
    finding = judge(rows(60), rows(10), seconds=(0.0, 6.0), data={})
    assert (finding.confidence, len(finding.because)) == (0.75, 2)
    assert "5% in the baseline" in finding.because[0]
    assert any("How long each profile took" in said for said in finding.would_decide)


def test_missing_and_broken_profiles():
    seen = recorded("cpu/sick")
    rule = CpuHotSpot()
    for lacking in ("cpu", "cpu.baseline"):
        assert rule.judge("orders", without(seen, "go_profiles", lacking)) is None
        for bad in (b"", b"<html>", profile(CONTENTION, [(["main.f"], [1, 1], 0)])):
            one = seen["go_profiles"]
            broken = replace(one, profiles={**one.profiles, lacking: bad})
            assert rule.judge("orders", {"go_profiles": broken}) is None
    assert rule.judge("orders", {}) is None
    assert rule.judge("orders", {"go_profiles": replace(seen["go_profiles"], missing="refused")}) is None
