"""Lock contention, and the cross-check of three signals: recordings, limits from both sides, signals nobody saw."""

import re
from dataclasses import replace
from itertools import product

import pytest

from sre_platform.diagnosis.domain import Evidence
from sre_platform.diagnosis.rca.cross_check import Signal, cross_check
from sre_platform.diagnosis.rules.cross_check import CrossCheck
from sre_platform.diagnosis.rules.lock_contention import LockContention
from tests.diagnosis.pprof import CONTENTION, CPU, profile
from tests.diagnosis.recorded import dump, recorded, without
from tests.diagnosis.scene import OPENED

UNLOCK = ["sync.(*RWMutex).Unlock", "main.(*stock).book:50"]
READS = ["sync.(*RWMutex).RLock", "main.(*stock).count:39"]
WRITES = ["sync.(*RWMutex).Lock", "main.(*stock).book:45"]
QUEUED = ["sync.(*Mutex).Lock", *WRITES]
MS = 1_000_000


def contention(*rows):
    """Waits and milliseconds by stack, as a contention profile."""
    return profile(CONTENTION, [(calls, [count, int(ms * MS)], 0) for calls, count, ms in rows])


def profiles(mutex, block=(), seconds=10.0, before=()):
    given = {"mutex.earlier": contention(*before), "mutex": contention(*mutex)}
    if block:
        given |= {"block.earlier": contention(), "block": contention(*block)}
    data = {"seconds_apart": seconds, "refused": {}}
    return {"go_profiles": Evidence("go_profiles", "orders", OPENED, data, profiles=given)}


def judge(*mutex, **more):
    return LockContention().judge("orders", profiles(mutex, **more))


def test_recorded_lock_that_is_held_too_long():
    finding = LockContention().judge("orders", recorded("lock/sick"))
    assert (finding.cause, finding.family, finding.evidence, finding.confidence) == (
        "go.lock.contention", "lock", "profile", 0.85,
    )  # fmt: skip
    assert (finding.site.function, str(finding.site)) == ("main.(*stock).book", "causes/lock.go:50")
    share = next(int(found[1]) for said in finding.because if (found := re.search(r"(\d+)% were reads", said)))
    assert 55 <= share <= 80, "two of three calls are reads"
    assert any("no sync.Map" in said for said in finding.advice)


def test_recorded_lock_that_is_not_contended():
    assert LockContention().judge("orders", recorded("lock/healthy")) is None


def test_only_what_came_between_the_looks_counts():
    old = (UNLOCK, 1000, 100_000)
    assert judge(old, before=[old]) is None
    finding = judge((UNLOCK, 1500, 102_000), before=[old])
    assert finding.because[:2] == [
        "orders: 500 waits of 4.0 ms on average ended at shop/main.go:50 (main.(*stock).book) within 10.0 s.",
        "That is 0.20 s of waiting per second; above 0.15 a lock is worth changing.",
    ]


@pytest.mark.parametrize(
    ("waits", "ms", "found"),
    [
        (500, 1501, True),
        (500, 1500, False),  # 15% of the time, not more
        (10_000, 10_001, True),
        (10_000, 10_000, False),  # 1 ms each: spinning and short queues
        (10, 5000, True),
        (9, 5000, False),  # one slow call, and nine that met it
    ],
)
def test_limits(waits, ms, found):
    assert bool(judge((UNLOCK, waits, ms))) is found


@pytest.mark.parametrize(
    "calls",
    [
        ["runtime.unlock", "runtime.semrelease1", *UNLOCK],  # the runtime's own lock
        ["runtime._LostContendedRuntimeLock"],
        ["sync.(*Mutex).Unlock", "net/http.(*conn).serve"],  # no line of the owner's
    ],
)
def test_locks_that_are_not_the_owners(calls):
    assert judge((calls, 500, 5000)) is None


def test_the_costliest_lock_is_named_and_the_others_told():
    other = ["sync.(*Mutex).Unlock", "main.log:7"]
    finding = judge((UNLOCK, 500, 5000), (other, 5000, 6000))
    assert str(finding.site) == "shop/main.go:7"
    assert "Also 500 waits of 10.0 ms at shop/main.go:50." in finding.because


def advice(*block):
    return " ".join(judge((UNLOCK, 500, 5000), block=block).advice)


def test_the_choice_of_a_lock_follows_the_share_of_reads_and_the_rate_of_writes():
    assert "sync.Map if the keys come and go" in advice((READS, 900, 1), (WRITES, 100, 1))
    assert "no sync.Map" in advice((READS, 899, 1), (WRITES, 101, 1))
    assert "atomic.Value" in advice((READS, 9000, 1), (WRITES, 999, 1))  # 99.9 a second
    assert "atomic.Value" not in advice((READS, 9000, 1), (WRITES, 1000, 1))
    assert "atomic.Value" not in advice((WRITES, 500, 1))
    assert "Shard it by key" in advice((WRITES, 500, 1))


def test_a_writer_that_waits_twice_is_one_writer():
    finding = judge((UNLOCK, 500, 5000), block=[(READS, 500, 1), (QUEUED, 500, 1), (WRITES, 400, 1)])
    assert any("50% were reads; there are at least 50 writes a second" in said for said in finding.because)


def test_only_those_who_asked_between_the_looks_count():
    seen = profiles([(UNLOCK, 500, 5000)], block=[(READS, 1000, 1), (WRITES, 600, 1)])["go_profiles"]
    given = {**seen.profiles, "block.earlier": contention((READS, 100, 1), (WRITES, 500, 1))}
    finding = LockContention().judge("orders", {"go_profiles": replace(seen, profiles=given)})
    assert any("90% were reads; there are at least 10 writes a second" in said for said in finding.because)


@pytest.mark.parametrize(
    "block",
    [
        (),
        [(["sync.(*Mutex).Lock", "main.(*stock).book:45"], 500, 1)],  # a plain Mutex tells no reads from writes
        [(["sync.(*RWMutex).RLock", "main.(*other).get:3"], 500, 1)],  # another type's lock
    ],
)
def test_an_unknown_share_of_reads_is_said(block):
    finding = judge((UNLOCK, 500, 5000), block=block)
    assert "unknown here" in finding.advice[-1]
    assert any("share of reads is unknown" in said for said in finding.would_decide)


def test_missing_and_broken_profiles():
    seen, rule = recorded("lock/sick"), LockContention()
    for lacking in ("mutex", "mutex.earlier"):
        assert rule.judge("orders", without(seen, "go_profiles", lacking)) is None
        for bad in (b"", b"<html>", profile(CPU, [(["main.f"], [1, 1], 0)])):
            one = replace(seen["go_profiles"], profiles={**seen["go_profiles"].profiles, lacking: bad})
            assert rule.judge("orders", {"go_profiles": one}) is None
    blind = rule.judge("orders", without(seen, "go_profiles", "block"))
    assert "unknown here" in blind.advice[-1]
    assert rule.judge("orders", {}) is None
    assert rule.judge("orders", profiles([(UNLOCK, 500, 5000)], seconds=0)) is None


# --- the cross-check --------------------------------------------------------------------------------------------------

SAID = {True: "is there", False: "is not there", None: "was not seen"}
LOCK, SATURATION = "go.lock.contention", "go.sched.saturation"
MATRIX = {  # pile-up, contention, starvation
    (True, True, True): (LOCK, 0.95),
    (True, True, False): (LOCK, 0.85),
    (True, False, True): (SATURATION, 0.85),
    (False, True, True): (SATURATION, 0.85),
    (True, False, False): ("go.symptom.pile-up", 0.5),
    (False, True, False): ("go.symptom.lock-contention", 0.5),
    (False, False, True): ("go.symptom.starvation", 0.5),
    (False, False, False): None,
}


@pytest.mark.parametrize("seen", list(product([True, False, None], repeat=3)))
def test_the_matrix_and_that_missing_is_not_absent(seen):
    verdict = cross_check(*(Signal(one, f"{n} {SAID[one]}") for n, one in enumerate(seen)))
    expected = MATRIX[tuple(bool(one) for one in seen)]
    assert (verdict and (verdict.cause, verdict.confidence)) == expected
    if verdict:
        assert list(verdict.because) == [f"{n} is there" for n, one in enumerate(seen) if one]
        assert list(verdict.against) == [f"{n} is not there" for n, one in enumerate(seen) if one is False]
        assert list(verdict.missing) == [f"{n} was not seen" for n, one in enumerate(seen) if one is None]


def test_a_pile_up_in_front_of_something_else_does_not_agree_with_a_lock():
    pile_up, there, absent = Signal(True, "p", of_lock=False), Signal(True, "c"), Signal(False, "s")
    alone = cross_check(pile_up, there, absent)
    assert (alone.cause, alone.because, alone.against) == ("go.symptom.pile-up", ["p"], ["c", "s"])
    starved = cross_check(pile_up, there, Signal(True, "s"))
    assert (starved.cause, starved.confidence, starved.because) == (SATURATION, 0.85, ["p", "c", "s"])


def checked(evidence):
    return CrossCheck().judge("orders", evidence)


def test_recorded_lock_is_the_cause_of_the_pile_up():
    finding = checked(recorded("lock/sick"))
    assert (finding.cause, finding.family, finding.confidence) == (LOCK, "lock", 0.85)
    assert str(finding.site) == "causes/lock.go:50"
    assert re.search(r"\d+ goroutines wait in sync.Mutex.Lock at causes/lock.go:45, \d+ more", finding.because[1])
    assert finding.because[2].endswith("ended at causes/lock.go:50 (mutex profile).")
    assert "no processor was idle" in finding.against[0]


def test_recorded_starvation_lets_a_lock_look_contended():
    finding = checked(recorded("lock/starved"))
    assert (finding.cause, finding.family, finding.confidence) == (SATURATION, "sched", 0.85)
    assert (finding.site, finding.evidence) == (None, "runtime")
    assert "more processors" in finding.advice[0]
    assert any("15 of 15 samples" in said for said in finding.because)


def test_all_three_signals_make_the_lock_the_root():
    seen = recorded("lock/sick", "go_goroutines", "go_profiles") | recorded("lock/starved", "go_trace")
    finding = checked(seen)
    assert (finding.cause, finding.confidence, finding.evidence) == (LOCK, 0.95, "profile")
    assert "do not help while it is the root" in finding.advice[0]
    assert "All three signals agree" in finding.because[0]


def test_a_healthy_program_has_no_finding():
    assert checked(recorded("lock/healthy")) is None


@pytest.mark.parametrize("lacking", ["go_goroutines", "go_profiles", "go_trace"])
@pytest.mark.parametrize("how", ["gone", "missing", "empty", "broken"])
def test_a_signal_that_nobody_saw_would_decide(lacking, how):
    seen = recorded("lock/sick")
    one = seen.pop(lacking)
    if how == "missing":
        seen[lacking] = replace(one, missing="There was no time left.", texts={}, profiles={})
    elif how == "empty":
        seen[lacking] = replace(one, texts={}, profiles={})
    elif how == "broken":
        seen[lacking] = replace(one, texts=dict.fromkeys(one.texts, "?"), profiles=dict.fromkeys(one.profiles, b"?"))
    finding = checked(seen)
    assert len(finding.would_decide) == 1
    assert finding.would_decide[0].startswith("A signal is missing, which is not the same as absent: ")
    assert finding.confidence == (0.85 if lacking == "go_trace" else 0.5)
    if how == "missing":
        assert "There was no time left." in finding.would_decide[0]


def test_an_empty_mutex_profile_is_not_a_lock_that_is_free():
    """A service that set no fraction shows the same as one without contention."""
    empty = recorded("lock/sick", "go_goroutines", "go_trace") | profiles([])
    finding = checked(empty)
    assert (finding.confidence, "SetMutexProfileFraction" in finding.would_decide[0]) == (0.5, True)
    refused = replace(empty["go_profiles"], data={"refused": {"mutex": "status 404"}}, profiles={})
    assert "status 404" in checked(empty | {"go_profiles": refused}).would_decide[0]


def sched(*lines):
    rows = [
        f"SCHED {200 * n}ms: gomaxprocs=2 idleprocs={idle} threads=5 spinningthreads=0 needspinning=0 idlethreads=2"
        f" runqueue={queue} [ 0 0 ]\n"
        for n, (idle, queue) in enumerate(lines)
    ]
    return {"go_trace": Evidence("go_trace", "orders", OPENED, {}, {"schedtrace": "".join(rows)})}


@pytest.mark.parametrize(
    ("lines", "starved"),
    [
        ([(0, 3)] * 4 + [(1, 0)], True),
        ([(0, 3)] * 3 + [(1, 0)] * 2, False),  # bursts
        ([(0, 0)] * 5, False),  # busy, and nobody waits
        ([(1, 3)] * 5, False),  # an idle processor: lost wake-ups, not too few of them
        ([(0, 3)] * 7 + [(1, 0)] * 2, False),
        ([(0, 3)] * 3, True),
        ([(0, 3)] * 2, None),
    ],
)
def test_starvation_has_to_stay(lines, starved):
    finding = checked(profiles([(UNLOCK, 500, 5000)]) | sched(*lines))
    assert finding.cause == (SATURATION if starved else "go.symptom.lock-contention")
    told = [said for said in finding.would_decide if "thread starvation" in said]
    assert bool(told) is (starved is None)


def test_goroutines_that_wait_for_something_else_do_not_blame_the_lock():
    few, many = (dump(count, "main.wait", state="chan receive")["go_goroutines"] for count in (1, 30))
    texts = {"earlier": few.texts["goroutine"], "goroutine": many.texts["goroutine"]}
    finding = checked(profiles([(UNLOCK, 500, 5000)]) | {"go_goroutines": replace(many, texts=texts)})
    assert (finding.cause, finding.family, finding.evidence) == ("go.symptom.pile-up", "symptom", "growth")
    assert (str(finding.site), finding.advice) == ("shop/main.go:12", ())
    assert any("shop/main.go:50" in said for said in finding.against)
