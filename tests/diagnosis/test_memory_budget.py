import pytest

from sre_platform.diagnosis.rca.documents import Documents
from sre_platform.diagnosis.rca.memory_budget import memory_limit, outside_bytes
from tests.diagnosis.runtime_scene import host, metrics, status

MIB = 1 << 20
GO = f"go_memstats_sys_bytes {300 * MIB}\ngo_memstats_heap_released_bytes {100 * MIB}\n"


def documents(*evidence):
    return Documents({item.collector: item for item in evidence})


def anonymous(mebibytes):
    return f"{status()}RssAnon:\t{mebibytes << 10} kB\n"


@pytest.mark.parametrize(("anon", "outside"), [(250, 50), (200, 0), (150, 0)])
def test_what_is_not_gos(anon, outside):
    assert outside_bytes(documents(metrics(GO), host(4, status=anonymous(anon)))) == outside * MIB


def test_what_nobody_tells_is_nothing():
    assert outside_bytes(documents(metrics(GO))) == 0
    assert outside_bytes(documents(metrics(GO), host(4, status=status()))) == 0
    assert outside_bytes(documents(host(4, status=anonymous(900)))) == 0
    assert outside_bytes(documents(metrics("go_memstats_sys_bytes 1\n"), host(4, status=anonymous(900)))) == 0


def test_the_limit():
    group = host(4, status=anonymous(250), cgroup__memory_dot_max=str(550 * MIB))
    assert str(memory_limit(documents(metrics(GO), group))) == (
        "GOMEMLIMIT=450MiB ((550 MiB memory.max - 50 MiB outside Go's heap) x 0.9 headroom)"
    )
    assert memory_limit(documents(host(4, cgroup__memory_dot_max="max\n"))) is None
    assert memory_limit(documents(host(4, cgroup__memory_dot_max="0\n"))) is None
    assert memory_limit(documents()) is None
