"""The scheduler's four causes: the hit, the near miss, the healthy case."""

import pytest

from sre_platform.diagnosis.rca.weighing import ALONE, THREE_AGREE, TWO_AGREE
from tests.diagnosis.runtime_scene import (
    cpu_stat,
    cycles,
    host,
    judge,
    latencies,
    metrics,
    recorded,
    sample,
    samples,
    status,
    trace,
)
from tests.diagnosis.scene import seen

RULES = ("sched_saturation", "sched_blocked_threads", "sched_preemption_storm", "sched_gomaxprocs_quota")
SLOW, FAST = metrics(latencies(900, 100)), metrics(latencies(1000, 0))


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(
    "evidence",
    [
        (),
        (trace(schedtrace=""),),
        (trace(schedtrace=recorded("schedtrace_idle")), host(2, status=status(5), earlier_status=status(5))),
        (trace(schedtrace=samples(procs=4, idle=2, ticks=5)), FAST, host(4, cgroup__cpu_dot_max="400000 100000")),
        (trace(schedtrace="SCHED x"), metrics("{"), host(4, status="no", cgroup__cpu_dot_max="no")),
    ],
    ids=["nothing", "no sample", "recorded", "made", "malformed"],
)
def test_nothing_to_find(rule, evidence):
    assert judge(rule, *evidence) is None


@pytest.mark.parametrize("rule", RULES)
def test_missing_evidence_is_no_finding(rule):
    missing = [item for name in ("go_trace", "go_runtime", "host") for item in seen(name, missing="m").values()]
    assert judge(rule, *missing) is None


# --- all Ps busy ------------------------------------------------------------------------------------------------------


def test_a_recorded_saturation():
    finding = judge("sched_saturation", trace(schedtrace=recorded("schedtrace_saturated")), host(2))
    assert list(finding.because) == [
        "payments: In 10 of 10 samples none of 2 Ps is idle and goroutines queue, 38 in the median.",
    ]
    assert (finding.cause, finding.family, finding.confidence, finding.count) == (
        "go.sched.saturation", "sched", ALONE, 38,
    )  # fmt: skip
    assert finding.advice[0].startswith("All 2 CPUs are in use already: add replicas")


def test_saturation_that_is_felt():
    finding = judge("sched_saturation", trace(schedtrace=recorded("schedtrace_saturated")), SLOW, host(8))
    assert (finding.confidence, finding.because[1]) == (TWO_AGREE, "P99 of the wait for a P is 106.7 ms, 5 ms is long.")
    assert finding.advice[0].startswith("Set GOMAXPROCS=12 (8 CPUs x (1 - 0.00 iowait) = 8.00, x 1.5 because")


def test_more_than_fifty_for_each_p():
    finding = judge("sched_saturation", trace(schedtrace=samples(procs=2, queued=101)))
    assert (finding.confidence, finding.because[1]) == (TWO_AGREE, "That is 50.5 for each P, 50 is a warning.")
    assert judge("sched_saturation", trace(schedtrace=samples(procs=2, queued=100))).confidence == ALONE


def mixed(*kinds):
    """One sample each: "s" starved, "i" idle Ps, "u" a queue beside an idle P, "f" full but nobody queues."""
    fields = {"s": {"queued": 3}, "i": {"idle": 2}, "u": {"idle": 1, "queued": 3}, "f": {}}
    return trace(schedtrace=sample(0) + "".join(sample(at * 100, **fields[kind]) for at, kind in enumerate(kinds, 1)))


@pytest.mark.parametrize(
    ("kinds", "found"), [("ssssi", True), ("sss", True), ("sssii", False), ("ss", False), ("fffff", False)]
)
def test_saturation_has_to_stay(kinds, found):
    assert bool(judge("sched_saturation", mixed(*kinds))) == found


def test_only_the_end_of_the_trace_is_judged():
    assert judge("sched_saturation", mixed(*"s" * 100, *"i" * 20)) is None
    assert "20 of 20 samples" in judge("sched_saturation", mixed(*"i" * 100, *"s" * 20)).because[0]


def test_a_slow_scheduler_alone_is_a_symptom():
    finding = judge("sched_saturation", mixed(*"siiii"), SLOW)
    assert finding.confidence == ALONE
    assert list(finding.against) == ["Only 1 of 5 samples of the scheduler show a queue with no P idle."]
    assert judge("sched_saturation", mixed(*"siiii"), FAST) is None


# --- threads outside Go -----------------------------------------------------------------------------------------------


def test_recorded_system_calls():
    blocked = trace(schedtrace=recorded("scheddetail_blocked"))
    finding = judge("sched_blocked_threads", blocked)
    assert list(finding.because) == [
        "payments: 33 of 34 threads are outside Go, in system calls or cgo (30 goroutines are in system calls),"
        " beside 2 Ps."
    ]
    assert (finding.cause, finding.confidence, finding.count) == ("go.sched.blocked-threads", ALONE, 34)
    grew = host(2, status=status(34), earlier_status=status(24))
    finding = judge("sched_blocked_threads", blocked, grew)
    assert (finding.confidence, finding.because[1]) == (TWO_AGREE, "The process has 34 threads, 10 more than before.")
    grew_less = host(2, status=status(34), earlier_status=status(25))
    assert judge("sched_blocked_threads", blocked, grew_less).confidence == ALONE
    assert judge("sched_blocked_threads", grew) is None, "who made them is not known"


@pytest.mark.parametrize(("threads", "found"), [(17, False), (18, True)])
def test_how_many_threads_outside_are_many(threads, found):
    text = samples(procs=4, threads=threads, parked=3)  # 4 hold a P, 3 are parked, 1 is sysmon
    assert bool(judge("sched_blocked_threads", trace(schedtrace=text))) == found


@pytest.mark.parametrize(
    ("kinds", "found"), [("uuuiii", True), ("uuuiiii", False), ("uuiii", False), ("uu", False), ("sssss", False)]
)
def test_idle_ps_beside_a_queue(kinds, found):
    finding = judge("sched_blocked_threads", mixed(*kinds), SLOW)
    assert bool(finding) == found
    if finding:
        assert finding.because[0] == (
            "payments: In 3 of 6 samples a P is idle while goroutines queue, 3 at most: a wake-up was lost, or what"
            " should wake it is blocked."
        )
        assert finding.confidence == TWO_AGREE


# --- dispatches -------------------------------------------------------------------------------------------------------


def test_a_recorded_storm():
    finding = judge("sched_preemption_storm", trace(schedtrace=recorded("scheddetail_storm")))
    assert finding.because[0].startswith(
        "payments: In 5 of 5 intervals each of 8 goroutines, so one is at least, dispatched 7"
    )
    assert finding.because[1].endswith("goroutines queue and none of 2 Ps is idle.")
    assert (finding.cause, finding.confidence) == ("go.sched.preemption-storm", TWO_AGREE)


def ticking(*rates, procs=2):
    """Intervals of 100 ms with so many dispatches a second on each P."""
    text, ticks = sample(100, procs=procs, idle=1, ticks=0), 0
    for at, rate in enumerate(rates, 2):
        ticks += rate // 10
        text += sample(at * 100, procs=procs, idle=1, ticks=ticks % (1 << 32))
    return trace(schedtrace=text)


@pytest.mark.parametrize(
    ("rates", "goroutines", "found"),
    [
        ([20_000] * 4, 4, True),  # two Ps, four goroutines: 10,000 each
        ([20_000] * 4, 5, False),
        ([19_990] * 4, 4, False),
        ([1_000_000, 0, 0, 0], 4, False),  # the sweeper's burst
        ([1_000_000] * 4 + [0], 4, True),
        ([1_000_000] * 2, 4, False),
        ([100_000] * 4, None, True),
        ([99_990] * 4, None, False),
    ],
)
def test_how_many_dispatches_are_a_storm(rates, goroutines, found):
    page = [metrics(f"go_goroutines {goroutines}\n")] if goroutines else []
    assert bool(judge("sched_preemption_storm", ticking(*rates), *page)) == found


def test_the_sweeper_may_explain_it():
    storm = ticking(*[200_000] * 4)  # every 0.1 s
    often, seldom = cycles(20, 0.1), cycles(20, 0.11)
    assert judge("sched_preemption_storm", trace(often, storm.texts["schedtrace"])) is None
    finding = judge("sched_preemption_storm", trace(seldom, storm.texts["schedtrace"]))
    assert list(finding.against) == []
    assert judge("sched_preemption_storm", storm).against[0].startswith("How often garbage is collected is not known")
    pages = [
        "go_gc_duration_seconds_count 20\n",
        "go_gc_duration_seconds_count 1\n",
        "go_gc_duration_seconds_count 0\n",
    ]
    assert judge("sched_preemption_storm", storm, metrics(pages[0], pages[2], 2)) is None
    assert judge("sched_preemption_storm", storm, metrics(pages[0], pages[1], 2)) is not None


def test_ticks_that_begin_again_are_counted_on():
    near = (1 << 32) - 1000
    text = "".join(
        sample(at * 100, procs=1, ticks=ticks % (1 << 32))
        for at, ticks in enumerate(range(near, near + 60_000, 12_000), 1)
    )
    assert judge("sched_preemption_storm", trace(schedtrace=text)).because[0] == (
        "payments: In 4 of 4 intervals each P is dispatched 120,000 times a second or more."
    )


def test_a_storm_that_the_kernel_and_the_page_see():
    looks = host(2, status=status(involuntary=2100), earlier_status=status(involuntary=100))
    finding = judge("sched_preemption_storm", ticking(*[200_000] * 4), looks, SLOW)
    assert (finding.confidence, finding.because[1]) == (
        THREE_AGREE, "The kernel takes the CPU from the main thread 1000 times a second.",
    )  # fmt: skip
    fewer = host(2, status=status(involuntary=2099), earlier_status=status(involuntary=100))
    assert judge("sched_preemption_storm", ticking(*[200_000] * 4), fewer).confidence == ALONE
    assert judge("sched_preemption_storm", looks, SLOW) is None


# --- GOMAXPROCS and the quota -----------------------------------------------------------------------------------------

QUOTA = {"cgroup__cpu_dot_max": "250000 100000"}
BEFORE = {"earlier_cgroup__cpu_dot_stat": cpu_stat(100, 10)}
THROTTLED = BEFORE | {"cgroup__cpu_dot_stat": cpu_stat(120, 20, 900_000)}
FREE = BEFORE | {"cgroup__cpu_dot_stat": cpu_stat(120, 11)}


def go(version):
    return metrics(f'go_info{{version="{version}"}} 1\n')


def test_more_ps_than_the_quota_and_throttled():
    finding = judge(
        "sched_gomaxprocs_quota", trace(schedtrace=samples(procs=16)), host(16, **QUOTA, **THROTTLED), go("go1.22.1")
    )
    assert list(finding.because) == [
        "payments: GOMAXPROCS is 16, and the quota is 2.5 CPUs.",
        "The quota throttled 10 of 20 periods (50%), for 0.90 s together.",
    ]
    assert (finding.cause, finding.evidence, finding.confidence, finding.count) == (
        "go.sched.gomaxprocs-quota", "host", TWO_AGREE, 16,
    )  # fmt: skip
    assert list(finding.advice) == [
        "Set GOMAXPROCS=3 (3 CPUs within the quota x (1 - 0.00 iowait) = 3.00, kept between 2 and 3).",
        "go1.22.1 does not look at the quota: set GOMAXPROCS in the environment, or build with Go 1.25 or newer.",
    ]


def test_go_that_follows_the_quota_is_told_so():
    finding = judge("sched_gomaxprocs_quota", trace(schedtrace=samples(procs=16)), host(16, **QUOTA), go("go1.25.0"))
    assert finding.advice[-1].startswith("go1.25.0 follows the quota by itself: remove the GOMAXPROCS variable")


def test_more_ps_than_the_quota_without_throttling_is_a_symptom():
    finding = judge("sched_gomaxprocs_quota", trace(schedtrace=samples(procs=16)), host(16, **QUOTA, **FREE))
    assert finding.confidence == ALONE
    assert list(finding.against) == ["Only 1 of 20 periods were throttled."]


@pytest.mark.parametrize(
    ("procs", "quota", "found"),
    [(3, "250000 100000", False), (4, "250000 100000", True), (2, "50000 100000", False), (16, "max 100000", False)],
)
def test_what_is_more_than_the_quota(procs, quota, found):
    looks = host(16, cgroup__cpu_dot_max=quota, **THROTTLED)
    assert bool(judge("sched_gomaxprocs_quota", trace(schedtrace=samples(procs=procs)), looks)) == found


def test_fewer_ps_than_the_quota_count_only_when_goroutines_wait():
    wide = host(16, cgroup__cpu_dot_max="800000 100000")
    busy, idle = trace(schedtrace=samples(procs=2, queued=5)), trace(schedtrace=samples(procs=2, idle=1))
    finding = judge("sched_gomaxprocs_quota", busy, wide)
    assert list(finding.because) == [
        "payments: GOMAXPROCS is 2, and the quota of 8 CPUs allows 8.",
        "5 goroutines queue and none of 2 Ps is idle.",
    ]
    assert finding.confidence == TWO_AGREE
    assert judge("sched_gomaxprocs_quota", idle, wide) is None
    assert judge("sched_gomaxprocs_quota", busy, host(2, cgroup__cpu_dot_max="800000 100000")) is None
