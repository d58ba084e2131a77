"""Every form of Go's gctrace line, recorded ones and those of versions that only their documentation shows."""

import contextlib
from pathlib import Path
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sre_platform.diagnosis.parsers import gctrace
from sre_platform.diagnosis.parsers.gctrace import Cycle, parse
from sre_platform.kernel.errors import Malformed
from tests.diagnosis.mutation import mutated

RECORDINGS = Path(__file__).parents[1] / "recordings" / "runtime"
STEADY = (RECORDINGS / "gctrace_steady.txt").read_text()
# By hand after runtime/extern.go of Go 1.11 (no stacks, no globals) and of Go 1.26 (a note behind the percentage).
GO_1_11 = "gc 7 @12.345s 3%: 0.55+120+0.081 ms clock, 2.2+10/42/1.1+0.32 ms cpu, 40->44->21 MB, 42 MB goal, 4 P"
GO_1_19 = (
    "gc 7 @12.345s 3%: 0.55+120+0.081 ms clock, 2.2+10/42/1.1+0.32 ms cpu, 40->44->21 MB, 42 MB goal,"
    " 1 MB stacks, 2 MB globals, 4 P"
)


def only(text):
    (cycle,) = parse(text).cycles
    return cycle


def test_all_facts_of_a_line():
    assert only(GO_1_19) == Cycle(
        7, 12.345, 3, 0.55, 120, 0.081, 2.2, 10, 42, 1.1, 0.32, 40, 44, 21, 42, 1, 2, 4, False
    )
    assert only(GO_1_11) == Cycle(
        7, 12.345, 3, 0.55, 120, 0.081, 2.2, 10, 42, 1.1, 0.32, 40, 44, 21, 42, None, None, 4, False
    )  # fmt: skip


def test_sums():
    cycle = only(GO_1_19)
    assert cycle.pause_ms == pytest.approx(0.631)
    assert cycle.wall_ms == pytest.approx(120.631)
    assert cycle.taken_cpu_ms == pytest.approx(2.2 + 10 + 42 + 0.32), "idle marking takes nothing from the program"


@pytest.mark.parametrize(
    "line",
    [
        GO_1_19 + " (forced)",
        GO_1_19.replace("3%:", "3% (checking for goroutine leaks):") + " (forced)",
        f"2026-03-01T12:00:00.5Z stderr F {GO_1_19} (forced)\r",
        f'{{"log":"{GO_1_19} (forced)\\n","stream":"stderr"}}',
    ],
)
def test_the_line_with_what_others_put_around_it(line):
    assert only(f"gc is mentioned here\n{line}\nand done").forced
    assert only(line).number == 7


def test_lines_of_others_are_passed_over():
    text = (RECORDINGS / "gctrace_pacer.txt").read_text()
    assert "pacer: " in text
    assert "scan: " in text
    trace = parse(f"scvg0: inuse: 3, idle: 59, sys: 63, released: 0, consumed: 63 (MB)\nGC forced\n{text}")
    assert (len(trace.cycles), trace.unread) == (text.count("ms clock"), 0)


def test_no_collection_is_no_error():
    assert parse("") == parse("listening on :8080\n") == gctrace.Trace(())


def test_a_recording():
    trace = parse(STEADY)
    assert len(trace.cycles) == 13
    assert [cycle.number for cycle in trace.cycles if cycle.forced] == [6]
    assert (trace.cycles[-1].procs, trace.cycles[-1].stacks_mib, trace.unread) == (2, 0, 0)
    assert len(trace.intervals_s()) == 12


def lines(*numbered):
    return "\n".join(GO_1_19.replace("gc 7 @12.345s", f"gc {number} @{at}s") for number, at in numbered)


@pytest.mark.parametrize(
    ("numbered", "intervals"),
    [
        ([(1, 1.0), (2, 1.5), (3, 3.0)], (0.5, 1.5)),
        ([(1, 1.0), (3, 3.0)], ()),
        ([(8, 9.0), (1, 0.5), (2, 0.75)], (0.25,)),
        ([(1, 5.0), (2, 0.5)], ()),
    ],
    ids=["in order", "a line is lost", "a restart", "another process"],
)
def test_intervals_are_of_one_process_without_gaps(numbered, intervals):
    assert parse(lines(*numbered)).intervals_s() == intervals


def test_only_the_last_cycles():
    text = lines((1, 1.0), (2, 2.0), (3, 3.0))
    assert [cycle.number for cycle in parse(f"{text}\nand done", last=2).cycles] == [2, 3]
    assert parse(text, last=9) == parse(text)
    assert parse("", last=2).cycles == ()


def test_a_cut_line_is_counted():
    trace = parse(f"{GO_1_19}\n{GO_1_19[:60]}")
    assert (len(trace.cycles), trace.unread) == (1, 1)


@pytest.mark.parametrize("line", [GO_1_19[:60], GO_1_19.replace("120", "1" * 5000), GO_1_19.replace("+", "-")])
def test_nothing_that_can_be_understood(line):
    with pytest.raises(Malformed, match="None of the 1 gctrace lines"):
        parse(line)


def test_a_log_that_is_too_long(monkeypatch):
    monkeypatch.setattr(gctrace, "TEXT_LIMIT", 100)
    with pytest.raises(Malformed, match="more than 100"):
        parse("x" * 101)


@given(st.text() | mutated(STEADY) | st.from_regex(gctrace._LINE))
def test_any_text_is_cycles_or_malformed(text):
    with contextlib.suppress(Malformed):
        assert all(cycle.procs >= 0 and cycle.pause_ms >= 0 for cycle in parse(text).cycles)


@pytest.mark.parametrize(
    "piece", ["gc 1 @", "gc ", "gc 1 @1.", "1" * 100, "gc 1 @1s 1%: 0.1+", "gc 1 @1s 1% (", "0.1+0.1+", "\n"]
)
def test_a_text_made_to_hurt_costs_its_length(piece):
    text = piece * ((1 << 20) // len(piece))
    started = process_time()
    with contextlib.suppress(Malformed):
        parse(text)
    assert process_time() - started < 3
