"""Files of control groups. What has a quota or a limit is by hand after cgroup-v2.rst, sched-bwc.rst and memory.rst."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sre_platform.diagnosis.parsers import cgroup
from sre_platform.diagnosis.parsers.cgroup import CpuQuota, CpuStat, MemoryEvents, MemoryStat
from sre_platform.kernel.errors import Malformed
from tests.diagnosis.mutation import mutated

HOST = Path(__file__).parents[1] / "recordings" / "runtime" / "host"
CPU_STAT = """usage_usec 1000000
user_usec 700000
system_usec 300000
nr_periods 200
nr_throttled 50
throttled_usec 400000
nr_bursts 0
burst_usec 0
"""
MEMORY_STAT = "anon 1048576\nfile 2097152\nkernel 4096\nworkingset_refault_file 3\npgmajfault 7\n"
MEMORY_EVENTS = "low 0\nhigh 12\nmax 3\noom 1\noom_kill 1\noom_group_kill 0\n"
READERS = {
    cgroup.cpu_max: "50000 100000\n",
    cgroup.cpu_stat: CPU_STAT,
    cgroup.memory_bytes: "max\n",
    cgroup.memory_stat: MEMORY_STAT,
    cgroup.memory_events: MEMORY_EVENTS,
}


def recorded(name):
    return (HOST / f"{name}.txt").read_text()


@pytest.mark.parametrize(
    ("text", "quota", "cores"),
    [
        ("50000 100000\n", CpuQuota(50000, 100000), 0.5),
        ("400000 100000", CpuQuota(400000, 100000), 4),
        ("max 100000\n", CpuQuota(None, 100000), None),
        ("-1 100000", CpuQuota(None, 100000), None),
    ],
)
def test_cpu_max(text, quota, cores):
    assert cgroup.cpu_max(text) == quota
    assert quota.cores == cores


@pytest.mark.parametrize("text", ["", "max", "1 0", "0 100000", "-5 100000", "1 -1", "a b", "1 2 3", "9" * 5000 + " 1"])
def test_no_cpu_max(text):
    with pytest.raises(Malformed, match=r"not cpu\.max"):
        cgroup.cpu_max(text)


def test_cpu_stat():
    stat = cgroup.cpu_stat(CPU_STAT)
    assert stat == CpuStat(200, 50, 400_000, 1_000_000)
    assert stat.throttled_share == 0.25
    since = stat.since(CpuStat(100, 45, 100_000, 400_000))
    assert since == CpuStat(100, 5, 300_000, 600_000)
    assert CpuStat(3, 1, 5, 6).since(stat) == CpuStat(3, 1, 5, 6), "the group was made anew"


def test_cpu_stat_of_v1_is_in_nanoseconds():
    assert cgroup.cpu_stat("nr_periods 10\nnr_throttled 2\nthrottled_time 5000000\n") == CpuStat(10, 2, 5000, None)
    assert cgroup.cpu_stat(recorded("cgroup_v1_cpu_stat")).throttled_share is None


def test_cpu_stat_without_a_quota():
    assert cgroup.cpu_stat(recorded("cgroup_v2_cpu_stat")).usage_us == 15206585716


@pytest.mark.parametrize(
    ("text", "size"),
    [("max\n", None), ("1048576\n", 1 << 20), ("9223372036854771712", None), (str((1 << 63) - 65536), None)],
)
def test_memory_bytes(text, size):
    assert cgroup.memory_bytes(text) == size


@pytest.mark.parametrize("text", ["", "-1", "1 2", "1.5", "9" * 5000])
def test_no_memory_bytes(text):
    with pytest.raises(Malformed, match="no number of bytes"):
        cgroup.memory_bytes(text)


def test_memory_stat():
    assert cgroup.memory_stat(MEMORY_STAT) == MemoryStat(1 << 20, 2 << 20, 7)
    assert cgroup.memory_stat(recorded("cgroup_v1_memory_stat")) == MemoryStat(188624896, 1654624256, 29775)


def test_memory_events():
    events = cgroup.memory_events(MEMORY_EVENTS)
    assert events == MemoryEvents(12, 3, 1, 1)
    assert events.since(MemoryEvents(10, 3, 1, 0)) == MemoryEvents(2, 0, 0, 1)
    assert events.since(MemoryEvents(13, 3, 1, 1)) == events, "the group was made anew"
    assert cgroup.memory_events("oom_kill_disable 0\nunder_oom 0\noom_kill 3\n") == MemoryEvents(0, 0, 0, 3)
    assert cgroup.memory_events(recorded("cgroup_v1_oom_control")) == MemoryEvents(0, 0, 0, 0)


@pytest.mark.parametrize("read", READERS, ids=lambda read: read.__name__)
@pytest.mark.parametrize("text", ["<html>no</html>", "", "\x00", "usage_usec " + "9" * 5000])
def test_refuses_other_text(read, text):
    with pytest.raises(Malformed, match="begins with"):
        read(text)


@pytest.mark.parametrize("read", READERS, ids=lambda read: read.__name__)
@given(data=st.data())
def test_any_text_is_a_value_or_malformed(read, data):
    with contextlib.suppress(Malformed):
        assert read(data.draw(st.text() | mutated(READERS[read]))) != ""
