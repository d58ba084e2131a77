"""Output of perf stat -x: recorded, and by hand after perf-stat(1) where it takes hardware or a locale."""

import contextlib
from pathlib import Path
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sre_platform.diagnosis.parsers import perf_stat
from sre_platform.diagnosis.parsers.perf_stat import Counter, bare, parse
from sre_platform.kernel.errors import Malformed
from tests.diagnosis.mutation import mutated

HOST = Path(__file__).parents[1] / "recordings" / "runtime" / "host"
# By hand: a CPU with counters, of which one was multiplexed.
HARDWARE = """# started on Sun Mar  1 12:00:00 2026

2000000000,,cycles,1000000000,100.00,2.000,GHz
1000000000,,instructions,1000000000,100.00,0.50,insn per cycle
,,,,,1.20,stalled cycles per insn
4000000,,LLC-loads,500000000,50.00,4.000,M/sec
1200000,,LLC-load-misses,500000000,50.00,30.00,of all LL-cache accesses
<not supported>,,stalled-cycles-frontend,0,100.00,,
<not counted>,,dTLB-load-misses,0,100.00,,
"""


def recorded(name):
    return (HOST / f"{name}.txt").read_text()


def only(line):
    (counter,) = parse(line).counters
    return counter


def test_a_recording():
    counters = parse(recorded("perf_total"))
    assert counters.unread == 0
    assert counters.counters[0] == Counter("task-clock", 37.29, "msec", metrics=(("CPUs utilized", 0.147),))
    assert counters.counters[3] == Counter("cycles", None, problem="not supported")
    assert (counters.total("context-switches"), counters.total("cpu-migrations")) == (357, 5)
    assert counters.total("cycles") is None


def test_intervals_add_up():
    counters = parse(recorded("perf_interval"))
    assert {counter.at_s for counter in counters.counters} == {0.100136233, 0.200389105, 0.253026642}
    assert (counters.total("context-switches"), counters.unread) == (225 + 46 + 25, 0)


def test_cpus_add_up_and_modifiers_do_not_matter():
    counters = parse(recorded("perf_per_cpu"))
    assert [counter.place for counter in counters.counters] == ["CPU0", "CPU1"] * 2
    assert counters.total("context-switches") == 213 + 277
    assert counters.total("cpu-clock") == pytest.approx(509.46)


def test_sockets_and_intervals():
    first, *_ = parse(recorded("perf_per_socket")).counters
    assert (first.at_s, first.place, first.event, first.value) == (0.100158066, "S0", "context-switches", 373)


def test_repeated_runs_have_a_variance():
    counters = parse(recorded("perf_repeated")).counters
    assert [(c.event, c.value, c.running_share) for c in counters] == [
        ("task-clock", 49.6, 1),
        ("page-faults", 8919, 1),
    ]


def test_hardware():
    counters = parse(HARDWARE)
    assert (len(counters.counters), counters.unread) == (6, 0)
    assert counters.ratio(["LLC-load-misses"], ["LLC-loads"]) == 0.3
    assert counters.ratio(["instructions"], ["cycles"]) == 0.5
    assert (counters.running_share("LLC-loads"), counters.running_share("cycles")) == (0.5, 1)
    assert counters.counters[1].metrics == (("insn per cycle", 0.5), ("stalled cycles per insn", 1.2))
    assert counters.total("dTLB-load-misses", "cycles") == 2e9, "the first that was counted"
    assert counters.ratio(["dTLB-load-misses"], ["cycles"]) is None
    assert parse("0,,cycles,1,100.00,,").ratio(["cycles"], ["cycles"]) is None


@pytest.mark.parametrize(
    ("line", "counter"),
    [
        ("0,60,msec,task-clock,597669,100,00,0,308,CPUs utilized",
         Counter("task-clock", 0.6, "msec", metrics=(("CPUs utilized", 0.308),))),
        ("     1.000123456,0,60,msec,task-clock,7,96%,597669,99,50,,",
         Counter("task-clock", 0.6, "msec", running_share=0.995, at_s=1.000123456)),
        ("CPU3,0,60,msec,task-clock,597669,100,00,,", Counter("task-clock", 0.6, "msec", place="CPU3")),
        ("304,,context-switches,101370244,100,00,2,999,K/sec",
         Counter("context-switches", 304, metrics=(("K/sec", 2.999),))),
    ],
    ids=["total", "interval and variance", "per CPU", "a count"],
)  # fmt: skip
def test_a_decimal_comma_splits_what_has_decimals(line, counter):
    assert only(line) == counter


@pytest.mark.parametrize(
    ("line", "event"),
    [
        ("12,,cpu/event=0x3c,umask=0x0/,597669,100.00,,", "cpu/event=0x3c,umask=0x0/"),
        ("12,,cpu/event=0x3c,umask=0x0/u,0.5%,597669,100.00,,", "cpu/event=0x3c,umask=0x0/u"),
        ("12,,cycles,597669,100.00", "cycles"),
        ("12,,cycles,597669,100.00,,\r", "cycles"),
    ],
)
def test_names_of_events(line, event):
    assert only(line).event == event
    assert only(line).value == 12


@pytest.mark.parametrize(
    ("event", "name"),
    [
        ("cycles", "cycles"), ("cycles:u", "cycles"), ("cycles:ukhHG", "cycles"), ("cpu_core/cycles/", "cycles"),
        ("cpu_atom/cycles/u", "cycles"), ("sched:sched_switch", "sched:sched_switch"),
        ("cpu/event=0x3c,umask=0/", "event=0x3c,umask=0"),
    ],
)  # fmt: skip
def test_bare_names(event, name):
    assert bare(event) == name


def test_what_only_looks_split_is_not_joined():
    assert only(",0.,:,A,0,0").value == 0


def test_another_separator():
    assert parse("2000;;cycles;1000;100.00;;", separator=";").total("cycles") == 2000


def test_a_cut_line_is_counted():
    counters = parse(f"{HARDWARE}\n2000,,cyc")
    assert (len(counters.counters), counters.unread) == (6, 1)


@pytest.mark.parametrize(
    "text", ["<html>no</html>", "Error: no permission", "9" * 5000, "9" * 50 + ",,cycles,1,100.00"]
)
def test_refuses_other_text(text):
    with pytest.raises(Malformed, match="not the output of perf stat"):
        parse(text)


def test_nothing_is_no_error():
    assert parse("\n# started on Sunday\n") == perf_stat.Counters(())


def test_a_text_that_is_too_long(monkeypatch):
    monkeypatch.setattr(perf_stat, "TEXT_LIMIT", 100)
    with pytest.raises(Malformed, match="more than 100"):
        parse("x" * 101)


@given(st.text() | mutated(HARDWARE) | mutated(recorded("perf_per_socket")))
def test_any_text_is_counters_or_malformed(text):
    with contextlib.suppress(Malformed):
        for counter in parse(text).counters:
            assert (counter.value is None) == bool(counter.problem)
            assert 0 <= counter.running_share <= 1


@pytest.mark.parametrize(
    "piece", [",", "1,", "1,,a,", "1,,a,1,1.0,", "<not counted>,", "a,", "%,", "1.0,\n", ",,1,x\n"]
)
def test_a_text_made_to_hurt_costs_its_length(piece):
    text = HARDWARE + piece * ((1 << 20) // len(piece))
    started = process_time()
    parse(text)
    assert process_time() - started < 5
