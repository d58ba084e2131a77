"""Whatever the documents hold, a rule of these families answers with a finding or with nothing, and never raises."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sre_platform.diagnosis.domain import Evidence, Finding
from tests.diagnosis.mutation import mutated
from tests.diagnosis.runtime_scene import (
    cpu_stat,
    histogram,
    judge,
    latencies,
    pressure,
    profile,
    recorded,
    samples,
    status,
)
from tests.diagnosis.scene import OPENED

RULES = (
    "gc_threshold_drift", "gc_large_objects", "gc_finalizers", "gc_mark_starvation",
    "sched_saturation", "sched_blocked_threads", "sched_preemption_storm", "sched_gomaxprocs_quota",
    "host_affinity_conflict", "host_cache_misses", "host_tlb_misses", "host_front_end", "host_memory_pressure",
    "host_cpu_pressure",
)  # fmt: skip
PAGE = (
    f"{latencies(900, 100)}{histogram('go_gc_pauses_seconds', ('0.01', 90), ('+Inf', 100))}"
    f"{histogram('go_gc_heap_allocs_by_size_bytes', ('27264.999999999996', 90), ('+Inf', 9000))}"
    'go_info{version="go1.27.3"} 1\ngo_gc_gogc_percent 20\ngo_gc_gomemlimit_bytes 1e8\ngo_goroutines 4\n'
    "go_gc_finalizers_queued_finalizers_total 90000\ngo_gc_finalizers_executed_finalizers_total 1\n"
    "go_cpu_classes_gc_total_cpu_seconds_total 5\ngo_cpu_classes_total_cpu_seconds_total 9\n"
)
PERF = "9,,cycles,1,100.00,,\n5,,instructions,1,100.00,,\n9,,LLC-loads,1,100.00,,\n9,,LLC-load-misses,1,100.00,,\n"
TEXTS = {
    "go_trace": {"gctrace": recorded("gctrace_drift")[:2000], "schedtrace": samples(queued=300, ticks=9)},
    "go_runtime": {"metrics": PAGE, "earlier": PAGE},
    "perf_stat": {"perf": PERF},
    "host": {
        "status": status(99, 9**6, 9**6), "stat": recorded("host/stat"), "smaps_rollup": recorded("host/smaps_rollup"),
        "pressure/cpu": pressure(9, 9, 50, 50), "pressure/memory": pressure(9, 9, 50, 50),
        "cgroup/cpu.max": "50000 100000\n", "cgroup/cpu.stat": cpu_stat(200, 100, 5),
        "cgroup/memory.max": "104857600\n",
        "cgroup/memory.current": "104857000\n", "cgroup/memory.events": "high 3\nmax 1\noom 1\noom_kill 1\n",
        "proc_stat": recorded("host/proc_stat"),
    },
}  # fmt: skip
NUMBERS = st.none() | st.integers(-5, 10**400) | st.floats() | st.text(max_size=3) | st.booleans()


@st.composite
def damaged(draw):
    """All documents, each as it is or mutated, as a later and an earlier look, and numbers that may be anything."""
    seen = []
    for collector, texts in TEXTS.items():
        both = texts | ({f"earlier/{name}": text for name, text in texts.items()} if collector == "host" else {})
        given_ = {name: draw(st.just(text) | mutated(text)) for name, text in both.items()}
        data = {name: draw(NUMBERS) for name in ("seconds", "seconds_apart", "cpus")}
        seen.append(Evidence(collector, "payments", OPENED, data, given_))
    cpu = profile("cpu_starved")
    cut = draw(st.integers(0, len(cpu)))
    documents = {"cpu": cpu[:cut] + draw(st.binary(max_size=8)) + cpu[cut:], "allocs": draw(st.binary(max_size=50))}
    return [*seen, Evidence("go_profiles", "payments", OPENED, {}, profiles=documents)]


@pytest.mark.parametrize("rule", RULES)
@settings(max_examples=25, deadline=None)  # each draws all documents; fourteen rules share them
@given(evidence=damaged())
def test_any_documents_are_a_finding_or_none(rule, evidence):
    finding = judge(rule, *evidence)
    if finding is not None:
        assert isinstance(finding, Finding)
        assert 0 < finding.confidence <= 1
        assert all(said.endswith(".") for said in (*finding.because, *finding.advice, *finding.would_decide))
        assert not any(math.isnan(value) for value in (finding.confidence, finding.count or 0))
