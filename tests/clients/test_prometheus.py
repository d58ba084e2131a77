import json
import math
from urllib.parse import parse_qs, urlsplit

import pytest

from sre_platform.clients import prometheus
from sre_platform.kernel.errors import Malformed, Rejected, Unavailable
from tests.fakes.wire import Answer, serving


def _data(kind, result):
    return Answer(200, json.dumps({"status": "success", "data": {"resultType": kind, "result": result}}).encode())


def test_a_vector():
    series = [{"metric": {"job": "a"}, "value": [1, "0.5"]}, {"metric": {}, "value": [1, "NaN"]}]
    with serving(_data("vector", series)) as wire:
        (labels, value), (_, nan) = prometheus.query(f"{wire.url}/", 'up{job="a&b"}', at=12.3456)
    assert (labels, value, math.isnan(nan)) == ({"job": "a"}, 0.5, True)
    path = urlsplit(wire.calls[0].path)
    assert (path.path, parse_qs(path.query)) == ("/api/v1/query", {"query": ['up{job="a&b"}'], "time": ["12.346"]})


def test_a_scalar():
    with serving(_data("scalar", [1, "+Inf"])) as wire:
        assert prometheus.query(wire.url, "1") == [({}, math.inf)]


@pytest.mark.parametrize("answer", [_data("matrix", []), _data("vector", [{}]), Answer(200, b"[]"), Answer(200, b"<")])
def test_what_is_no_answer_of_prometheus(answer):
    with serving(answer) as wire, pytest.raises(Malformed):
        prometheus.query(wire.url, "up")


def test_errors_are_typed():
    with serving(Answer(400, b'{"error":"parse error"}')) as wire, pytest.raises(Rejected, match="parse error"):
        prometheus.query(wire.url, "up(")
    with serving(Answer(503)) as wire, pytest.raises(Unavailable):
        prometheus.query(wire.url, "up")


@pytest.mark.parametrize(("status", "ready"), [(200, True), (503, False), (404, False)])
def test_ready(status, ready):
    with serving(Answer(status)) as wire:
        assert prometheus.ready(wire.url) is ready
    assert wire.calls[0].path == "/-/ready"


def test_a_range():
    series = [{"metric": {"pod": "a"}, "values": [[100, "0.5"], [115.5, "NaN"]]}, {"metric": {}, "values": []}]
    with serving(_data("matrix", series)) as wire:
        (labels, (first, second)), (_, empty) = prometheus.query_range(f"{wire.url}/", "up", 100, 200.5, 15)
    assert (labels, first, second[0], math.isnan(second[1]), empty) == ({"pod": "a"}, (100.0, 0.5), 115.5, True, [])
    path = urlsplit(wire.calls[0].path)
    asked = {"query": ["up"], "start": ["100.000"], "end": ["200.500"], "step": ["15"]}
    assert (path.path, parse_qs(path.query)) == ("/api/v1/query_range", asked)


@pytest.mark.parametrize(
    "answer",
    [
        _data("vector", []),
        _data("matrix", [{}]),
        _data("matrix", [{"metric": {}, "values": [[1]]}]),
        Answer(200, b"[]"),
    ],
)
def test_what_is_no_range_of_prometheus(answer):
    with serving(answer) as wire, pytest.raises(Malformed):
        prometheus.query_range(wire.url, "up", 1, 2, 1)
