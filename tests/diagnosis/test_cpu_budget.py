import pytest

from sre_platform.diagnosis.rca.cpu_budget import cpu_budget, release
from sre_platform.diagnosis.rca.documents import Documents
from tests.diagnosis.runtime_scene import cpu_stat, cycles, host, latencies, metrics, samples, status, trace


def budget(*evidence):
    return cpu_budget(Documents({item.collector: item for item in evidence}))


@pytest.mark.parametrize(
    ("version", "numbers"),
    [
        ("go1.27.3", (1, 27)), ("go1.25", (1, 25)), ("go1.27rc1", (1, 27)), ("devel go1.28-0a1b2c Thu", (1, 28)),
        ("go1.26.1 X:nogreenteagc", (1, 26)), ("", None), ("go", None), ("1.25", None), ("gox.y", None),
        (f"go1.{'9' * 5000}", None),
    ],
)  # fmt: skip
def test_releases(version, numbers):
    assert release(version) == numbers


@pytest.mark.parametrize(("version", "follows"), [("go1.24.9", False), ("go1.25.0", True), ("", False)])
def test_who_follows_the_quota(version, follows):
    assert budget(metrics(f'go_info{{version="{version}"}} 1\n')).follows_quota == follows


def test_cpus_are_those_online_and_allowed():
    assert budget(host(8)).cpus == 8
    assert budget(host(8, status=status(cpus="0-1"))).cpus == 2
    assert budget(host(status=status(cpus="0-3"))).cpus == 4
    assert budget(host(8, status="no")).cpus == 8
    assert budget().cpus is None


@pytest.mark.parametrize(("quota", "usable"), [("max 100000", 8), ("250000 100000", 3), ("50000 100000", 1), ("x", 8)])
def test_usable_cpus_round_the_quota_up(quota, usable):
    assert budget(host(8, cgroup__cpu_dot_max=quota)).usable == usable


def test_gomaxprocs_by_whatever_tells_it():
    page, collector = metrics("go_sched_gomaxprocs_threads 6\n"), trace(cycles(2, procs=5))
    assert budget(trace(cycles(2, procs=5), samples(2, procs=7)), page).procs == 7
    assert budget(collector, page).procs == 6
    assert budget(collector).procs == 5
    assert budget(metrics("go_sched_gomaxprocs_threads +Inf\n")).procs is None
    assert budget().procs is None


def test_iowait_between_two_looks():
    times = "cpu  {} 0 0 {} {} 0 0 0 0 0\n"
    both = host(4, proc_stat=times.format(110, 50, 40), earlier_proc_stat=times.format(100, 0, 0))
    assert budget(both).iowait == 0.4
    assert budget(host(4, proc_stat=times.format(1, 2, 3))).iowait is None


def test_delays():
    assert budget(metrics(latencies(990, 10))).delays() == []
    seen = budget(metrics(latencies(900, 100)))
    assert seen.delays() == ["P99 of the wait for a P is 106.7 ms, 5 ms is long."]
    assert budget(metrics(latencies(80, 19))).delay_s is None, "99 waits are too few"
    assert budget(metrics(latencies(80, 20))).delay_s is not None
    assert budget(metrics(latencies(1980, 120), latencies(1000, 100))).delays() != [], "20 of 1000 since then"
    assert budget(metrics(latencies(2000, 100), latencies(1000, 100))).delays() == []


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ((100, 10), (120, 15), ["The quota throttled 5 of 20 periods (25%), for 1.50 s together."]),
        ((100, 10), (120, 14), []),
        ((100, 10), (109, 19), []),  # less than a second
        ((100, 10), (110, 15), ["The quota throttled 5 of 10 periods (50%), for 1.50 s together."]),
        ((0, 0), (0, 0), []),
    ],
)
def test_throttled_periods(before, after, said):
    now, earlier = cpu_stat(*after, 2_000_000), cpu_stat(*before, 500_000)
    looks = {"cgroup__cpu_dot_stat": now, "earlier_cgroup__cpu_dot_stat": earlier}
    assert budget(host(4, **looks)).throttled() == said


def test_advice():
    assert budget(host(4), trace(schedtrace=samples(procs=4))).advice() == []
    (said,) = budget(host(4), trace(schedtrace=samples(procs=16))).advice()
    assert said == "Set GOMAXPROCS=4 (4 CPUs x (1 - 0.00 iowait) = 4.00, kept between 2 and 8)."
    assert budget(trace(schedtrace=samples(procs=16))).advice() == [], "nobody knows how many CPUs there are"
