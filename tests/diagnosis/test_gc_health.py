import pytest

from sre_platform.diagnosis.parsers import gctrace
from sre_platform.diagnosis.rca.documents import Documents
from sre_platform.diagnosis.rca.gc_health import add_up, gc_health, jitter, p99
from sre_platform.kernel.errors import Malformed
from tests.diagnosis.runtime_scene import cycle, cycles, histogram, host, metrics, recorded, trace

MIB = 1 << 20


def health(*evidence):
    return gc_health(Documents({item.collector: item for item in evidence}))


def seen(text):
    return add_up(gctrace.parse(text))


@pytest.mark.parametrize(
    ("name", "share", "assists", "gogc"),
    [
        ("gctrace_steady", 0.0024, 0.0006, 100),
        ("gctrace_drift", 0.183, 0.142, 11.5),
        ("gctrace_starved", 0.392, 0.199, 100),
        ("gctrace_finalizers", 0.104, 0.029, 100),
    ],
)
def test_what_recordings_add_up_to(name, share, assists, gogc):
    added = seen(recorded(name))
    assert added.cpu_share == pytest.approx(share, rel=0.05)
    assert added.assist_share == pytest.approx(assists, rel=0.05)
    assert added.effective_gogc == pytest.approx(gogc, rel=0.05)


def test_what_lines_add_up_to():
    added = seen(cycles(11, 0.5, pause_ms=0.4, mark_ms=7, assist_ms=10, background_ms=30, end=90, procs=2))
    assert (added.count, added.procs, added.live_mib, added.goal_mib) == (11, 2, 40, 80)
    assert added.cpu_share == pytest.approx(10 * 40 / (5000 * 2))
    assert added.assist_share == pytest.approx(10 * 10 / (5000 * 2))
    assert (added.interval_s, added.effective_gogc, added.longest_mark_ms) == (0.5, 100, 7)


def test_only_the_last_process_counts():
    assert seen(cycles(8) + cycles(3)).count == 3
    assert seen(cycle(1, 1)).cpu_share is None
    assert seen("") is None


def test_the_goal_of_a_small_heap_tells_nothing():
    assert seen(cycles(live=9, goal=10)).effective_gogc is None
    assert seen(cycles(live=10, goal=12)).effective_gogc == 20


def spread(intervals, live=40, then=40):
    """Cycles with these intervals between them; from the middle on ``then`` MiB live."""
    begins = [sum(intervals[:at]) for at in range(len(intervals) + 1)]
    return "".join(
        cycle(number, at, live=live if number <= len(begins) // 2 else then) for number, at in enumerate(begins, 1)
    )


def test_a_collapse_of_the_interval():
    assert seen(spread([14.7] * 5 + [8.2] * 5)).collapse == pytest.approx(0.558, abs=0.001)
    assert seen(spread([14.7] * 40 + [8.2] * 10)).collapse == pytest.approx(0.558, abs=0.001), "hours before it"
    assert seen(spread([0.2] * 5000 + [0.1] * 600)).collapse == pytest.approx(0.5, abs=0.01)
    assert seen(spread([14.7] * 4 + [8.2] * 4)).collapse == pytest.approx(0.558, abs=0.001)
    assert seen(spread([14.7] * 3 + [8.2] * 3)).collapse is None, "a burst is no trend"
    assert seen(spread([14.7] * 5 + [8.2] * 5, then=60)).collapse is None, "more lives now, that explains it"
    assert seen(spread([0.0] * 10)).collapse is None


def test_only_the_last_minute_is_judged():
    long_ago = cycles(100, 10, pause_ms=50, background_ms=9000)
    now = "".join(cycle(number, 1000 + number) for number in range(101, 181))
    added = seen(long_ago + now)
    assert (added.count, max(added.pauses_ms)) == (61, pytest.approx(0.1))
    assert added.cpu_share < 0.01
    rare = seen(cycles(100, 100))
    assert (rare.count, rare.interval_s) == (11, 100), "few but enough"


@pytest.mark.parametrize(("values", "worst"), [([3.0], 3), ([*range(1, 101)], 99), ([*range(1, 201)], 198)])
def test_p99(values, worst):
    assert p99(values) == worst


@pytest.mark.parametrize(
    ("pauses", "unhealthy"),
    [
        ([1.0, 1.2] * 5 + [11.0], True),
        ([1.0] * 10 + [11.0], True),
        ([1.0, 1.2] * 4 + [11.0], False),  # too few to compare with
        ([0.1, 0.2] * 10 + [9.0], False),  # nobody notices
        ([10.0, 16.0] * 10 + [18.0], False),  # all of them are like that
        ([0.0, 10.0] * 10 + [21.0], True),  # mean 5, sigma 5: 3.2 of it above
        ([0.0, 10.0] * 10 + [19.0], False),  # 2.8 of it
        ([], False),
    ],
)
def test_jitter(pauses, unhealthy):
    assert (jitter(pauses) is not None) == unhealthy


def test_long_and_uneven_pauses_are_effects():
    calm = cycles(20, pause_ms=1)
    assert health(trace(calm)).effects() == []
    assert health(trace(cycles(20, pause_ms=21))).effects() == ["P99 of 20 pauses is 21.0 ms, above 20 ms."]
    assert health(trace(cycles(20, pause_ms=20))).effects() == []
    (uneven,) = health(trace(calm + cycle(21, 21, pause_ms=12))).effects()
    assert uneven.startswith("One pause of 12.0 ms lies 1100 standard deviations")


def test_pauses_by_the_metrics_page():
    pauses = histogram("go_gc_pauses_seconds", ("0.01", 90), ("0.1", 100), ("+Inf", 100))
    (said,) = health(metrics(pauses)).effects()
    assert said == "P99 of the pauses is 91.0 ms by the service's metrics, above 20 ms."
    assert health(metrics(pauses, earlier=pauses)).effects() == [], "none between the two looks"


def cpu(gc, total):
    return f"go_cpu_classes_gc_total_cpu_seconds_total {gc}\ngo_cpu_classes_total_cpu_seconds_total {total}\n"


def test_cost_by_the_metrics_page():
    dear = health(metrics(cpu(30, 200), cpu(10, 100)))
    assert (dear.cpu_share, dear.effects()) == (0.2, ["Collections take 20% of the CPU time, 10% is much."])
    cheap = health(metrics(cpu(10.5, 200), cpu(10, 100)))
    assert (cheap.effects(), cheap.calm()) == ([], ["Collections take 0.5% of the CPU time, which is not much."])
    assert health(metrics(cpu(30, 200))).cpu_share is None
    assert health(metrics(cpu(1, 2), cpu(10, 100))).cpu_share is None, "the process began anew"


def test_configured_values():
    page = health(metrics("go_gc_gogc_percent 75\ngo_gc_gomemlimit_bytes 1048576\n"))
    assert (page.configured_gogc, page.memory_limit_bytes) == (75, MIB)
    off = health(metrics("go_gc_gogc_percent -1\ngo_gc_gomemlimit_bytes 9.223372036854776e+18\n"))
    assert (off.configured_gogc, off.memory_limit_bytes) == (None, None)
    unset = health()
    assert (unset.configured_gogc, unset.memory_limit_bytes, unset.cpu_share, unset.effects()) == (None, None, None, [])


def test_advice_fits_into_the_memory():
    costly = cycles(20, 0.1, live=100, goal=125, background_ms=80)
    limit = host(cgroup__memory_dot_max=str(400 * MIB))
    first, second = health(trace(costly), limit).advice()
    # 100 MiB live, GOGC 25 at 20% of 4 Ps: four times as much for 5%.
    assert first.startswith("Set GOGC=100 (25 now x 20.0% of the CPU time now / 5% wanted = 100, and 360 MiB of room")
    assert second == ("Set GOMEMLIMIT=360MiB ((400 MiB memory.max - 0 MiB outside Go's heap) x 0.9 headroom).")
    assert health(trace(cycles(20))).advice() == [], "what costs nothing needs no advice"
    has_it = metrics(f"go_gc_gomemlimit_bytes {360 * MIB}\n")
    assert len(health(trace(costly), limit, has_it).advice()) == 1


def test_what_cannot_be_read_is_told():
    documents = Documents({item.collector: item for item in (trace("gc 1 @x"), trace("gc 1 @1.0s broken"))})
    assert gc_health(documents).cycles is None
    assert gc_health(documents).cycles is None
    assert documents.unread == [
        "go_trace: gctrace could not be used: None of the 1 gctrace lines has a form that is known from Go 1.11 to"
        " 1.27."
    ]
    with pytest.raises(Malformed):
        gctrace.parse("gc 1 @1.0s broken")
