import json
import time

import pytest

from sre_platform.detection.measure import PrometheusMeasurer, ScrapeMeasurer
from sre_platform.kernel.sli import Sli
from tests.fakes.wire import Answer, serving

ERRORS = Sli("error_ratio", "n_total", bad={"code": "500"})
DEPTH = Sli("gauge", "depth", labels={"job": "shop"})


class Exporter:
    """Counts 30 good and 10 bad requests per scrape."""

    def __init__(self):
        self.scrapes = 0

    def __call__(self, _call):
        self.scrapes += 1
        good, bad = 30 * self.scrapes, 10 * self.scrapes
        page = f'n_total{{code="200"}} {good}\nn_total{{code="500"}} {bad}\ndepth 7\nh_bucket{{le="+Inf"}} 3\n'
        return Answer(200, page.encode())


def test_all_slis_share_two_scrapes_and_the_time_that_really_passed():
    with serving(Exporter()) as wire:
        measurer = ScrapeMeasurer({"shop": f"{wire.url}/metrics"}, gap_s=0.2)
        began = time.monotonic()
        ratio, depth, rate = measurer.measure([ERRORS, DEPTH, Sli("rate", "n_total")])
        took = time.monotonic() - began
    assert len(wire.calls) == 2
    assert (ratio.value, depth.value) == (0.25, 7)
    assert 40 / took <= rate.value <= 40 / 0.2


def test_gauges_alone_need_one_scrape_and_no_wait():
    with serving(Exporter()) as wire:
        [depth] = ScrapeMeasurer({"shop": wire.url}, sleep=pytest.fail).measure([DEPTH])
    assert (depth.value, len(wire.calls)) == (7, 1)


def test_says_why_there_is_no_value_and_never_says_zero():
    asked = [Sli("rate", "nothing_total"), Sli("latency_quantile", "h"), Sli("gauge", "a b"), ERRORS]
    with serving(Answer(200, b'n_total{code="200"} 5\nh_bucket{le="+Inf"} 3\nh_bucket{le="1"} 3\n')) as wire:
        unknown, idle, malformed, ratio = ScrapeMeasurer({"shop": wire.url}, gap_s=0.05).measure(asked)
    assert [each.value for each in (unknown, idle, malformed, ratio)] == [None] * 4
    assert "No target shows nothing_total" in unknown.missing
    assert "counted nothing" in idle.missing
    assert "not a metric name" in malformed.missing
    assert "counted nothing" in ratio.missing


def test_a_target_that_is_down_is_named():
    with serving(Answer(503)) as wire:
        [ratio] = ScrapeMeasurer({"shop": wire.url}, gap_s=0.05).measure([ERRORS])
    assert ratio.value is None
    assert wire.url in ratio.missing


def _vector(*values):
    series = [{"metric": {}, "value": [0, value]} for value in values]
    return Answer(200, json.dumps({"data": {"resultType": "vector", "result": series}}).encode())


@pytest.mark.parametrize(
    ("answer", "value", "missing"),
    [
        (_vector("0.5"), 0.5, ""),
        (_vector(), None, "no data"),
        (_vector("NaN"), None, "counted nothing"),
        (Answer(503), None, "answered 503"),
        (Answer(200, b"<html>"), None, "not JSON"),
    ],
)
def test_prometheus_is_asked(answer, value, missing):
    with serving(answer) as wire:
        [measured] = PrometheusMeasurer(wire.url).measure([DEPTH])
    assert measured.value == value
    assert missing in measured.missing
    assert bool(measured.missing) == (value is None)
