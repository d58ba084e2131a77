from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sre_platform.diagnosis.rca import tuning
from sre_platform.diagnosis.rca.tuning import MIB, gogc, gomaxprocs, gomemlimit

CPUS = st.integers(1, 512)
QUOTAS = st.none() | st.floats(0.01, 600)
SHARES = st.floats(0, 1)
DELAYS = st.none() | st.floats(0, 1)


@pytest.mark.parametrize(
    ("given_", "value"),
    [
        ({"cpus": 8}, 8),
        ({"cpus": 8, "iowait": 0.25}, 6),
        ({"cpus": 8, "iowait": 0.3}, 6),  # 5.6
        ({"cpus": 20, "iowait": 0.95}, 6),
        ({"cpus": 8, "iowait": 0.45}, 4),  # 4.4, and above 40% it is rounded down
        ({"cpus": 8, "iowait": 0.95}, 2),  # not more than 70% counts: 2.4
        ({"cpus": 8, "delay_s": 0.005}, 8),
        ({"cpus": 8, "delay_s": 0.0051}, 12),
        ({"cpus": 8, "delay_s": 1, "iowait": 0.5}, 4),  # who waits for the disk is not helped by more Ps
        ({"cpus": 1}, 2),
        ({"cpus": 64, "quota_cores": 4}, 4),
        ({"cpus": 64, "quota_cores": 2.5}, 3),
        ({"cpus": 64, "quota_cores": 0.5}, 2),
        ({"cpus": 64, "quota_cores": 4, "delay_s": 1}, 4),  # the quota is respected
        ({"cpus": 2, "quota_cores": 8}, 2),
    ],
)
def test_gomaxprocs(given_, value):
    assert gomaxprocs(**given_).value == value


def test_gomaxprocs_shows_its_arithmetic():
    assert str(gomaxprocs(8, iowait=0.25)) == (
        "GOMAXPROCS=6 (8 CPUs x (1 - 0.25 iowait) = 6.00, kept between 2 and 16)"
    )
    assert "CPUs within the quota" in gomaxprocs(8, 4).arithmetic
    assert "wait 7.0 ms for a P" in gomaxprocs(8, delay_s=0.007).arithmetic


@given(CPUS, QUOTAS, SHARES, DELAYS)
def test_gomaxprocs_is_within_its_bounds(cpus, quota, iowait, delay):
    value = gomaxprocs(cpus, quota, iowait, delay).value
    assert 2 <= value <= max(2, 2 * cpus)
    assert quota is None or value <= max(2, ceil(quota))


@given(CPUS, QUOTAS, SHARES, SHARES)
def test_more_iowait_never_means_more_procs(cpus, quota, one, other):
    low, high = sorted((one, other))
    assert gomaxprocs(cpus, quota, high).value <= gomaxprocs(cpus, quota, low).value


@given(CPUS, QUOTAS, SHARES, DELAYS, DELAYS)
def test_more_delay_never_means_fewer_procs(cpus, quota, iowait, one, other):
    low, high = sorted((one or 0, other or 0))
    assert gomaxprocs(cpus, quota, iowait, high).value >= gomaxprocs(cpus, quota, iowait, low).value


def test_gogc():
    setting = gogc(live_bytes=100 * MIB, gogc_now=25, share_now=0.2)
    assert str(setting) == (
        "GOGC=100 (25 now x 20.0% of the CPU time now / 5% wanted = 100, kept between 50 and 800 where memory allows)"
    )
    assert gogc(100 * MIB, 25, 0.2, room_bytes=180 * MIB).value == 80
    assert "180 MiB of room over 100 MiB that live allow 80" in gogc(100 * MIB, 25, 0.2, 180 * MIB).arithmetic
    assert gogc(100 * MIB, 100, 0.9).value == 800
    assert gogc(100 * MIB, 100, 0.001).value == 50


@pytest.mark.parametrize(
    "nothing", [(0, 100, 0.1), (1, 0, 0.1), (1, 100, 0), (100, 100, 0.1, 100), (100, 100, 0.1, 50)]
)
def test_no_gogc(nothing):
    assert gogc(*nothing) is None


POSITIVE = st.floats(1, 1e13)


@given(POSITIVE, st.floats(1, 1000), st.floats(0.0001, 1), st.none() | POSITIVE)
def test_gogc_keeps_the_heap_within_its_room(live, now, share, room):
    setting = gogc(live, now, share, room)
    if setting:
        assert 1 <= setting.value <= tuning.MOST_GOGC
        assert room is None or live * (1 + setting.value / 100) <= room * 1.000001
    else:
        assert room < live * 1.011


@given(POSITIVE, st.floats(1, 1000), st.floats(0.0001, 1), st.floats(0.0001, 1))
def test_a_higher_cost_never_means_a_lower_gogc(live, now, one, other):
    low, high = sorted((one, other))
    assert gogc(live, now, high).value >= gogc(live, now, low).value


def test_gomemlimit():
    assert str(gomemlimit(1024 * MIB, 24 * MIB)) == (
        "GOMEMLIMIT=900MiB ((1024 MiB memory.max - 24 MiB outside Go's heap) x 0.9 headroom)"
    )
    assert gomemlimit(1024 * MIB).value == 921 * MIB
    assert gomemlimit(100 * MIB, 99.5 * MIB) is None


@given(POSITIVE, POSITIVE)
def test_gomemlimit_leaves_headroom(most, outside):
    setting = gomemlimit(most, outside)
    if setting:
        assert MIB <= setting.value <= (most - outside) * tuning.HEADROOM + 1
        assert setting.value % MIB == 0
    else:
        assert (most - outside) * tuning.HEADROOM < MIB * 1.000001
