"""Files of /proc: recorded ones, and small cases by hand after proc(5) where the recording has nothing to show."""

import contextlib
from pathlib import Path
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sre_platform.diagnosis.parsers import proc
from sre_platform.kernel.errors import Malformed
from tests.diagnosis.mutation import mutated

HOST = Path(__file__).parents[1] / "recordings" / "runtime" / "host"
KIB, MIB = 1 << 10, 1 << 20
READERS = {
    "status": proc.status,
    "stat": proc.stat,
    "maps": proc.maps,
    "smaps_rollup": proc.smaps_rollup,
    "limits": proc.limits,
    "pressure_cpu": proc.pressure,
    "proc_stat": proc.cpu_times,
}


def recorded(name):
    return (HOST / f"{name}.txt").read_text()


def test_status():
    status = proc.status(recorded("status"))
    assert (status.state, status.threads, status.rss_bytes, status.swap_bytes) == ("S", 5, 32832 * KIB, 0)
    assert (status.cpus_allowed, status.mems_allowed, status.huge_pages_enabled) == ({0, 1}, {0}, True)
    assert (status.voluntary_switches, status.involuntary_switches) == (3, 36)


def test_status_of_a_kernel_that_says_little():
    status = proc.status("Name:\tx\nState:\tR (running)\nThreads:\t1\n")
    assert (status.state, status.rss_bytes, status.cpus_allowed, status.huge_pages_enabled) == ("R", None, set(), None)
    assert status.voluntary_switches is None


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("0-3,8,10-11", {0, 1, 2, 3, 8, 10, 11}),
        ("5", {5}),
        ("", set()),
        ("3-1", set()),
        ("0-99999999", set()),
        ("a,2", {2}),
        ("-1", set()),
    ],
)
def test_lists_of_cpus(text, ids):
    assert proc.ids(text) == ids


def test_stat():
    stat = proc.stat(recorded("stat"))
    assert (stat.command, stat.state, stat.minor_faults, stat.major_faults) == ("worker", "S", 14356, 0)
    assert (stat.user_ticks, stat.system_ticks, stat.threads, stat.started_ticks) == (7, 2, 5, 2372410)
    assert stat.block_io_delay_ticks == 0


def test_a_command_with_spaces_and_parentheses():
    assert proc.stat(recorded("stat").replace("(worker)", "(a) S (b 1)")).command == "a) S (b 1"


def test_maps():
    maps = proc.maps(recorded("maps"))
    assert len(maps) == 33
    assert (maps[0].path, maps[0].permissions, maps[0].size_bytes) == ("/app/worker", "r-xp", 0xA9000)
    assert (maps[3].path, maps[-2].path) == ("", "[stack]")
    assert maps[-1].end == 0xFFFFFFFFFF601000
    assert proc.maps("") == (), "a kernel thread has no memory"


def test_a_path_may_hold_spaces():
    (mapping,) = proc.maps("00-10 r--p 0 00:00 0    /a b (deleted)\n")
    assert (mapping.path, mapping.size_bytes) == ("/a b (deleted)", 16)


def test_smaps_rollup():
    rollup = proc.smaps_rollup(recorded("smaps_rollup"))
    assert rollup.rss_bytes == 32832 * KIB
    assert (rollup.anonymous_bytes, rollup.anonymous_huge_bytes, rollup.swap_bytes) == (31288 * KIB, 0, 0)


def test_limits():
    limits = proc.limits(recorded("limits"))
    assert limits["Max open files"] == proc.Limit(20000, 20000, "files")
    assert limits["Max stack size"] == proc.Limit(8 * MIB, None, "bytes")
    assert limits["Max nice priority"] == proc.Limit(0, 0, "")
    assert len(limits) == 16


def test_pressure():
    text = "some avg10=22.00 avg60=7.57 avg300=2.38 total=311\nfull avg10=21.33 avg60=0.00 avg300=2.23 total=189\n"
    pressure = proc.pressure(text)
    assert pressure.some == proc.Stall(pytest.approx(0.22), pytest.approx(0.0757), pytest.approx(0.0238), 311)
    assert pressure.full.total_us == 189
    assert proc.pressure(text.splitlines()[0]).full is None, "the cpu file before Linux 5.13"
    assert proc.pressure(recorded("pressure_cpu")).some.total_us > 0


def test_cpu_times():
    times = proc.cpu_times("cpu  100 10 50 800 40 1 2 3 7 7\ncpu0 1 2 3 4 5 6 7 8 9 9\n")
    assert times == proc.CpuTimes(100, 10, 50, 800, 40, 1, 2, 3)
    later = proc.cpu_times("cpu  110 10 50 860 70 1 2 3 7 7\n").since(times)
    assert (later.share("iowait"), later.share("idle"), later.share("user")) == (0.3, 0.6, 0.1)
    assert proc.cpu_times(recorded("proc_stat")).user > 0


def test_iowait_that_falls_counts_as_nothing():
    later = proc.CpuTimes(0, 0, 0, 10, 3).since(proc.CpuTimes(0, 0, 0, 0, 5))
    assert later.share("iowait") == 0
    assert proc.CpuTimes(0, 0, 0, 0, 0).share("iowait") is None


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("text", ["<html>no</html>", "\x00\xff", "9" * 5000])
def test_refuses_other_text(name, text):
    with pytest.raises(Malformed, match="begins with"):
        READERS[name](text)


@pytest.mark.parametrize("name", READERS)
def test_refuses_a_text_that_is_too_long(name, monkeypatch):
    monkeypatch.setattr(proc, "TEXT_LIMIT", 10)
    with pytest.raises(Malformed, match="more than 10"):
        READERS[name](recorded(name))


@pytest.mark.parametrize("name", READERS)
@given(data=st.data())
def test_any_text_is_a_value_or_malformed(name, data):
    text = data.draw(st.text() | mutated(recorded(name)))
    with contextlib.suppress(Malformed):
        assert READERS[name](text) is not None or not text


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize(
    "piece", [" ", "0-1,", "cpu 1 ", "00-10 r--p 0 0 0 ", "Max a ", ": 1 kB\n", "some a=1 ", "(", "\n"]
)
def test_a_text_made_to_hurt_costs_its_length(name, piece):
    text = piece * ((1 << 20) // len(piece))
    started = process_time()
    with contextlib.suppress(Malformed):
        READERS[name](text)
    assert process_time() - started < 3
