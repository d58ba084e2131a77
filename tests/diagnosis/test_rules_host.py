"""What the host does to a process: the hit, the near miss, the healthy case. Counters by hand, after perf-stat(1)."""

import pytest

from sre_platform.diagnosis.domain import Evidence
from sre_platform.diagnosis.rca.weighing import ALONE, RECORDED, THREE_AGREE, TWO_AGREE
from tests.diagnosis.runtime_scene import (
    cpu_stat,
    cycles,
    host,
    judge,
    latencies,
    metrics,
    perf,
    pressure,
    recorded,
    samples,
    status,
    trace,
)
from tests.diagnosis.scene import OPENED, seen

RULES = (
    "host_affinity_conflict", "host_cache_misses", "host_cpu_pressure", "host_front_end", "host_memory_pressure",
    "host_tlb_misses",
)  # fmt: skip
MIB = 1 << 20
TIMES = "cpu  {user} 0 0 {idle} {iowait} 0 0 {steal} 0 0\n"
FINE = {
    "cycles": 1e9, "instructions": 2e9, "LLC_loads": 1e6, "LLC_load_misses": 1e5, "dTLB_load_misses": 1e5,
    "branches": 1e8, "branch_misses": 1e6, "cpu_migrations": 5,
}  # fmt: skip


def recorded_host():
    names = {"status": "status", "stat": "stat", "maps": "maps", "smaps_rollup": "smaps_rollup",
             "pressure__memory": "pressure_memory", "cgroup__memory_dot_max": "cgroup_v1_memory_limit"}  # fmt: skip
    texts = {name: recorded(f"host/{file}") for name, file in names.items()}
    return host(2, **texts, **{f"earlier_{name}": text for name, text in texts.items()})


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(
    "evidence",
    [
        (),
        (
            recorded_host(),
            Evidence("perf_stat", "payments", OPENED, {"seconds": 1}, {"perf": recorded("host/perf_total")}),
        ),
        (perf(**FINE), host(4, status=status(), earlier_status=status())),
        (perf(cycles=0, LLC_loads=0), host(4, None, status=status(voluntary=9**9), stat="1 (x")),
        (
            Evidence("perf_stat", "payments", OPENED, {"seconds": 0}, {"perf": "nonsense"}),
            host(0, 0, status="no", pressure__cpu="no", pressure__memory="no", proc_stat="no", stat="no", maps="no"),
        ),
    ],
    ids=["nothing", "recorded", "made", "zeros", "malformed"],
)
def test_nothing_to_find(rule, evidence):
    assert judge(rule, *evidence) is None


@pytest.mark.parametrize("rule", RULES)
def test_missing_evidence_is_no_finding(rule):
    missing = [item for name in ("host", "perf_stat", "go_trace") for item in seen(name, missing="m").values()]
    assert judge(rule, *missing) is None


# --- CPU --------------------------------------------------------------------------------------------------------------


def stalls(resource, before, after, seconds_apart=2.0):
    return host(4, seconds_apart, **{f"pressure__{resource}": after, f"earlier_pressure__{resource}": before})


@pytest.mark.parametrize(("waited_us", "found"), [(400_000, True), (399_000, False)])
def test_cpu_pressure_between_two_looks(waited_us, found):
    finding = judge("host_cpu_pressure", stalls("cpu", pressure(1_000_000), pressure(1_000_000 + waited_us)))
    assert bool(finding) == found
    if finding:
        assert list(finding.because) == ["payments: Tasks waited for a CPU in 20% of the last 2.0 s, 20% is much."]
        assert (finding.cause, finding.family, finding.confidence) == ("host.cpu-pressure", "host", ALONE)


def test_cpu_pressure_of_one_look():
    finding = judge("host_cpu_pressure", host(4, pressure__cpu=pressure(9, some10=25)))
    assert finding.because[0].endswith("Tasks waited for a CPU in 25% of the last 10 s, 20% is much.")
    assert judge("host_cpu_pressure", host(4, pressure__cpu=pressure(9, some10=19))) is None
    began_anew = stalls("cpu", pressure(9_000_000), pressure(5, some10=25))
    assert "last 10 s" in judge("host_cpu_pressure", began_anew).because[0]


def test_cpu_pressure_with_throttling_and_a_wait():
    throttled = {"cgroup__cpu_dot_stat": cpu_stat(120, 20, 900_000), "earlier_cgroup__cpu_dot_stat": cpu_stat(100, 10)}
    evidence = host(4, pressure__cpu=pressure(9, some10=25), **throttled)
    assert judge("host_cpu_pressure", evidence).confidence == TWO_AGREE
    slow = metrics(latencies(900, 100))
    assert judge("host_cpu_pressure", evidence, slow).confidence == THREE_AGREE
    assert judge("host_cpu_pressure", slow) is None, "a wait alone is the scheduler's matter"


@pytest.mark.parametrize(
    ("times", "said"),
    [
        ({"user": 96, "idle": 4}, "The host's CPUs are idle 4.0% of the time."),
        ({"user": 95, "idle": 5}, ""),
        ({"user": 50, "iowait": 50}, ""),
        ({"user": 50, "idle": 40, "steal": 10}, "The hypervisor gives 10% of the CPU time to others."),
        ({"user": 50, "idle": 41, "steal": 9}, ""),
    ],
)
def test_time_of_the_host(times, said):
    nothing = dict.fromkeys(("user", "idle", "iowait", "steal"), 0)
    looks = {"earlier_proc_stat": TIMES.format(**nothing), "proc_stat": TIMES.format(**(nothing | times))}
    finding = judge("host_cpu_pressure", host(4, **looks))
    assert (finding.because[0] if finding else "") == (f"payments: {said}" if said else "")


# --- memory -----------------------------------------------------------------------------------------------------------


def events(high=0, most=0, oom=0, kill=0):
    return f"low 0\nhigh {high}\nmax {most}\noom {oom}\noom_kill {kill}\n"


def held(before, after, **more):
    looks = {"earlier_cgroup__memory_dot_events": before, "cgroup__memory_dot_events": after}
    return host(4, **looks, **more)


def test_a_kill_is_a_record():
    finding = judge("host_memory_pressure", held(events(kill=1), events(oom=1, kill=2)))
    assert list(finding.because) == [
        "payments: The kernel killed 1 of the control group's processes for want of memory."
    ]
    assert (finding.cause, finding.confidence) == ("host.memory-pressure", RECORDED)
    assert judge("host_memory_pressure", held(events(kill=2), events(kill=2))) is None, "that was long ago"


def test_a_group_at_its_limit():
    full = {"cgroup__memory_dot_current": str(90 * MIB), "cgroup__memory_dot_max": str(100 * MIB)}
    finding = judge("host_memory_pressure", held(events(), events(high=3, most=4), **full))
    assert list(finding.because) == [
        "payments: The control group was held at memory.max 4 times and at memory.high 3 times.",
        "The control group uses 90 of 100 MiB (90%).",
    ]
    assert finding.confidence == TWO_AGREE
    assert finding.advice[0].startswith("Set GOMEMLIMIT=90MiB (")
    assert judge("host_memory_pressure", host(4, **full)) is None, "page cache fills every limit"
    nearly = full | {"cgroup__memory_dot_current": str(89 * MIB)}
    assert judge("host_memory_pressure", held(events(), events(high=3), **nearly)).confidence == ALONE
    half = full | {"cgroup__memory_dot_current": str(50 * MIB)}
    finding = judge("host_memory_pressure", held(events(), events(high=3), **half))
    assert (finding.confidence, list(finding.against)) == (ALONE, ["The control group uses only 50% of its 100 MiB."])


@pytest.mark.parametrize(
    ("some_us", "full_us", "said"),
    [
        (200_000, 0, "Tasks waited for memory in 10% of the last 2.0 s, 10% is much."),
        (199_000, 99_000, ""),
        (500_000, 100_000, "All tasks waited for memory in 5% of the last 2.0 s, 5% is much."),
    ],
)
def test_stalls_for_memory(some_us, full_us, said):
    finding = judge("host_memory_pressure", stalls("memory", pressure(), pressure(some_us, full_us)))
    assert (finding.because[0] if finding else "") == (f"payments: {said}" if said else "")


def stat(major):
    return f"7 (a b) S 1 1 1 0 -1 0 0 0 {major} 0 1 2 0 0 20 0 5 0 99 0 0\n"


@pytest.mark.parametrize(("faults", "found"), [(200, True), (199, False)])
def test_pages_read_back(faults, found):
    finding = judge("host_memory_pressure", host(4, earlier_stat=stat(1000), stat=stat(1000 + faults)))
    assert bool(finding) == found


# --- caches -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("share", "instructions", "confidence"),
    [
        (0.19, 0.5e9, None),
        (0.2, 0.99e9, TWO_AGREE),
        (0.2, 1e9, None),
        (0.2, 2e9, None),
        (0.24, 2e9, None),
        (0.25, 2e9, ALONE),
        (0.3, 0.5e9, TWO_AGREE),
    ],
)
def test_misses_of_the_last_level(share, instructions, confidence):
    finding = judge("host_cache_misses", perf(**FINE | {"LLC_load_misses": share * 1e6, "instructions": instructions}))
    assert (finding.confidence if finding else None) == confidence


def test_what_a_miss_says():
    counts = FINE | {"LLC_load_misses": 3e5, "instructions": 0.5e9, "node_loads": 100, "node_load_misses": 10}
    finding = judge("host_cache_misses", perf(**counts), host(4, status=status(nodes="0-1")))
    assert list(finding.because) == [
        "payments: 30% of the accesses to the last level cache miss, 20% is much.",
        "The CPU retires 0.50 instructions a cycle, below 1 it mostly waits.",
        "10% of the loads that leave the cache go to another NUMA node, about 240 ns instead of 85.",
    ]
    assert (finding.cause, finding.family, finding.confidence) == ("host.cache-misses", "host", THREE_AGREE)
    assert finding.advice[0].startswith("Bind the process to one of its 2 NUMA nodes")
    near = judge("host_cache_misses", perf(**counts | {"node_load_misses": 9.4, "node_loads": 94.5}))
    assert len(near.because) == 2, "9 of 94 loads"
    busy = judge("host_cache_misses", perf(**FINE | {"LLC_load_misses": 3e5}))
    assert list(busy.against) == ["The CPU still retires 2.00 instructions a cycle."]


def test_references_do_where_loads_are_not_counted():
    counts = perf(cycles=1e9, instructions=5e8, cache_references=100, cache_misses=40)
    assert judge("host_cache_misses", counts).because[0].startswith("payments: 40%")


@pytest.mark.parametrize(("ran", "found"), [("24.00", False), ("25.00", True)])
def test_a_counter_that_hardly_ran_says_nothing(ran, found):
    text = f"100,,LLC-loads,1000,{ran},,\n90,,LLC-load-misses,1000,100.00,,\n"
    evidence = Evidence("perf_stat", "payments", OPENED, {"seconds": 1}, {"perf": text})
    assert bool(judge("host_cache_misses", evidence)) == found


# --- TLB --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("misses", "found"), [(1_000_000, False), (1_000_001, True)])
def test_misses_of_the_tlb(misses, found):
    finding = judge("host_tlb_misses", perf(**FINE | {"dTLB_load_misses": misses}))
    assert bool(finding) == found
    if finding:
        assert (finding.cause, finding.confidence) == ("host.tlb-misses", ALONE)


def rollup(anonymous_mib, huge_mib):
    return f"Rss: {anonymous_mib << 10} kB\nAnonymous: {anonymous_mib << 10} kB\nAnonHugePages: {huge_mib << 10} kB\n"


def test_small_pages_and_many_mappings_agree():
    counts = perf(**FINE | {"dTLB_load_misses": 5e6})
    finding = judge("host_tlb_misses", counts, host(4, smaps_rollup=rollup(1000, 20), status=status(huge=0)))
    assert list(finding.because) == [
        "payments: 0.0050 loads a cycle miss the data TLB, 0.001 is much.",
        "2% of 1000 MiB of anonymous memory are in huge pages, which are switched off for it.",
    ]
    assert finding.confidence == TWO_AGREE
    for rest, confidence in (
        (rollup(1000, 100), ALONE),
        (rollup(1000, 99), TWO_AGREE),
        (rollup(255, 0), ALONE),
        (rollup(256, 0), TWO_AGREE),
    ):
        assert judge("host_tlb_misses", counts, host(4, smaps_rollup=rest)).confidence == confidence
    maps = "00-10 rw-p 0 0 0\n"
    many = judge("host_tlb_misses", counts, host(4, maps=maps * 10_000))
    assert many.because[1] == "The address space has 10000 mappings."
    assert judge("host_tlb_misses", counts, host(4, maps=maps * 9_999)).confidence == ALONE


# --- front end --------------------------------------------------------------------------------------------------------

WAITS = FINE | {"instructions": 0.5e9}


def test_branches_when_memory_is_fine():
    finding = judge("host_front_end", perf(**WAITS | {"branch_misses": 5e6}))
    assert list(finding.because) == [
        "payments: 5.0% of the branches were guessed wrong, 5% is much.",
        "The CPU retires 0.50 instructions a cycle, below 1 it mostly waits.",
    ]
    assert (finding.cause, finding.confidence) == ("host.front-end", TWO_AGREE)


@pytest.mark.parametrize(
    "changed",
    [
        {},  # no sign: nothing but a slow CPU
        {"branch_misses": 4.9e6},
        {"branch_misses": 5e6, "instructions": 1e9},
        {"branch_misses": 5e6, "LLC_load_misses": 2e5},
        {"branch_misses": 5e6, "dTLB_load_misses": 2e6},
        {"branch_misses": 5e6, "dTLB_load_misses": 0, "cycles": 0},
    ],
)
def test_no_front_end(changed):
    assert judge("host_front_end", perf(**WAITS | changed)) is None


def test_memory_has_to_be_ruled_out():
    unknown = {name: count for name, count in WAITS.items() if name != "LLC_loads"}
    assert judge("host_front_end", perf(**unknown | {"branch_misses": 5e6})) is None


def test_stalls_and_instruction_misses():
    counts = WAITS | {"stalled_cycles_frontend": 3e8, "iTLB_load_misses": 2e6}
    finding = judge("host_front_end", perf(**counts))
    assert (finding.confidence, len(finding.because)) == (THREE_AGREE, 3)
    assert judge("host_front_end", perf(**WAITS | {"stalled_cycles_frontend": 2.9e8, "iTLB_load_misses": 1e6})) is None
    assert judge("host_front_end", perf(**WAITS | {"iTLB_load_misses": 1.1e6})).confidence == TWO_AGREE


# --- affinity ---------------------------------------------------------------------------------------------------------


def switching(a_second, cpus="0-63", nodes="0-1"):
    now, before = status(voluntary=a_second * 2, cpus=cpus, nodes=nodes), status(cpus=cpus, nodes=nodes)
    return host(64, status=now, earlier_status=before)


LONG_PAUSES = cycles(20, pause_ms=25, procs=4)


def test_wide_mask_many_switches_long_pauses():
    finding = judge("host_affinity_conflict", switching(2000), trace(LONG_PAUSES, samples(procs=4)))
    assert list(finding.because) == [
        "payments: The thread gives its CPU up 2000 times a second and may wake on any of 64 CPUs.",
        "P99 of 20 pauses is 25.0 ms, above 20 ms.",
    ]
    assert (finding.cause, finding.confidence) == ("host.affinity-conflict", TWO_AGREE)
    assert finding.advice[0].startswith("Pin the process to 4 CPUs of one of the 2 NUMA nodes")


def test_migrations_agree_with_switches():
    evidence = (switching(2000), perf(seconds=2, cpu_migrations=1000))
    assert (
        judge("host_affinity_conflict", *evidence).because[1] == "Its threads move to another CPU 500 times a second."
    )
    assert judge("host_affinity_conflict", switching(2000), perf(seconds=2, cpu_migrations=999)).confidence == ALONE


@pytest.mark.parametrize(
    "evidence", [switching(1999), switching(5000, cpus="3"), host(64, status=status(voluntary=9999))]
)
def test_no_conflict(evidence):
    assert judge("host_affinity_conflict", evidence, trace(LONG_PAUSES)) is None


def test_a_process_that_needs_all_its_cpus():
    finding = judge("host_affinity_conflict", switching(2000, cpus="0-3"), trace(schedtrace=samples(procs=4)))
    assert list(finding.against) == ["GOMAXPROCS is 4: the process uses all 4 CPUs that it may run on."]
