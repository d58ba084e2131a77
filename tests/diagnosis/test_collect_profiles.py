"""What is asked of a Go process, in which order, for how long, and what is said when it is refused."""

import os
from dataclasses import replace
from datetime import UTC, datetime
from time import monotonic

import pytest

from sre_platform.catalog.domain import PprofAuth, Target
from sre_platform.diagnosis.collectors import go_goroutines
from sre_platform.diagnosis.collectors.go_goroutines import FULL_DUMP_LIMIT, LEAK_PROFILE_LIMIT
from sre_platform.diagnosis.investigate import Baseline
from sre_platform.kernel.errors import Unavailable
from tests.diagnosis.scene import collect, scene
from tests.diagnosis.test_collectors import LEAK, Pprof
from tests.fakes.wire import Answer, serving


class Go:
    """A Go process: /metrics with a gauge, goroutine dumps, and profiles that count how often they were asked."""

    def __init__(self, goroutines=None, refuse=(), silent_s=0.0):
        self.goroutines, self.refuse, self.silent_s = goroutines, refuse, silent_s
        self.dumps, self.asked = Pprof(), []

    def __call__(self, call):
        self.asked.append(call.path.removeprefix("/debug/pprof/"))
        if call.path == "/metrics":
            gauge = "" if self.goroutines is None else f"go_goroutines {self.goroutines}\n"
            return Answer(200, f"other 1\n{gauge}".encode())
        kind = self.asked[-1].partition("?")[0]
        if kind in self.refuse:
            return Answer(404, b"Unknown profile")
        if kind.startswith("goroutine"):
            return self.dumps(call)
        return Answer(200, f"{kind} {len(self.asked)}".encode())


def looked(go, name="go_goroutines", world=None, **params):
    with serving(go) as wire:
        target = Target("orders", metrics_url=f"{wire.url}/metrics", pprof_url=f"{wire.url}/debug/pprof")
        return collect(name, target, world, **params)


def test_the_gauge_tells_how_many_there_are_and_nothing_is_dumped_for_that():
    go = Go(128)
    seen = looked(go, seconds_apart=0.05)
    assert go.asked == ["/metrics", "goroutine?debug=2", "goroutine?debug=2", "goroutineleak?debug=1"]
    assert (seen.data["first_count"], seen.data["full"]) == (128, True)
    assert [line.rpartition("/")[2] for line in seen.asked] == ["metrics", *go.asked[1:]]


@pytest.mark.parametrize(
    ("goroutines", "dump", "leak"),
    [
        (FULL_DUMP_LIMIT, "goroutine?debug=2", True),
        (FULL_DUMP_LIMIT + 1, "goroutine", True),
        (LEAK_PROFILE_LIMIT, "goroutine", True),
        (LEAK_PROFILE_LIMIT + 1, "goroutine", False),
        (2_000_000, "goroutine", False),
    ],
)
def test_the_more_there_are_the_less_is_asked(goroutines, dump, leak):
    go = Go(goroutines)
    seen = looked(go, seconds_apart=0.05)
    assert go.asked == ["/metrics", *[dump] * 2, *["goroutineleak?debug=1"] * leak]
    assert seen.data["full"] is (dump == "goroutine?debug=2")
    assert set(seen.profiles if dump == "goroutine" else seen.texts) >= {"earlier", "goroutine"}
    assert ("goroutineleak" in seen.texts) is leak
    if not leak:
        assert f"of {goroutines} goroutines" in seen.data["no_leak_profile"]


def test_the_leak_profile_of_very_many_is_taken_when_the_playbook_asks_for_it():
    seen = looked(Go(2_000_000), seconds_apart=0.05, leak_profile_at_any_size=True)
    assert "goroutineleak" in seen.texts


def test_without_the_gauge_a_profile_tells():
    go = Go()
    looked(go, seconds_apart=0.05)
    assert go.asked[:3] == ["/metrics", "goroutine", "goroutine?debug=2"]


@pytest.mark.parametrize("which", [1, 2])
def test_stacks_too_deep_for_a_full_dump_are_counted_instead(monkeypatch, which):
    go = Go(128)
    full = (LEAK / ("earlier.txt" if which == 1 else "goroutine.txt")).stat().st_size
    monkeypatch.setattr(go_goroutines, "MAX_BYTES", full - 1)
    seen = looked(go, seconds_apart=0.05)
    dumps = [asked for asked in go.asked if asked.startswith("goroutine") and "leak" not in asked]
    assert dumps[which - 1 : which + 1] == ["goroutine?debug=2", "goroutine"]
    assert (seen.data["full"], set(seen.profiles) >= {"goroutine"}, "goroutine" in seen.texts) == (False, True, False)


def test_a_look_whose_time_is_over_asks_for_nothing_more():
    go = Go(5)
    with pytest.raises(Unavailable, match="the second look"):
        looked(go, world=replace(scene(), until=monotonic() + 0.5), seconds_apart=1)
    assert go.asked == ["/metrics", "goroutine?debug=2"]
    over = replace(scene(), until=monotonic() - 1)
    for name in ("go_goroutines", "go_profiles", "go_runtime"):
        silent = Go(5)
        with pytest.raises(Unavailable, match="time for looking was over"):
            looked(silent, name, world=over)
        assert silent.asked == []


def test_credentials_are_sent_and_told_nowhere(monkeypatch):
    monkeypatch.setenv("ORDERS_PPROF", "t0p-s3cret")
    go = Go(5)
    with serving(go) as wire:
        target = Target("orders", pprof_url=f"{wire.url}/debug/pprof", pprof_auth=PprofAuth(bearer_env="ORDERS_PPROF"))
        for name in ("go_goroutines", "go_profiles"):
            seen = collect(name, target, **({"seconds_apart": 0.05} if name == "go_goroutines" else {"cpu_seconds": 1}))
            assert "t0p-s3cret" not in repr(seen)
        assert {call.headers.get("authorization") for call in wire.calls} == {"Bearer t0p-s3cret"}
    assert os.environ["ORDERS_PPROF"]


def test_profiles_are_taken_before_and_after_the_time_of_the_cpu_profile():
    go = Go()
    seen = looked(go, "go_profiles", cpu_seconds=1)
    twice = ["heap", "allocs", "mutex", "block"]
    assert go.asked == [*twice, "profile?seconds=1", *twice, "threadcreate"]
    assert set(seen.profiles) == {*twice, *(f"{kind}.earlier" for kind in twice), "cpu", "threadcreate"}
    assert (seen.profiles["heap.earlier"], seen.profiles["heap"]) == (b"heap 1", b"heap 6")
    assert (seen.data["cpu_seconds"], seen.data["refused"], seen.data["baseline"]) == (1, {}, {})
    assert len(seen.asked) == 10


def test_what_is_refused_is_said_once_and_the_rest_is_there():
    go = Go(refuse=("mutex", "profile"))
    seen = looked(go, "go_profiles")
    assert go.asked.count("mutex") == 1
    assert set(seen.data["refused"]) == {"mutex", "cpu"}
    assert "404" in seen.data["refused"]["cpu"]
    assert (seen.data["cpu_seconds"], "heap" in seen.profiles, "mutex" in seen.profiles) == (0, True, False)


def test_nothing_at_all_is_missing_with_its_reason():
    with pytest.raises(Unavailable, match=r"No profile could be taken: .*404"):
        looked(Go(refuse=("heap",)), "go_profiles", kinds=["heap"])


def test_without_a_cpu_profile_time_passes_all_the_same():
    seen = looked(Go(), "go_profiles", kinds=["heap"], cpu_seconds=1)
    assert set(seen.profiles) == {"heap.earlier", "heap"}
    assert (seen.data["cpu_seconds"], seen.data["seconds_apart"] >= 1) == (0, True)


@pytest.mark.parametrize(("running", "compared"), [("v2", True), ("v1", False), ("", False)])
def test_the_profiles_of_a_good_day_are_there_when_another_release_runs(tmp_path, running, compared):
    if running:
        (tmp_path / "current").symlink_to(tmp_path / running)
    at = datetime(2026, 1, 1, tzinfo=UTC)
    world = replace(scene(), baselines={"orders": Baseline("v1", at, {"cpu": b"good", "heap": b"small"})})
    with serving(Go()) as wire:
        target = Target("orders", pprof_url=f"{wire.url}/debug/pprof", release_link=str(tmp_path / "current"))
        seen = collect("go_profiles", target, world, kinds=["heap"], cpu_seconds=1)
    assert seen.data["baseline"] == ({"release": "v1", "at": at.isoformat()} if compared else {})
    assert ("cpu.baseline" in seen.profiles, "heap.baseline" in seen.profiles) == (compared, compared)


def test_the_page_of_metrics_twice():
    go = Go(7)
    seen = looked(go, "go_runtime", seconds_apart=0.1)
    assert go.asked == ["/metrics", "/metrics"]
    assert seen.texts == {"earlier": "other 1\ngo_goroutines 7\n", "metrics": "other 1\ngo_goroutines 7\n"}
    assert 0.1 <= seen.data["seconds_apart"] < 1


@pytest.mark.parametrize(("asked", "heap"), [(True, "heap?gc=1"), (False, "heap")])
def test_garbage_is_collected_only_when_the_playbook_asks_for_it(asked, heap):
    go = Go()
    looked(go, "go_profiles", cpu_seconds=1, kinds=["heap", "allocs"], collect_garbage=asked)
    assert go.asked == [heap, "allocs", heap, "allocs"]


def test_bounds_are_those_of_the_cost_table():
    assert (FULL_DUMP_LIMIT, LEAK_PROFILE_LIMIT, go_goroutines.MAX_BYTES) == (20_000, 500_000, 64 * 1024 * 1024)
