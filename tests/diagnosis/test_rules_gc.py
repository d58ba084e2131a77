"""The four causes of an expensive collector: the hit, the near miss, the healthy case, and none for another."""

import pytest

from sre_platform.diagnosis.domain import Site
from sre_platform.diagnosis.parsers.profile import Function, Line, Location, Profile, Sample, ValueType
from sre_platform.diagnosis.parsers.profile_encode import encode
from sre_platform.diagnosis.rca.weighing import ALONE, THREE_AGREE, TWO_AGREE
from tests.diagnosis.runtime_scene import (
    cycle,
    cycles,
    histogram,
    host,
    judge,
    metrics,
    profile,
    profiles,
    recorded,
    trace,
)  # fmt: skip
from tests.diagnosis.scene import seen

RULES = ("gc_threshold_drift", "gc_large_objects", "gc_finalizers", "gc_mark_starvation")
MIB = 1 << 20
EXPENSIVE = cycles(20, 0.1, background_ms=60)  # 15% of the CPU time
CHEAP = cycles(20, 1)


def written(kinds, rows):
    """A profile with one sample a row: its functions (leaf first) and its values."""
    names = dict.fromkeys(name for stack, _ in rows for name in stack)
    file = {name: "runtime/malloc.go" if name.startswith("runtime.") else "/src/app/main.go" for name in names}
    functions = {name: Function(at, name, name, file[name]) for at, name in enumerate(names, 1)}
    places = {name: Location(f.id, None, f.id, (Line(f, 7),)) for name, f in functions.items()}
    samples = tuple(Sample(tuple(places[name] for name in stack), values) for stack, values in rows)
    types = tuple(ValueType(*pair) for pair in kinds)
    return encode(Profile(types, samples, (), tuple(places.values()), tuple(functions.values())))


def cpu_profile(*rows):
    return written((("samples", "count"), ("cpu", "nanoseconds")), [(stack, (n, n * 10**7)) for stack, n in rows])


def allocs_profile(*rows):
    kinds = (("alloc_objects", "count"), ("alloc_space", "bytes"), ("inuse_objects", "count"), ("inuse_space", "bytes"))
    return written(kinds, [(stack, (count, size, 0, 0)) for stack, count, size in rows])


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(
    "evidence",
    [
        (),
        (trace(""),),
        (trace(recorded("gctrace_steady")), profiles(cpu=profile("cpu_steady"))),
        (trace(CHEAP), metrics("go_gc_gogc_percent 100\n"), host(4)),
        (trace("gc 1 @1.0s broken"), profiles(cpu=b"nonsense", allocs=b""), metrics("{")),
    ],
    ids=["nothing", "no cycle", "recorded", "made", "malformed"],
)
def test_nothing_to_find(rule, evidence):
    assert judge(rule, *evidence) is None


@pytest.mark.parametrize("rule", RULES)
def test_missing_evidence_is_no_finding(rule):
    collectors = ("go_trace", "go_profiles", "go_runtime", "host")
    missing = [item for name in collectors for item in seen(name, missing="m").values()]
    assert judge(rule, *missing) is None


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", ["drift", "large", "starved", "finalizers"])
def test_each_recording_has_one_cause(rule, name):
    documents = {} if name == "drift" else {"cpu": profile(f"cpu_{name}")}
    finding = judge(rule, trace(recorded(f"gctrace_{name}")), profiles(**documents), host(2))
    cause = {"drift": "threshold-drift", "large": "large-objects", "starved": "mark-starvation"}.get(name, name)
    if rule == f"gc_{cause.replace('-', '_')}":
        assert (finding.cause, finding.family) == (f"go.gc.{cause}", "gc")
        assert finding.confidence >= TWO_AGREE
    else:
        assert finding is None or finding.confidence < 0.8


# --- GOGC and GOMEMLIMIT ----------------------------------------------------------------------------------------------


def test_a_low_goal_that_costs():
    finding = judge("gc_threshold_drift", trace(cycles(20, 0.1, background_ms=60, live=40, goal=48)))
    assert list(finding.because) == [
        "payments: The heap may grow by 20% of what lives before it is collected again (live 40 MiB, goal 48 MiB,"
        " a cycle every 0.1 s); the default is 100%.",
        "Collections take 15% of the CPU time, 10% is much.",
    ]
    assert (finding.cause, finding.family, finding.evidence, finding.confidence) == (
        "go.gc.threshold-drift", "gc", "runtime", TWO_AGREE,
    )  # fmt: skip
    assert finding.advice[0].startswith("Set GOGC=60 (20 now x 15.0% of the CPU time now / 5% wanted = 60")


def test_a_low_goal_that_costs_nothing_is_a_symptom():
    finding = judge("gc_threshold_drift", trace(cycles(20, 10, live=40, goal=48)))
    assert (finding.confidence, len(finding.because)) == (ALONE, 1)
    assert list(finding.against) == [
        "The pauses are short: the longest of 11 cycles is 0.10 ms.",
        "Collections take 0.0% of the CPU time, which is not much.",
    ]


@pytest.mark.parametrize(("goal", "found"), [(59, True), (60, False), (80, False)])
def test_a_goal_that_is_not_low_is_no_drift(goal, found):
    assert bool(judge("gc_threshold_drift", trace(cycles(20, 0.1, background_ms=60, live=40, goal=goal)))) == found


def test_gogc_as_the_page_shows_it_will_do_without_a_trace():
    def page(gogc, gc_s):
        cpu = f"go_cpu_classes_gc_total_cpu_seconds_total {gc_s}\ngo_cpu_classes_total_cpu_seconds_total {gc_s * 5}\n"
        return f"go_gc_gogc_percent {gogc}\n{cpu}"

    finding = judge("gc_threshold_drift", metrics(page(20, 20), page(20, 10)))
    assert finding.confidence == TWO_AGREE
    assert finding.because[0] == "payments: GOGC is 20 by the service's metrics; the default is 100."
    assert judge("gc_threshold_drift", metrics(page(50, 20), page(50, 10))) is None


def test_a_limit_that_fights_gogc():
    squeezed = trace(cycles(20, 0.1, background_ms=60, live=80, goal=98))
    page = "go_gc_gogc_percent 100\ngo_gc_gomemlimit_bytes {}\n"
    finding = judge("gc_threshold_drift", squeezed, metrics(page.format(100 * MIB)))
    assert finding.confidence == THREE_AGREE
    assert finding.because[1] == (
        "GOGC=100 and GOMEMLIMIT=100MiB fight: the limit holds the goal at 98 MiB, as GOGC=22 would."
    )
    far = judge("gc_threshold_drift", squeezed, metrics(page.format(1000 * MIB)))
    assert not any("fight" in said for said in far.because)
    agrees = judge("gc_threshold_drift", trace(cycles(20, 1, live=80, goal=160)), metrics(page.format(170 * MIB)))
    assert agrees is None


@pytest.mark.parametrize(
    ("goal", "limit_mib", "fights"),
    [(120, 130, True), (121, 130, False), (120, 150, True), (120, 151, False)],
)
def test_a_limit_fights_when_it_halves_what_gogc_asks(goal, limit_mib, fights):
    """80 MiB live: GOGC=100 asks for 160, half of what it lets the heap grow by ends at 120."""
    page = metrics(f"go_gc_gogc_percent 100\ngo_gc_gomemlimit_bytes {limit_mib * MIB}\n")
    finding = judge("gc_threshold_drift", trace(cycles(20, 1, live=80, goal=goal)), page)
    assert bool(finding) == fights


def test_an_interval_that_collapses():
    text = cycles(10, 14.7) + "".join(cycle(number, 147 + (number - 10) * 8.2) for number in range(11, 21))
    finding = judge("gc_threshold_drift", trace(text))
    assert (finding.confidence, finding.because[0]) == (
        ALONE, "payments: The interval between cycles fell to 56% of what it was, with the same live heap.",
    )  # fmt: skip
    changed = {"kind": "config", "before": "a1", "after": "b2", "seconds_before": 90.0}
    recent = seen("recent_changes", changes=[changed])["recent_changes"]
    finding = judge("gc_threshold_drift", trace(text), recent)
    assert (finding.confidence, finding.because[-1]) == (TWO_AGREE, "A config changed a1 to b2 90 s before.")
    assert judge("gc_threshold_drift", trace(CHEAP), recent) is None, "a change alone is no cause"
    less = cycles(10, 10) + "".join(cycle(number, 100 + (number - 10) * 6.2) for number in range(11, 21))
    assert judge("gc_threshold_drift", trace(less)) is None, "62%"


# --- large objects ----------------------------------------------------------------------------------------------------

LARGE = ("runtime.memclrNoHeapPointers", "runtime.mallocgcLarge", "runtime.mallocgc", "main.read")
SMALL = ("runtime.mallocgcSmallNoscan", "runtime.mallocgc", "main.read")


def test_cpu_time_for_large_objects():
    evidence = profiles(cpu=cpu_profile((LARGE, 6), (SMALL, 94)))
    finding = judge("gc_large_objects", trace(EXPENSIVE), evidence)
    assert list(finding.because) == [
        "payments: 6% of the CPU time goes into allocating objects above 32 KiB, most at /src/app/main.go:7.",
        "Collections take 15% of the CPU time, 10% is much.",
    ]
    assert (finding.confidence, finding.evidence, finding.site) == (
        TWO_AGREE, "profile", Site("main.read", "/src/app/main.go", 7),
    )  # fmt: skip
    assert "at /src/app/main.go:7 in a sync.Pool" in finding.advice[0]
    assert judge("gc_large_objects", evidence).confidence == ALONE


def test_too_little_cpu_time_for_large_objects():
    assert judge("gc_large_objects", trace(EXPENSIVE), profiles(cpu=cpu_profile((LARGE, 4), (SMALL, 96)))) is None
    few = profiles(cpu=cpu_profile((LARGE, 50), (SMALL, 49)))
    assert judge("gc_large_objects", trace(EXPENSIVE), few) is None, "99 samples are no profile"


def test_bytes_allocated_in_large_objects_between_two_looks():
    now = allocs_profile((LARGE, 1100, 110 << 20), (SMALL, 500_000, 5 << 30))
    before = allocs_profile((LARGE, 100, 10 << 20), (SMALL, 499_000, (5 << 30) - (10 << 20)))
    finding = judge("gc_large_objects", profiles(allocs=now, allocs_earlier=before), trace(EXPENSIVE))
    assert finding.because[0] == (
        "payments: 91% of the bytes are allocated in objects above 32 KiB, most at /src/app/main.go:7."
    )
    assert finding.confidence == TWO_AGREE
    assert judge("gc_large_objects", profiles(allocs=now), trace(EXPENSIVE)) is None, "since the start it was 2%"


@pytest.mark.parametrize(("mean", "found"), [(32 << 10, False), ((32 << 10) + 1, True)])
def test_large_is_above_32_kib(mean, found):
    evidence = profiles(allocs=allocs_profile((LARGE, 100, 100 * mean), (SMALL, 10, 100)))
    assert bool(judge("gc_large_objects", evidence)) == found


@pytest.mark.parametrize(("share", "found"), [(49, False), (50, True)])
def test_large_objects_have_to_be_most_of_the_bytes(share, found):
    evidence = profiles(allocs=allocs_profile((LARGE, 10, share << 20), (SMALL, 1 << 20, (100 - share) << 20)))
    assert bool(judge("gc_large_objects", evidence)) == found


def by_size(large):
    ends = (("64.99999999999999", 10), ("27264.999999999996", 90), ("+Inf", 90 + large))
    return histogram("go_gc_heap_allocs_by_size_bytes", *ends)


def test_large_objects_by_the_page():
    finding = judge("gc_large_objects", trace(EXPENSIVE), metrics(by_size(2100), by_size(100)))
    assert finding.because[0] == "payments: 1000 objects above 26 KiB are allocated a second."
    assert (finding.confidence, finding.site) == (TWO_AGREE, None)
    assert judge("gc_large_objects", trace(EXPENSIVE), metrics(by_size(2099), by_size(100))) is None
    assert judge("gc_large_objects", trace(EXPENSIVE), metrics(by_size(2100))) is None, "of how many seconds?"


# --- finalizers -------------------------------------------------------------------------------------------------------

FINALIZER = ("runtime.addspecial", "runtime.addfinalizer", "runtime.SetFinalizer", "main.open")
CLEANUP = ("runtime.addspecial", "runtime.AddCleanup[go.shape.int]", "main.open")


@pytest.mark.parametrize("stack", [FINALIZER, CLEANUP])
def test_cpu_time_for_finalizers(stack):
    evidence = profiles(cpu=cpu_profile((stack, 2), (SMALL, 98)))
    finding = judge("gc_finalizers", evidence, trace(cycles(20, mark_ms=12.6)))
    assert list(finding.because) == [
        "payments: 2% of the CPU time goes into setting and running finalizers, most at /src/app/main.go:7.",
        "Marking takes up to 12.6 ms.",
    ]
    assert (finding.confidence, finding.site.line) == (TWO_AGREE, 7)
    assert judge("gc_finalizers", evidence, trace(cycles(20, mark_ms=9))).confidence == ALONE
    assert judge("gc_finalizers", profiles(cpu=cpu_profile((stack, 19), (SMALL, 981)))) is None


def queued(count, done, kind="finalizers"):
    return f"go_gc_{kind}_queued_{kind}_total {count}\ngo_gc_{kind}_executed_{kind}_total {done}\n"


@pytest.mark.parametrize("kind", ["finalizers", "cleanups"])
def test_finalizers_by_the_page(kind):
    finding = judge("gc_finalizers", metrics(queued(22_000, 12_000, kind), queued(20_000, 12_000, kind)))
    assert list(finding.because) == [
        f"payments: 1000 {kind} are queued a second.",
        f"10000 {kind} wait to be run.",
    ]
    assert finding.confidence == TWO_AGREE
    assert judge("gc_finalizers", metrics(queued(21_990, 12_000), queued(20_000, 12_000))) is None


# --- starved marking --------------------------------------------------------------------------------------------------

ASSIST = ("runtime.gcDrainN", "runtime.gcAssistAlloc1", "runtime.gcAssistAlloc", "runtime.mallocgc", "main.work")
WORKER = ("runtime.gcDrain", "runtime.gcBgMarkWorker")
ASSISTED = cycles(20, 0.1, procs=1, mark_ms=250, assist_ms=10, background_ms=5)


def test_assists_and_long_marks_on_few_procs():
    finding = judge("gc_mark_starvation", trace(ASSISTED), host(4))
    assert list(finding.because) == [
        "payments: Goroutines that allocate spend 10% of all CPU time helping to mark.",
        "Collections take 15% of the CPU time, 10% is much.",
        "Marking takes up to 250 ms, 200 ms is long.",
        "GOMAXPROCS is 1, and 4 CPUs could be used.",
    ]
    assert (finding.confidence, finding.family) == (THREE_AGREE, "gc")
    assert finding.advice[0].startswith("Set GOMAXPROCS=4")


def test_few_assists_are_none():
    few = cycles(20, 0.1, procs=1, mark_ms=250, assist_ms=9.9, background_ms=5)
    assert judge("gc_mark_starvation", trace(few), host(4)) is None


def test_a_low_goal_explains_the_assists():
    low = cycles(20, 0.1, procs=1, mark_ms=250, assist_ms=30, live=40, goal=48)
    assert judge("gc_mark_starvation", trace(low), host(4)) is None


def test_assists_by_the_profile():
    finding = judge("gc_mark_starvation", profiles(cpu=cpu_profile((ASSIST, 10), (WORKER, 30), (SMALL, 60))))
    assert finding.because[0].startswith("payments: gcAssistAlloc has 10% of the CPU profile")
    assert finding.because[1].startswith("gcBgMarkWorker has 30% of the CPU profile")
    assert finding.confidence == TWO_AGREE
    fewer = judge("gc_mark_starvation", profiles(cpu=cpu_profile((ASSIST, 10), (WORKER, 29), (SMALL, 61))))
    assert (fewer.confidence, len(fewer.because)) == (ALONE, 1)
    assert judge("gc_mark_starvation", profiles(cpu=cpu_profile((ASSIST, 9), (WORKER, 30), (SMALL, 61)))) is None


def held(*waiting):
    header = "SCHED {}ms: gomaxprocs=2 idleprocs=0 threads=5 spinningthreads=0 idlethreads=2 runqueue=0\n"
    line = "  G{}: status=4({}) m=nil lockedm=nil\n"
    return "".join(
        header.format(at * 100) + line.format(1, "select") + line.format(9, "GC assist wait") * count
        for at, count in enumerate(waiting)
    )


def test_goroutines_that_wait_for_marking():
    finding = judge("gc_mark_starvation", trace(ASSISTED, held(0, 2, 1, 0)))
    assert finding.because[1] == "In 2 of 4 samples goroutines wait for marking, 2 at most."
    assert judge("gc_mark_starvation", trace(schedtrace=held(0, 2, 1, 0, 0))) is None
