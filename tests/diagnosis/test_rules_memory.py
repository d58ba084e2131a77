"""Memory that grows: recordings of real programs with their near misses, and each limit from both sides."""

import re
from dataclasses import replace

import pytest

from sre_platform.diagnosis.domain import Evidence
from sre_platform.diagnosis.rules.memory_retention import MemoryRetention
from sre_platform.diagnosis.rules.off_heap_memory import OffHeapMemory
from sre_platform.diagnosis.rules.unbounded_cache import UnboundedCache
from tests.diagnosis.pprof import HEAP, MIB, profile
from tests.diagnosis.recorded import dump, recorded, window, without
from tests.diagnosis.scene import OPENED

RULES = {"retention": MemoryRetention(), "cache": UnboundedCache(), "off-heap": OffHeapMemory()}
EXPECTED = {
    "retention/sick": "go.mem.retention", "retention/buffers": "go.mem.retention", "retention/healthy": None,
    "retention/in-flight": None, "retention/buffers-in-use": None, "cache/sick": "go.mem.unbounded-cache",
    "cache/warming": None, "cache/healthy": None, "off-heap/sick": "go.mem.off-heap", "off-heap/stacks": None,
    "off-heap/healthy": None, "cpu/sick": None, "lock/sick": None, "dns/sick": None,
}  # fmt: skip


def heaps(earlier, later, seconds=5.0, period=1):
    """Two heap profiles; with a period of 1 byte every allocation is recorded."""
    given = {"heap.earlier": profile(HEAP, earlier, period), "heap": profile(HEAP, later, period)}
    return {"go_profiles": Evidence("go_profiles", "orders", OPENED, {"seconds_apart": seconds}, profiles=given)}


@pytest.mark.parametrize("which", RULES)
@pytest.mark.parametrize("scenario", EXPECTED)
def test_each_recorded_program_has_its_own_cause_and_no_other(which, scenario):
    finding = RULES[which].judge("orders", recorded(scenario))
    own = scenario.startswith(f"{which}/")
    assert (finding.cause if finding else None) == (EXPECTED[scenario] if own else None)


@pytest.mark.parametrize("which", RULES)
def test_evidence_that_is_missing_or_broken_is_no_finding(which):
    rule, seen = RULES[which], recorded(f"{which}/sick")
    assert rule.judge("orders", {}) is None
    assert rule.judge("orders", {name: replace(one, missing="not seen") for name, one in seen.items()}) is None
    assert rule.judge("orders", {name: replace(one, data={}) for name, one in seen.items()}) is None
    broken = {
        name: replace(one, texts=dict.fromkeys(one.texts, "<html>"), profiles=dict.fromkeys(one.profiles, b"<html>"))
        for name, one in seen.items()
    }
    assert rule.judge("orders", broken) is None


# --- unbounded caches -------------------------------------------------------------------------------------------------


def store(objects, allocated=None, line=7, size=1024):
    allocated = objects if allocated is None else allocated
    return (["main.put:" + str(line)], [allocated, allocated * size, objects, objects * size], size)


def work(allocated):
    return (["main.handle:3"], [allocated, allocated * 2048, 0, 0], 2048)


def cache(before, after, work_before=10_000, work_after=20_000):
    """Live objects of a store that frees nothing, and of objects that die, at both looks."""
    rows = ([store(before), work(work_before)], [store(after), work(work_after)])
    return RULES["cache"].judge("orders", heaps(*rows))


def test_a_recorded_cache_without_bound_names_the_line_that_stores():
    finding = RULES["cache"].judge("orders", recorded("cache/sick"))
    assert (finding.family, finding.evidence, finding.confidence) == ("mem", "profile", 0.85)
    assert (finding.site.function, finding.site.file) == ("main.render", "causes/memory.go")
    assert finding.count > 10_000
    assert 0 < finding.growth < finding.count
    assert "100% of what this line allocated in between is still there" in finding.because[1]
    assert "still filling up" in finding.against[0]


def test_objects_that_stay_in_step_with_the_work():
    finding = cache(10_000, 20_000)
    assert (str(finding.site), finding.count, finding.growth) == ("shop/main.go:7", 20_000, 10_000)
    assert finding.because[0] == (
        "orders: 20000 objects (19.5 MiB) allocated at shop/main.go:7 are alive, 10000 more than 5.0 s before."
    )


@pytest.mark.parametrize(
    "near_miss",
    [
        {"before": 4_000, "after": 9_999},  # below the bound that people give their caches
        {"before": 20_000, "after": 20_015},  # chance
        {"before": 20_000, "after": 20_000},
        {"before": 20_000, "after": 10_000},
        {"before": 10_000, "after": 17_000},  # ever fewer new ones for as much work: it fills up
    ],
)
def test_near_misses_of_a_cache(near_miss):
    assert cache(**near_miss) is None


@pytest.mark.parametrize(
    ("enough", "confidence"),
    [
        ({"before": 4_000, "after": 10_000}, 0.85),
        ({"before": 20_000, "after": 20_016, "work_after": 10_008}, 0.6),
        ({"before": 20_000, "after": 20_080, "work_after": 10_040}, 0.85),
        ({"before": 20_000, "after": 20_078, "work_after": 10_039}, 0.6),  # too few to tell the pace
    ],
)
def test_just_enough_of_a_cache(enough, confidence):
    assert cache(**enough).confidence == confidence


def test_a_line_that_often_freed_what_it_stored_is_no_cache_without_bound():
    rows = [store(20_000, 30_000), work(20_000)], [store(30_000, 40_000), work(26_667)]
    assert RULES["cache"].judge("orders", heaps(*rows)) is None
    kept = [store(22_000, 30_000), work(20_000)], [store(32_000, 40_000), work(26_667)]
    assert RULES["cache"].judge("orders", heaps(*kept)).confidence == 0.85


def test_what_is_stored_with_it_is_told_and_work_that_partly_stays_is_work_too():
    half = [(["main.handle:3"], [count, count * 2048, count // 2, count * 1024], 2048) for count in (10_000, 20_000)]
    rows = (
        [store(10_000), store(9_000, line=8, size=48), half[0]],
        [store(20_000), store(18_000, line=8, size=48), half[1]],
    )
    finding = RULES["cache"].judge("orders", heaps(*rows))
    assert (str(finding.site), finding.confidence) == ("shop/main.go:7", 0.85)
    assert finding.because[3:] == ["Stored with it: 18000 objects allocated at shop/main.go:8."]
    slower = [store(10_000), half[0]], [store(16_000), half[1]]
    assert RULES["cache"].judge("orders", heaps(*slower)) is None


def test_a_full_lru_replaces_what_it_holds():
    rows = [store(20_000, 50_000), work(10_000)], [store(20_000, 60_000), work(20_000)]
    assert RULES["cache"].judge("orders", heaps(*rows)) is None
    kept = [store(20_000), work(20_000)], [store(27_900, 30_000), work(30_000)]  # 79% of the new ones stay
    assert RULES["cache"].judge("orders", heaps(*kept)) is None
    more = [store(20_000), work(20_000)], [store(28_000, 30_000), work(30_000)]
    assert RULES["cache"].judge("orders", heaps(*more))


def test_without_other_work_to_compare_it_is_not_sure_enough_to_act():
    finding = cache(10_000, 20_000, work_before=5, work_after=10)
    assert finding.confidence == 0.6
    assert any("rate of requests" in said for said in finding.would_decide)


def test_few_recorded_objects_are_no_growth_however_many_they_stand_for():
    """512 objects of 1 KiB stand behind each recorded one when one allocation in 512 KiB is recorded."""
    rows = [store(20_000), work(20_000)], [store(27_000), work(27_000)]
    assert RULES["cache"].judge("orders", heaps(*rows, period=512 * 1024)) is None
    assert RULES["cache"].judge("orders", heaps(*rows, period=64 * 1024))


def test_goroutines_that_leak_too_speak_against_a_cache():
    rows = [store(10_000), work(10_000)], [store(20_000), work(20_000)]
    earlier, later = (dump(count, "runtime.gopark")["go_goroutines"].texts["goroutine"] for count in (1, 8))
    for texts, told in (({"earlier": earlier, "goroutine": later}, True), ({"goroutine": later}, False)):
        seen = Evidence("go_goroutines", "orders", OPENED, {}, texts)
        finding = RULES["cache"].judge("orders", heaps(*rows) | {"go_goroutines": seen})
        assert any("7 more goroutines" in said for said in finding.against) is told


def test_a_heap_that_was_not_collected_in_between_says_nothing():
    rows = [store(20_000), work(10_000)]
    assert RULES["cache"].judge("orders", heaps(rows, rows)) is None


# --- retention --------------------------------------------------------------------------------------------------------


READ = ["io.ReadAll", "main.token:5"]
GROW = ["bytes.growSlice", "bytes.(*Buffer).grow", "bytes.(*Buffer).Write", "main.answer:9"]


def held(calls, live, allocated, size=64 * 1024):
    return (calls, [allocated, allocated * size, live, live * size], size)


def retention(calls, live, before, after, size=64 * 1024, rest=()):
    rows = [held(calls, live, before, size), work(100), *rest], [held(calls, live, after, size), work(200), *rest]
    return RULES["retention"].judge("orders", heaps(*rows))


def test_recorded_parts_of_documents():
    finding = RULES["retention"].judge("orders", recorded("retention/sick"))
    assert (finding.family, finding.confidence, finding.site.function) == ("mem", 0.75, "main.token")
    assert "arrays of 64 KiB" in finding.because[0]
    assert "longer than any request" in finding.because[1]
    assert "bytes.Clone" in finding.advice[0]
    assert "cache of whole documents" in finding.against[0]


def test_recorded_buffers_that_once_grew():
    finding = RULES["retention"].judge("orders", recorded("retention/buffers"))
    assert finding.site.function == "main.answer"
    assert "No such array was needed within 5.0 s" in finding.because[1]
    assert any("pool" in said for said in finding.advice)


def test_arrays_that_live_longer_than_requests():
    finding = retention(READ, live=200, before=1000, after=1100)  # 20 a second
    assert (str(finding.site), finding.count) == ("shop/main.go:5", 200)
    assert finding.because[1] == "Each lives 10 s on average, longer than any request: something keeps it."


@pytest.mark.parametrize(
    "near_miss",
    [
        {"calls": READ, "live": 200, "before": 1000, "after": 1101},  # lives 9.9 s: a slow request
        {"calls": READ, "live": 200, "before": 200, "after": 200},  # read once, at the start
        {"calls": READ, "live": 127, "before": 1000, "after": 1001},  # 7.9 MiB
        {"calls": READ, "live": 5000, "before": 6000, "after": 6001, "size": 4095},
        {"calls": READ, "live": 200, "before": 1000, "after": 1001, "rest": [store(40_000)]},  # a fourth of the heap
        {"calls": ["main.page:5"], "live": 200, "before": 1000, "after": 1001},  # made to measure
        {"calls": GROW, "live": 200, "before": 1000, "after": 1001},  # needed as large again
        {"calls": GROW, "live": 1, "before": 1, "after": 1, "size": 9 * MIB},
    ],
)
def test_near_misses_of_retention(near_miss):
    assert retention(**near_miss) is None


@pytest.mark.parametrize(
    "enough",
    [
        {"live": 128},  # 8 MiB
        {"live": 5000, "size": 4096},
        {"live": 200, "rest": [store(37_000)]},  # 26% of the heap
    ],
)
def test_just_enough_of_retention(enough):
    assert retention(READ, before=6000, after=6001, **enough)


def test_buffers_that_nobody_needs_as_large_any_more():
    assert retention(GROW, live=2, before=2, after=2, size=9 * MIB)


def test_the_smaller_arrays_that_reading_passes_through_do_not_count():
    passing = [held(READ, 0, count, 8192) for count in (1000, 5000)]
    rows = [held(READ, 200, 1000), passing[0]], [held(READ, 200, 1100), passing[1]]
    assert RULES["retention"].judge("orders", heaps(*rows)).because[1].startswith("Each lives 10 s")


# --- off the heap -----------------------------------------------------------------------------------------------------


def test_recorded_mmap():
    finding = RULES["off-heap"].judge("orders", recorded("off-heap/sick"))
    assert (finding.family, finding.evidence, finding.confidence) == ("mem", "host", 0.85)
    assert re.search(r"stacks included, grew by -?[0-2]\.\d MiB, the heap in use by", finding.because[1])
    assert finding.against == []


def test_status_stands_in_for_the_rollup_and_the_services_own_page_for_both():
    seen = recorded("off-heap/sick")
    less = without(seen, "host", "smaps_rollup", "earlier/smaps_rollup")
    assert RULES["off-heap"].judge("orders", less).evidence == "host"
    own = RULES["off-heap"].judge("orders", {"go_runtime": seen["go_runtime"]})
    assert (own.evidence, own.confidence) == ("metrics", 0.8)
    one_look = without(seen, "host", *[name for name in seen["host"].texts if name.startswith("earlier/")])
    assert RULES["off-heap"].judge("orders", one_look).evidence == "metrics"


def pages(*rows):
    names = ("process_resident_memory_bytes", "go_memstats_sys_bytes", "go_memstats_heap_released_bytes")
    names = (*names, "go_memstats_heap_inuse_bytes")
    texts = ["".join(f"{name} {value * MIB}\n" for name, value in zip(names, row, strict=True)) for row in rows]
    seen = Evidence(
        "go_runtime", "orders", OPENED, {"seconds_apart": 2.0}, dict(zip(("earlier", "metrics"), texts, strict=True))
    )
    return RULES["off-heap"].judge("orders", {"go_runtime": seen})


def test_what_go_gave_back_is_not_held_by_it():
    finding = pages((100, 90, 20, 40), (150, 120, 50, 44))  # it holds 70 MiB at both looks
    assert finding.because == [
        "orders: its resident memory grew by 50.0 MiB within 2.0 s, to 150.0 MiB.",
        "What Go's runtime holds of it, stacks included, grew by 0.0 MiB, the heap in use by 4.0 MiB.",
    ]
    assert pages((100, 90, 50, 40), (150, 90, 0, 40)) is None  # it took back what it had given


def test_a_page_without_what_go_gave_back_says_nothing():
    text = f"process_resident_memory_bytes {MIB}\ngo_memstats_sys_bytes 1\n"
    texts = {"earlier": text, "metrics": text.replace(str(MIB), str(99 * MIB))}
    seen = Evidence("go_runtime", "orders", OPENED, {"seconds_apart": 2.0}, texts)
    assert RULES["off-heap"].judge("orders", {"go_runtime": seen}) is None


def test_pages_of_files_speak_against_it():
    seen = recorded("off-heap/sick")
    texts = dict(seen["host"].texts)
    lines = [line for line in texts["status"].splitlines() if not line.startswith("RssAnon")]
    texts["status"] = "\n".join([*lines, "RssAnon:\t   4000 kB"])
    finding = RULES["off-heap"].judge("orders", seen | {"host": replace(seen["host"], texts=texts)})
    assert "mapped files" in finding.against[0]


def memory(resident, runtime, heap):
    names = ("resident_bytes", "go_runtime_bytes", "heap_inuse_bytes")
    rows = ([start] * 5 + [end] * 5 for start, end in (resident, runtime, heap))
    return window({name: [value * MIB for value in row] for name, row in zip(names, rows, strict=True)})


@pytest.mark.parametrize(
    ("resident", "runtime", "found"),
    [
        ((100, 108), (50, 51), True),
        ((100, 107), (50, 50), False),  # below 8 MiB
        ((100, 200), (50, 70), True),
        ((100, 200), (50, 71), False),  # more than a fifth of it is Go's
        ((100, 200), (50, 150), False),  # goroutine stacks, or a heap that was not given back
        ((200, 100), (50, 50), False),
        ((100, 108), (50, 20), True),  # what Go gave back does not hide what others took
    ],
)
def test_over_a_window_of_prometheus(resident, runtime, found):
    finding = RULES["off-heap"].judge("orders", memory(resident, runtime, (10, 10)))
    assert bool(finding) is found
    if finding:
        assert (finding.evidence, finding.confidence) == ("metrics", 0.8)


def test_what_go_holds_has_to_be_known():
    values = {"resident_bytes": [1.0 * MIB] * 10 + [100.0 * MIB] * 10, "heap_inuse_bytes": 1}
    assert RULES["off-heap"].judge("orders", window(values)) is None
