"""A quota that is too small: throttling that the kernel counted, and goroutines or tasks that wait for it."""

import pytest

from sre_platform.diagnosis.rca.weighing import RECORDED
from tests.diagnosis.runtime_scene import cpu_stat, host, judge, latencies, metrics, pressure, samples, trace

QUOTA = {"cgroup__cpu_dot_max": "50000 100000"}
BEFORE = {"earlier_cgroup__cpu_dot_stat": cpu_stat(100, 10)}
THROTTLED = BEFORE | {"cgroup__cpu_dot_stat": cpu_stat(120, 20, 900_000)}
FREE = BEFORE | {"cgroup__cpu_dot_stat": cpu_stat(120, 11)}
WAITS = metrics(latencies(900, 100))


def found(*evidence):
    return judge("host_cpu_quota", *evidence)


def test_throttled_and_waited_for():
    finding = found(host(2, **QUOTA, **THROTTLED), WAITS)
    assert (finding.cause, finding.evidence, finding.confidence) == ("host.cpu-quota", "host", RECORDED)
    assert list(finding.because)[:2] == [
        "payments: The quota throttled 10 of 20 periods (50%), for 0.90 s together.",
        "The quota is 0.5 CPUs.",
    ]
    assert finding.because[2].startswith("P99 of the wait for a P is ")


def test_tasks_that_wait_for_it_are_an_effect_too_and_it_stands_before_pressure_alone():
    looks = host(2, pressure__cpu=pressure(some10=50), **QUOTA, **THROTTLED)
    assert "Tasks waited for a CPU in 50%" in found(looks).because[2]
    assert found(looks, WAITS).confidence > judge("host_cpu_pressure", looks, WAITS).confidence


@pytest.mark.parametrize(
    ("looks", "why"),
    [
        (host(2, **QUOTA, **FREE), "hardly throttled"),
        (host(2, **QUOTA), "nothing is known of throttling"),
        (host(2, **THROTTLED), "no quota is known"),
        (host(2, cgroup__cpu_dot_max="max 100000", **THROTTLED), "there is none"),
    ],
)
def test_what_is_no_quota_that_is_too_small(looks, why):
    assert found(looks, WAITS) is None, why


def test_throttling_that_nothing_waits_for_is_none():
    assert found(host(2, **QUOTA, **THROTTLED)) is None
    assert found(host(2, **QUOTA, **THROTTLED), metrics(latencies(1000, 0))) is None


def test_more_ps_than_the_quota_are_another_cause():
    assert found(host(16, **QUOTA, **THROTTLED), WAITS, trace(schedtrace=samples(procs=16))) is None
    assert found(host(16, **QUOTA, **THROTTLED), WAITS, trace(schedtrace=samples(procs=2))).confidence == RECORDED
