import math

from hypothesis import given
from hypothesis import strategies as st

from sre_platform.detection.window import LOOKBACK_S, Scrape, Window, evaluate
from sre_platform.kernel.sample import Sample
from sre_platform.kernel.sli import Sli


def scrape(*samples, job="shop", instance="a:80"):
    return Scrape(job, instance, tuple(Sample(name, tuple(sorted(labels.items())), v) for name, labels, v in samples))


def filled(*rounds, keep_s=60):
    window = Window(keep_s)
    for at, samples in rounds:
        window.add(at, [scrape(*samples)])
    return window


def test_a_ratio_without_any_bad_series_is_zero_and_without_traffic_is_no_data():
    sli = Sli("error_ratio", "n", bad={"code": "~5.."})
    busy = filled((0, [("n", {"code": "200"}, 1)]), (1, [("n", {"code": "200"}, 9)]))
    idle = filled((0, [("n", {"code": "500"}, 1)]), (1, [("n", {"code": "500"}, 1)]))
    assert evaluate(sli, busy, 1) == 0.0
    assert evaluate(sli, idle, 1) is None
    assert evaluate(sli, Window(5), 1) is None


def test_regular_expressions_are_anchored_and_a_missing_label_is_empty():
    window = filled((0, [("g", {"code": "1500"}, 1), ("g", {}, 2), ("g", {"code": "500"}, 3)]))
    assert evaluate(Sli("gauge", "g", labels={"code": "~5.."}, aggregate="sum"), window, 0) == 3
    assert evaluate(Sli("gauge", "g", labels={"code": ""}, aggregate="sum"), window, 0) == 2


def test_a_vanished_series_is_stale_at_once_and_one_that_nobody_scrapes_after_five_minutes():
    window = filled((0, [("g", {"q": "a"}, 1), ("g", {"q": "b"}, 9)]), (1, [("g", {"q": "a"}, 2)]))
    assert evaluate(Sli("gauge", "g"), window, 1) == 2
    assert evaluate(Sli("gauge", "g"), window, 1 + LOOKBACK_S) == 2
    assert evaluate(Sli("gauge", "g"), window, 1.001 + LOOKBACK_S) is None


def test_a_target_that_cannot_be_scraped_is_down_and_its_series_are_stale():
    window = filled((0, [("g", {}, 1)]))
    window.add(1, [Scrape("shop", "a:80", None, "refused")])
    assert evaluate(Sli("gauge", "g"), window, 1) is None
    assert evaluate(Sli("gauge", "up", labels={"job": "shop", "instance": "a:80"}), window, 1) == 0
    window.add(2, [])
    assert evaluate(Sli("gauge", "up"), window, 2) is None, "a target that is no longer scraped is gone, not down"


def test_a_label_that_clashes_with_the_targets_is_renamed_and_the_first_of_two_lines_counts():
    window = filled((0, [("g", {"job": "batch"}, 1), ("g", {"job": "batch"}, 2)]))
    assert evaluate(Sli("gauge", "g", labels={"job": "shop", "exported_job": "batch"}), window, 0) == 1


def test_targets_do_not_make_each_others_series_stale():
    window = Window(10)
    window.add(0, [scrape(("g", {}, 1)), scrape(("g", {}, 5), instance="b:80")])
    assert evaluate(Sli("gauge", "g", aggregate="sum"), window, 0) == 6


def test_memory_is_bounded():
    window = Window(keep_s=5, max_series=3)
    for at in range(1000):
        window.add(at, [scrape(*(("g", {"i": str(i)}, at) for i in range(9)))])
    assert len(window) == 3
    assert all(len(series) <= 7 for _, series in window.select("g", {}))
    assert window.refused
    window.add(2000, [])
    window.add(2006, [])
    assert len(window) == 0


def test_only_wanted_names_are_kept():
    window = Window(5)
    window.add(0, [scrape(("g", {}, 1), ("h", {}, 1))], frozenset({"h"}))
    assert len(window) == 1


def test_nan_is_passed_over_by_max_and_taken_by_sum():
    window = filled((0, [("g", {"i": "1"}, math.nan), ("g", {"i": "2"}, 3)]))
    assert evaluate(Sli("gauge", "g"), window, 0) == 3
    assert evaluate(Sli("gauge", "g", aggregate="sum"), window, 0) is None


values = st.floats() | st.integers(0, 100).map(float)
lines = st.tuples(
    st.sampled_from(["m", "m_bucket"]),
    st.fixed_dictionaries(
        {}, optional={"le": st.sampled_from(["1", "2", "+Inf", "x", "nan", "-1"]), "code": st.text()}
    ),
    values,
)
slis = st.builds(
    Sli,
    st.sampled_from(["error_ratio", "latency_quantile", "gauge", "growth", "rate"]),
    st.just("m"),
    labels=st.sampled_from([{}, {"code": "~.*"}, {"code": ""}]),
    window_s=st.floats(0.001, 100),
    quantile=st.floats(0, 1),
    aggregate=st.sampled_from(["max", "min", "sum"]),
)


@given(st.lists(st.tuples(st.floats(0, 100), st.lists(lines, max_size=6)), max_size=8), slis, st.floats(0, 200))
def test_never_raises_and_never_gives_nan(rounds, sli, at):
    value = evaluate(sli, filled(*rounds), at)
    assert value is None or not math.isnan(value)
