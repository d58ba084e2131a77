"""What each collector sees of a healthy service and of a broken one, and that it says so when it cannot see."""

import threading
from dataclasses import replace
from time import monotonic

import pytest

from sre_platform.catalog.domain import Target
from sre_platform.diagnosis.collectors import go_goroutines, health
from sre_platform.diagnosis.investigate import COLLECTORS
from sre_platform.diagnosis.parsers.goroutines import parse as dump_of
from sre_platform.diagnosis.parsers.profile import parse
from sre_platform.diagnosis.parsers.profile_encode import encode
from sre_platform.diagnosis.rca.ranking import NOT_NAMED
from sre_platform.kernel.errors import Malformed, Rejected, SreError, TooLarge, Unavailable
from sre_platform.kernel.sli import Sli
from sre_platform.playbook.schema import Criterion
from tests.diagnosis.scene import Says, collect, deploy, scene
from tests.fakes.supervisor import supervising
from tests.fakes.wire import Answer, serving
from tests.recordings import FOLDER

LEAK = FOLDER / "go" / "leak"
ERRORS = Criterion(name="share of errors", sli=Sli("gauge", "bad"), op="<=", threshold=0.02)


def test_all_collectors_are_registered():
    assert COLLECTORS.names() == [
        "go_goroutines",
        "go_profiles",
        "go_runtime",
        "go_trace",
        "health",
        "host",
        "log_folder",
        "log_templates",
        "perf_stat",
        "process",
        "process_log",
        "prometheus_window",
        "recent_changes",
        "sli_window",
    ]


@pytest.mark.parametrize(
    ("name", "lacks"),
    [
        ("go_goroutines", "pprof_url"),
        ("go_profiles", "pprof_url"),
        ("go_runtime", "metrics_url"),
        ("go_trace", "log_file"),
        ("log_templates", "log_file"),
        ("health", "health_url"),
        ("process", "process"),
        ("process_log", "process"),
        ("sli_window", "objectives"),
    ],
)
def test_what_the_catalog_does_not_name_is_said_and_not_guessed(name, lacks):
    with pytest.raises(Unavailable, match=f"{NOT_NAMED}{lacks} for payments"):
        collect(name, Target("payments"))


class Pprof:
    """A Go service's /debug/pprof, with the recorded dumps of a leak."""

    def __init__(self, total=128, leak_profile=True):
        self.total, self.leak_profile, self.asked, self.folder = total, leak_profile, [], LEAK

    def __call__(self, call):
        profile = call.path.removeprefix("/debug/pprof/")
        self.asked.append(profile)
        if profile == "goroutine":
            return Answer(200, goroutines(self.total))
        if profile == "goroutine?debug=2":
            first = self.asked.count(profile) == 1
            return Answer(200, (self.folder / ("earlier.txt" if first else "goroutine.txt")).read_bytes())
        if profile == "goroutineleak?debug=1" and self.leak_profile:
            return Answer(200, (self.folder / "goroutineleak.txt").read_bytes())
        return Answer(404, b"Unknown profile")


def goroutines(total):
    """The recorded profile in protobuf, with so many goroutines."""
    profile = parse((FOLDER / "profiles" / "goroutine.pb.gz").read_bytes())
    first, *others = profile.samples
    rest = total - sum(sample.values[0] for sample in others)
    return encode(replace(profile, samples=(replace(first, values=(rest,)), *others)))


def dumps(pprof):
    with serving(pprof) as wire:
        return collect("go_goroutines", Target("orders", pprof_url=f"{wire.url}/debug/pprof"), seconds_apart=0.05)


def test_goroutines_are_counted_first_and_the_leak_profile_comes_last():
    pprof = Pprof()
    evidence = dumps(pprof)
    assert pprof.asked == ["goroutine", "goroutine?debug=2", "goroutine?debug=2", "goroutineleak?debug=1"]
    assert {name: len(text) for name, text in evidence.texts.items()} == {
        name: len((LEAK / f"{name}.txt").read_text()) for name in ("earlier", "goroutine", "goroutineleak")
    }
    assert evidence.data["seconds_apart"] >= 0.05
    assert (evidence.data["full"], evidence.data["first_count"]) == (True, 128)


def test_too_many_goroutines_are_never_dumped_one_by_one():
    at_limit, above = Pprof(go_goroutines.FULL_DUMP_LIMIT), Pprof(go_goroutines.FULL_DUMP_LIMIT + 1)
    assert dumps(at_limit).data["full"] is True
    evidence = dumps(above)
    assert above.asked == ["goroutine", "goroutine", "goroutineleak?debug=1"]
    assert evidence.data["full"] is False
    assert set(evidence.texts) == {"goroutineleak"}
    assert {name: dump_of(data).total for name, data in evidence.profiles.items()} == {
        "earlier": above.total,
        "goroutine": above.total,
    }


def test_a_runtime_without_the_leak_profile_is_no_failure():
    evidence = dumps(Pprof(leak_profile=False))
    assert "404" in evidence.data["no_leak_profile"]
    assert set(evidence.texts) == {"earlier", "goroutine"}


def test_an_answer_that_is_no_profile_is_refused():
    with pytest.raises(Malformed, match="not a goroutine profile"):
        dumps(lambda _call: Answer(200, b"<html>login</html>"))


def test_no_more_is_read_than_the_bound(monkeypatch):
    monkeypatch.setattr(go_goroutines, "MAX_BYTES", 1000)
    with pytest.raises(TooLarge, match="more than 1000 bytes"):
        dumps(lambda _call: Answer(200, b"goroutine profile: total 1\n" + b"x" * 1000))


def probes(answer, **params):
    with serving(answer) as wire:
        return collect("health", Target("payments", health_url=f"{wire.url}/healthz"), **params).data["probes"]


def test_health_of_a_service_that_answers():
    first, second = probes(Answer(200, b"ok\n"), tries=2)
    assert (first["ok"], first["status"], first["said"]) == (True, 200, "ok")
    assert second["ok"]
    assert 0 <= first["ms"] < 700


@pytest.mark.parametrize("status", [500, 503, 404, 302])
def test_health_that_is_not_well_is_an_answer(status):
    [probe] = probes(Answer(status, b"x" * 999), tries=1)
    assert (probe["ok"], probe["status"]) == (False, status)
    assert len(probe["said"]) == health.SHOWN_CHARACTERS


def test_health_that_hangs_is_not_waited_for():
    ended = threading.Event()
    began = monotonic()
    with serving(lambda _call: (ended.wait(5), Answer())[1]) as wire:
        url = f"{wire.url}/healthz"
        [one, two] = collect("health", Target("payments", health_url=url), tries=2, timeout_s=0.1).data["probes"]
        ended.set()
    assert monotonic() - began < 1
    assert (one["ok"], one["status"], two["ok"]) == (False, None, False)
    assert one["ms"] >= 90


def test_health_of_nobody():
    [probe] = collect("health", Target("payments", health_url="http://127.0.0.1:1/"), tries=1).data["probes"]
    assert (probe["ok"], probe["status"], "refused" in probe["said"]) == (False, None, True)


def test_process_that_runs_and_one_that_ended():
    with supervising("payments") as fake:
        world, target = scene(supervisor=fake.url), Target("payments", process="payments")
        up = collect("process", target, world).data
        assert (up["state"], up["pid"], up["down_s"]) == ("RUNNING", fake.processes["payments"].pid, 0)
        assert up["up_s"] >= 300
        fake.processes["payments"].die("EXITED", -1)
        fake.processes["payments"].since -= 7
        down = collect("process", target, world).data
        assert (down["state"], down["exit_status"], down["up_s"]) == ("EXITED", -1, 0)
        assert 7 <= down["down_s"] <= 9


def test_the_log_of_a_process_is_what_it_wrote_and_what_its_supervisor_says_of_it():
    target = Target("payments", process="payments")
    with supervising("payments") as fake:
        fake.processes["payments"].stdout = b"x" * 2000 + b"\npanic: no\n"
        fake.log = b"2026-11-21 22:00:15,274 WARN exited: payments (exit status 2; not expected)\nnobody\n"
        evidence = collect("process_log", target, scene(supervisor=fake.url), kib=1)
    assert len(evidence.texts["output"]) == 1024
    assert evidence.texts["output"].endswith("\npanic: no\n")
    assert evidence.texts["supervisor"] == fake.log.decode().partition("nobody")[0]
    assert evidence.data == {"process": "payments", "refused": {}}


def test_the_half_of_a_log_that_can_be_read_is_kept_and_why_the_other_is_not():
    target = Target("payments", process="payments")
    with supervising("payments") as fake:
        evidence = collect("process_log", target, scene(supervisor=fake.url))
        fake.fail = {"readLog": "refuse"}
        with pytest.raises(Unavailable, match=r"No log of payments could be read: .*NO_FILE"):
            collect("process_log", target, scene(supervisor=fake.url))
    assert set(evidence.texts) == {"supervisor"}
    assert "NO_FILE" in evidence.data["refused"]["output"]


def test_process_that_cannot_be_seen():
    target = Target("payments", process="payments")
    with pytest.raises(Unavailable, match="SRE_SUPERVISOR_URL"):
        collect("process", target)
    with supervising("orders") as fake, pytest.raises(Rejected, match="BAD_NAME"):
        collect("process", target, scene(supervisor=fake.url))


def test_changes_within_the_time_asked_for(tmp_path):
    (tmp_path / "current").symlink_to(tmp_path / "v2")
    target = Target("payments", release_link=str(tmp_path / "current"))
    data = collect("recent_changes", target, scene(deploy(40), deploy(601)), minutes=10).data
    assert data["running"] == "v2"
    [change] = data["changes"]
    assert (change["before"], change["after"], change["seconds_before"], change["by"]) == ("v1", "v2", 40.0, "ann")


def test_changes_of_a_service_without_a_link_or_without_changes():
    assert collect("recent_changes", Target("payments")).data == {"minutes": 15, "changes": [], "running": ""}


@pytest.mark.parametrize(("value", "met"), [(0.01, True), (0.02, True), (0.3, False), (None, None)])
def test_objectives_as_they_are(value, met):
    target = Target("payments", objectives=(ERRORS,))
    [row] = collect("sli_window", target, scene(measurer=Says(value))).data["objectives"]
    assert (row["name"], row["value"], row["met"]) == ("share of errors", value, met)
    assert bool(row["missing"]) == (met is None)


@pytest.mark.parametrize("name", COLLECTORS.names())
def test_unknown_parameters_are_refused(name):
    with pytest.raises(ValueError, match="Extra inputs"):
        COLLECTORS.get(name).Params(nonsense=1)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/debug/pprof", "ftp://x/debug/pprof"])
def test_goroutines_of_nobody(url):
    with pytest.raises(SreError):
        collect("go_goroutines", Target("payments", pprof_url=url))


def test_each_collector_says_what_it_asked(tmp_path):
    with supervising("payments") as fake, serving(Answer(200)) as wire:
        url = wire.url.replace("http://", "http://ann:hunter2@")
        target = Target("payments", health_url=f"{url}/healthz", process="payments", objectives=(ERRORS,))
        world = scene(supervisor=fake.url, measurer=Says(0.1))
        asked = {name: collect(name, target, world).asked for name in ("health", "process", "sli_window")}
    assert asked == {
        "health": (f"GET {wire.url}/healthz",) * 2,
        "process": ("supervisor.getProcessInfo(payments)",),
        "sli_window": ("gauge of bad, now",),
    }
