"""Pages as prometheus_client writes them, and the names of Go's client by hand after its documentation."""

import contextlib
import math
from time import process_time

import prometheus_client
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import openmetrics
from prometheus_client.metrics_core import CounterMetricFamily, HistogramMetricFamily

from sre_platform.diagnosis.parsers import exposition
from sre_platform.diagnosis.parsers.exposition import Histogram, parse
from sre_platform.kernel.errors import Malformed
from tests.diagnosis.mutation import mutated

GO = """# HELP go_gc_duration_seconds Pauses.
# TYPE go_gc_duration_seconds summary
go_gc_duration_seconds{quantile="0"} 3.2e-05
go_gc_duration_seconds{quantile="0.25"} NaN
go_gc_duration_seconds{quantile="1"} 0.0125
go_gc_duration_seconds_sum 0.5
go_gc_duration_seconds_count 40
# TYPE go_goroutines gauge
go_goroutines 12
go_info{version="go1.27.3"} 1
# TYPE go_sched_latencies_seconds histogram
go_sched_latencies_seconds_bucket{le="0.001"} 90
go_sched_latencies_seconds_bucket{le="0.01"} 98
go_sched_latencies_seconds_bucket{le="+Inf"} 100
go_sched_latencies_seconds_sum 0.2
go_sched_latencies_seconds_count 100
"""


def test_a_page_of_go():
    page = parse(GO)
    assert (page.value("go_goroutines"), page.label("go_info", "version")) == (12, "go1.27.3")
    assert (page.value("nothing", "go_goroutines"), page.value("nothing")) == (12, None)
    assert (page.label("nothing", "version"), page.label("go_info", "nothing")) == ("", "")
    assert page.quantile("go_gc_duration_seconds", 1) == 0.0125
    assert page.quantile("go_gc_duration_seconds", 0.25) is None, "NaN: nothing was collected yet"
    assert page.quantile("go_gc_duration_seconds", 0.99) is None
    assert page.histogram("go_sched_latencies_seconds") == Histogram((0.001, 0.01, math.inf), (90, 98, 100))
    assert page.histogram("go_goroutines") is None


class Shows:
    """What a registry asks for its families."""

    def __init__(self, *families):
        self.families = families

    def collect(self):
        return self.families


@pytest.mark.parametrize("write", [prometheus_client.generate_latest, openmetrics.exposition.generate_latest])
def test_what_the_client_library_writes(write):
    took = HistogramMetricFamily("took_seconds", "Time.", labels=["route"])
    took.add_metric(["/a"], [("0.1", 1), ("1.0", 2), ("+Inf", 2)], sum_value=0.55)
    took.add_metric(["/b"], [("0.1", 0), ("1.0", 0), ("+Inf", 1)], sum_value=5)
    done = CounterMetricFamily("done", "Work.", labels=["route"])
    done.add_metric(["/a"], 3)
    registry = prometheus_client.CollectorRegistry()
    registry.register(Shows(took, done))
    page = parse(write(registry).decode())
    assert page.histogram("took_seconds") == Histogram((0.1, 1, math.inf), (1, 2, 3))
    assert page.histogram("took_seconds", route="/b") == Histogram((0.1, 1, math.inf), (0, 0, 1))
    assert page.values("done_total", route="/a") == [3]
    assert page.values("done_total", route="/b") == []


def test_only_what_go_says():
    page = exposition.parse_go(f'app_total{{broken\n{GO}go_of_the_app{{a="\\ngo_"}} 5\n')
    assert set(page.samples) == {*parse(GO).samples, "go_of_the_app"}
    whole = exposition.parse_go("# TYPE go_x gauge\ngo_x 1\n# TYPE y gauge\ny 1\n# EOF\n")
    assert set(whole.samples) == {"go_x", "y"}, "OpenMetrics is read as a whole"


SOME = Histogram((0.001, 0.01, 0.1, math.inf), (0, 90, 99, 100))


@pytest.mark.parametrize(
    ("q", "value"), [(0, 0.001), (0.45, 0.0055), (0.9, 0.01), (0.945, 0.055), (0.99, 0.1), (1, 0.1)]
)
def test_a_quantile_is_read_straight_within_its_bucket(q, value):
    assert SOME.quantile(q) == pytest.approx(value)


def test_quantiles_of_one_bucket():
    assert Histogram((2, math.inf), (4, 4)).quantile(0.5) == 1, "it begins at 0"
    assert Histogram((-2, math.inf), (4, 4)).quantile(0.5) == -2
    assert Histogram((math.inf,), (4,)).quantile(0.5) == math.inf


@given(st.lists(st.integers(0, 9), min_size=2, max_size=5), st.floats(0, 1), st.floats(0, 1))
def test_a_higher_quantile_is_never_smaller(parts, one, other):
    counts = tuple(float(sum(parts[: at + 1])) for at in range(len(parts)))
    histogram = Histogram((*map(float, range(1, len(parts))), math.inf), counts)
    low, high = sorted((one, other))
    if sum(parts):
        assert histogram.quantile(low) <= histogram.quantile(high) + 1e-9
    else:
        assert histogram.quantile(low) is None


def test_an_empty_histogram_has_no_quantile():
    assert Histogram((1, math.inf), (0, 0)).quantile(0.5) is None


@pytest.mark.parametrize(("bound", "count"), [(0.01, 10), (0.05, 1), (0.1, 1), (0.0001, 100), (5, 0)])
def test_how_many_are_surely_above(bound, count):
    assert SOME.above(bound) == count


def test_what_was_observed_in_between():
    earlier = Histogram(SOME.bounds, (0, 40, 45, 45))
    assert SOME.since(earlier) == Histogram(SOME.bounds, (0, 50, 54, 55))
    assert SOME.since(None) == SOME
    assert SOME.since(Histogram(SOME.bounds, (0, 0, 0, 101))) == SOME, "the process began anew"
    assert SOME.since(Histogram((1, math.inf), (1, 1))) == SOME, "other buckets cannot be subtracted"


def test_series_with_different_bounds_still_rise():
    page = parse('a_bucket{x="1",le="1"} 5\na_bucket{x="2",le="2"} 1\na_bucket{le="+Inf"} 6\n')
    assert page.histogram("a").counts == (5, 5, 6)


@pytest.mark.parametrize("text", ["<html>no</html>", 'a{b="c" 1', "a 1\n# EOF\n# EOF"])
def test_refuses_other_text(text):
    with pytest.raises(Malformed, match="This is not the"):
        parse(text)


def test_refuses_what_is_too_long(monkeypatch):
    with pytest.raises(Malformed, match="a line of 70002 characters"):
        parse(f'a{{b="{"x" * 69997}')
    monkeypatch.setattr(exposition, "TEXT_LIMIT", 100)
    with pytest.raises(Malformed, match="more than 100"):
        parse("x" * 101)


@given(st.text() | mutated(GO) | mutated(f"{GO}# EOF\n"))
def test_any_text_is_a_page_or_malformed(text):
    with contextlib.suppress(Malformed):
        page = parse(text)
        histogram = page.histogram("go_sched_latencies_seconds")
        assert histogram is None or histogram.above(0.001) >= 0
        assert page.quantile("go_gc_duration_seconds", 1) != "NaN"


@pytest.mark.parametrize("piece", ['{a="b",', 'a="b",', "\\", '"', "{", ",", "# "])
@pytest.mark.parametrize("end", ["", "\n# EOF\n"])
def test_a_line_made_to_hurt_is_read_in_time(piece, end):
    line = f"a{{{piece * (exposition.LINE_LIMIT // len(piece))}"[: exposition.LINE_LIMIT]
    started = process_time()
    with contextlib.suppress(Malformed):
        parse(f"{line}\n{line}{end}")
    assert process_time() - started < 3
