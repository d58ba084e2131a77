"""Every form of Go's schedtrace and scheddetail lines, recorded ones and those of versions before Go 1.25."""

import contextlib
from pathlib import Path
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sre_platform.diagnosis.parsers import schedtrace
from sre_platform.diagnosis.parsers.schedtrace import Goroutine, Processor, Sample, Thread, parse
from sre_platform.kernel.errors import Malformed
from tests.diagnosis.mutation import mutated

RECORDINGS = Path(__file__).parents[1] / "recordings" / "runtime"
BLOCKED = (RECORDINGS / "scheddetail_blocked.txt").read_text()
SATURATED = (RECORDINGS / "schedtrace_saturated.txt").read_text()
GO_1_25 = (
    "SCHED 1004ms: gomaxprocs=3 idleprocs=1 threads=9 spinningthreads=1 needspinning=1 idlethreads=4 runqueue=2"
    " [ 3 0 1 ] schedticks=[ 70 81 92 ]"
)
# By hand after runtime/proc.go of the versions named.
GO_1_20 = (
    "SCHED 1004ms: gomaxprocs=3 idleprocs=1 threads=9 spinningthreads=1 needspinning=1 idlethreads=4 runqueue=2 [3 0 1]"
)
GO_1_11 = "SCHED 1004ms: gomaxprocs=3 idleprocs=1 threads=9 spinningthreads=1 idlethreads=4 runqueue=2 [3 0 1]"
GO_1_11_DETAIL = """\
SCHED 10ms: gomaxprocs=1 idleprocs=0 threads=3 spinningthreads=0 idlethreads=1 runqueue=0 gcwaiting=0 nmidlelocked=0\
 stopwait=0 sysmonwait=0
  P0: status=1 schedtick=5 syscalltick=2 m=-1 runqsize=4 gfreecnt=0
  M1: p=-1 curg=-1 mallocing=0 throwing=0 preemptoff=GC worker init locks=1 dying=0 spinning=false blocked=true\
 lockedg=-1
  G1: status=4(select (no cases)) m=-1 lockedm=0
  G2: status=4099() m=3 lockedm=-1
"""


def only(text):
    (sample,) = parse(text).samples
    return sample


@pytest.mark.parametrize(
    ("line", "needs", "ticks"),
    [(GO_1_25, 1, (70, 81, 92)), (GO_1_20, 1, ()), (GO_1_11, None, ())],
    ids=["1.25", "1.20", "1.11"],
)
def test_all_facts_of_a_line(line, needs, ticks):
    sample = only(f"2026-03-01 stderr {line}\r\nsomething else")
    assert sample == Sample(1004, 3, 1, 9, 1, needs, 4, 2, (3, 0, 1), ticks)
    assert sample.queued == 6


def test_the_details_of_an_old_version():
    sample = only(GO_1_11_DETAIL)
    assert sample.processors == (Processor(0, 1, 5, 2, None, 4),)
    assert (sample.local_queues, sample.schedticks, sample.queued) == ((4,), (5,), 4)
    assert sample.threads_seen == (Thread(1, None, None, "GC worker init", 1, False, True, None),)
    assert sample.goroutines == (
        Goroutine(1, "waiting", "select (no cases)", None, 0),
        Goroutine(2, "syscall", "", 3, None),  # 0x1003: the collector scans it
    )


def test_recorded_details():
    first, _, last = parse(BLOCKED).samples
    assert (first.at_ms, first.idleprocs, first.threads, len(first.threads_seen)) == (0, 1, 4, 4)
    assert (last.threads, len(last.threads_seen), last.alive) == (34, 34, 35)
    assert sum(goroutine.state == "syscall" for goroutine in last.goroutines) == 30
    assert Goroutine(2, "waiting", "force gc (idle)", None, None) in last.goroutines
    assert {processor.m for processor in last.processors} == {None}


def test_a_recorded_log_with_other_lines():
    trace = parse(SATURATED)
    assert (len(trace.samples), trace.unread) == (11, 0)
    assert {sample.queued for sample in trace.samples[1:]} == {38}, "40 goroutines spin on two Ps"


def test_free_slots_are_not_goroutines():
    slots = "\n".join(f"  G{number}: status={status}() m=nil lockedm=nil" for number, status in enumerate(range(12)))
    sample = only(f"{GO_1_25}\n{slots}")
    assert [goroutine.state for goroutine in sample.goroutines][5] == "status 5"
    assert (len(sample.goroutines), sample.alive) == (12, 9)


def test_a_restart_is_no_neighbour():
    text = "\n".join(GO_1_25.replace("1004ms", f"{at}ms") for at in (100, 200, 0, 100))
    assert [(one.at_ms, other.at_ms) for one, other in parse(text).neighbours()] == [(100, 200), (0, 100)]


def test_only_the_last_samples():
    assert parse(BLOCKED, last=2).samples == parse(BLOCKED).samples[-2:]
    assert parse(f"prefix {GO_1_25}\nother\nprefix {GO_1_20}", last=1).samples == parse(GO_1_20).samples
    assert parse(BLOCKED, last=9) == parse(BLOCKED)
    assert parse("", last=2).samples == ()


def test_no_line_is_no_error():
    assert parse("the SCHEDULE is full\n") == schedtrace.Trace(())


def test_a_cut_line_is_counted():
    trace = parse(f"{GO_1_25}\n{GO_1_25[:40]}")
    assert (len(trace.samples), trace.unread) == (1, 1)


@pytest.mark.parametrize(
    "line", [GO_1_25[:40], GO_1_25.replace("1004", "1" * 5000), GO_1_25.replace("threads=9", "threads=nine")]
)
def test_nothing_that_can_be_understood(line):
    with pytest.raises(Malformed, match="None of the 1 SCHED lines"):
        parse(line)


def test_a_log_that_is_too_long(monkeypatch):
    monkeypatch.setattr(schedtrace, "TEXT_LIMIT", 100)
    with pytest.raises(Malformed, match="more than 100"):
        parse("x" * 101)


@given(st.text() | mutated(BLOCKED[:4000]) | mutated(SATURATED))
def test_any_text_is_samples_or_malformed(text):
    with contextlib.suppress(Malformed):
        assert all(sample.queued is not None for sample in parse(text).samples)


@pytest.mark.parametrize("piece", ["SCHED ", "SCHED 1ms: a=1 ", "=", "[ 1 ", "  G1: status=4(((", "  P0: ", "(", "\n"])
def test_a_text_made_to_hurt_costs_its_length(piece):
    text = piece * ((1 << 20) // len(piece))
    started = process_time()
    with contextlib.suppress(Malformed):
        parse(text)
        parse(f"{GO_1_25}\n{text}")
    assert process_time() - started < 3
