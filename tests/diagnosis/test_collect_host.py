"""The kernel's view of a process: of this machine, of another one, with cgroup v1 and v2; and perf."""

import os
import shutil
import subprocess
import sys

import pytest

from sre_platform.catalog.domain import Target
from sre_platform.clients import machine
from sre_platform.diagnosis.collectors import perf_stat
from sre_platform.kernel.errors import Rejected, Unavailable
from tests.clients.test_machine import prefix
from tests.diagnosis.scene import collect, scene
from tests.fakes.supervisor import supervising

ME = Target("orders", pid=os.getpid())
V2 = {
    "/proc/7/cgroup": b"0::/kubepods.slice/pod1\n",
    "/sys/fs/cgroup/kubepods.slice/pod1/cpu.max": b"50000 100000\n",
    "/sys/fs/cgroup/kubepods.slice/pod1/cpu.stat": b"nr_throttled 5\nthrottled_usec 77\n",
    "/sys/fs/cgroup/kubepods.slice/pod1/memory.current": b"100\n",
    "/sys/fs/cgroup/kubepods.slice/pod1/memory.max": b"max\n",
}
V1 = {
    "/proc/7/cgroup": b"5:memory:/docker/a\n2:cpu,cpuacct:/docker/a\n1:name=systemd:/\n0::/\n",
    "/sys/fs/cgroup/cpu/docker/a/cpu.cfs_quota_us": b"50000\n",
    "/sys/fs/cgroup/cpu/docker/a/cpu.cfs_period_us": b"100000\n",
    "/sys/fs/cgroup/cpu/docker/a/cpu.stat": b"nr_throttled 5\nthrottled_time 77123\n",
    "/sys/fs/cgroup/memory/docker/a/memory.usage_in_bytes": b"100\n",
    "/sys/fs/cgroup/memory/docker/a/memory.limit_in_bytes": b"9223372036854771712\n",
    "/sys/fs/cgroup/memory/docker/a/memory.stat": b"rss 5\n",
    "/sys/fs/cgroup/memory/docker/a/memory.oom_control": b"oom_kill_disable 0\nunder_oom 0\noom_kill 2\n",
    "/sys/fs/cgroup/memory/docker/a/memory.failcnt": b"9\n",
}
ALWAYS = {"/proc/7/status": b"Name:\tx\n", "/proc/stat": b"cpu  1 2\ncpu0 1 2\ncpu1 1 2\nintr 5\n"}


def test_this_process_twice_with_its_machine():
    seen = collect("host", ME, seconds_apart=0.05)
    assert (seen.data["pid"], seen.data["cpus"]) == (os.getpid(), os.cpu_count())
    assert {"status", "stat", "maps", "limits", "proc_stat"} <= set(seen.texts)
    assert {name for name in seen.texts if not name.startswith("earlier/")} == {
        name.removeprefix("earlier/") for name in seen.texts if name.startswith("earlier/")
    }
    assert f"Pid:\t{os.getpid()}" in seen.texts["status"]


def test_the_supervisor_tells_which_process():
    with supervising("orders") as fake, subprocess.Popen(["sleep", "30"]) as child:
        fake.processes["orders"].pid = child.pid
        world = scene(supervisor=fake.url)
        seen = collect("host", Target("orders", process="orders"), world, seconds_apart=0.05)
        child.kill()
        assert (seen.data["pid"], "sleep" in seen.texts["status"]) == (child.pid, True)
        fake.processes["orders"].die("EXITED", 1)
        with pytest.raises(Unavailable, match="orders is EXITED: there is no process"):
            collect("host", Target("orders", process="orders"), world)


@pytest.mark.parametrize(
    ("target", "said"),
    [
        (Target("orders"), "names no pid and no process for orders"),
        (Target("orders", replica="a", process="orders", exec=("ssh", "a")), r"names no pid for orders \(a\)"),
        (Target("orders", pid=4_194_304_999), "no process 4194304999"),
    ],
)
def test_a_process_that_is_not_known_or_not_there(target, said):
    with pytest.raises((Unavailable, Rejected), match=said):
        collect("host", target, seconds_apart=0.05)


def test_a_process_of_another_machine(tmp_path):
    through = tuple(prefix(tmp_path, 'shift; exec "$@"'))
    target = Target("orders", pid=os.getpid(), exec=through)
    there, here = collect("host", target, seconds_apart=0.05), collect("host", ME, seconds_apart=0.05)
    assert there.texts["limits"] == here.texts["limits"]
    assert {"status", "maps", "proc_stat", "earlier/stat"} <= set(there.texts)
    assert there.data["cpus"] == os.cpu_count()
    assert len((tmp_path / "calls").read_text().splitlines()) == 3, "its cgroup, and two looks"


def files(monkeypatch, known):
    asked = []

    def read(paths, prefix=(), *, deadline_s):
        asked.extend(paths)
        assert all(map(machine.allowed, paths))
        return {path: known[path] for path in paths if path in known}

    monkeypatch.setattr(machine, "read", read)
    return asked


def of_cgroup(seen):
    return {name.removeprefix("cgroup/"): text for name, text in seen.texts.items() if name.startswith("cgroup/")}


def test_cgroup_v2_as_it_is(monkeypatch):
    files(monkeypatch, V2 | ALWAYS)
    seen = collect("host", Target("orders", pid=7), seconds_apart=0.01)
    assert seen.data["cgroup"] == "/kubepods.slice/pod1"
    assert of_cgroup(seen) == {path.rpartition("/")[2]: text.decode() for path, text in list(V2.items())[1:]}
    assert seen.texts["earlier/cgroup/cpu.max"] == "50000 100000\n"


def test_cgroup_v1_under_the_names_and_in_the_units_of_v2(monkeypatch):
    files(monkeypatch, V1 | ALWAYS)
    seen = collect("host", Target("orders", pid=7), seconds_apart=0.01)
    assert (seen.data["cgroup"], seen.data["cpus"]) == ("/docker/a", 2)
    assert of_cgroup(seen) == {
        "cpu.max": "50000 100000\n",
        "cpu.stat": "nr_throttled 5\nthrottled_time 77123\nthrottled_usec 77\n",
        "memory.current": "100\n",
        "memory.max": "max\n",
        "memory.stat": "rss 5\n",
        "memory.events": "max 9\noom_kill 2\n",
    }


def test_no_quota_and_a_limit_in_v1(monkeypatch):
    quota = "/sys/fs/cgroup/cpu/docker/a/cpu.cfs_quota_us"
    limit = "/sys/fs/cgroup/memory/docker/a/memory.limit_in_bytes"
    files(monkeypatch, V1 | ALWAYS | {quota: b"-1\n", limit: b"1048576\n"})
    seen = of_cgroup(collect("host", Target("orders", pid=7), seconds_apart=0.01))
    assert (seen["cpu.max"], seen["memory.max"]) == ("max 100000\n", "1048576\n")


def test_in_a_container_its_own_cgroup_is_the_root(monkeypatch):
    inside = {path.replace("/kubepods.slice/pod1", ""): text for path, text in V2.items()}
    files(monkeypatch, inside | ALWAYS | {"/proc/7/cgroup": V2["/proc/7/cgroup"]})
    assert not of_cgroup(collect("host", Target("orders", pid=7), seconds_apart=0.01))
    seen = collect("host", Target("orders", pid=7, exec=("kubectl",)), seconds_apart=0.01)
    assert of_cgroup(seen)["cpu.max"] == "50000 100000\n"


@pytest.mark.parametrize("path", ["/../../etc", "/a b", "/$(id)"])
def test_a_cgroup_with_an_odd_name_is_left_alone(monkeypatch, path):
    asked = files(monkeypatch, {**ALWAYS, "/proc/7/cgroup": f"0::{path}\n".encode()})
    assert not of_cgroup(collect("host", Target("orders", pid=7), seconds_apart=0.01))
    assert not [name for name in asked if name.startswith("/sys")]


def perf(folder, monkeypatch, body):
    program = folder / "perf"
    program.write_text(f'#!/bin/sh\necho "$@" > {folder}/argv\n{body}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


CSV = "1.5,msec,task-clock,15000,100.00,0.1,CPUs utilized\n<not supported>,,cycles,0,100.00,,\n"


def test_perfs_counters_as_it_writes_them(tmp_path, monkeypatch):
    perf(tmp_path, monkeypatch, f"printf '%s' '{CSV}' >&2")
    seen = collect("perf_stat", ME, seconds=0.5)
    assert (seen.texts, seen.data) == ({"perf": CSV}, {"seconds": 0.5})
    argv = (tmp_path / "argv").read_text().split()
    assert argv == ["stat", "-x,", "-e", perf_stat.EVENTS, "-p", str(os.getpid()), "--", "sleep", "0.5"]
    assert seen.asked == ("perf " + " ".join(argv),)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("echo 'Error: No permission to enable task-clock event.' >&2; exit 255", "cannot look .*No permission"),
        ("exit 0", "cannot look"),
        ("sleep 30", "did not finish in time"),
    ],
)
def test_perf_that_may_not_look(tmp_path, monkeypatch, body, said):
    monkeypatch.setattr(perf_stat, "SLACK_S", 0.2)
    perf(tmp_path, monkeypatch, body)
    with pytest.raises(Unavailable, match=said):
        collect("perf_stat", ME, seconds=0.1)


def test_perf_that_is_not_there_or_elsewhere(monkeypatch):
    with pytest.raises(Unavailable, match="runs on another"):
        collect("perf_stat", Target("orders", pid=1, exec=("ssh", "a")))
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    with pytest.raises(Unavailable, match="not installed"):
        collect("perf_stat", ME)


def test_the_real_perf_if_it_may_look_here():
    if not shutil.which("perf"):
        pytest.skip("perf is not installed")
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as busy:
        try:
            seen = collect("perf_stat", Target("orders", pid=busy.pid), seconds=0.3)
        except Unavailable as error:
            pytest.skip(str(error))
        finally:
            busy.kill()
    rows = [line.split(",") for line in seen.texts["perf"].splitlines() if "," in line]
    assert {row[2].partition(":")[0] for row in rows} >= {"task-clock", "context-switches"}
