import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sre_platform.clients.exposition import fetch, parse
from sre_platform.kernel.errors import Malformed, Rejected
from sre_platform.kernel.sample import Sample
from tests.fakes.wire import Answer, serving

PAGE = b"""# HELP envoy_rq Requests.
# TYPE envoy_rq counter
envoy_rq{code="200",b="x\\n\\"y\\" \xe2\x80\xa8"} 3 1700000000000
# TYPE t summary
t{quantile="0.5"} NaN
t_sum 1e3

inf +Inf
"""


def test_reads_a_page():
    with serving(Answer(200, PAGE)) as wire:
        envoy, _, total, inf = fetch(f"{wire.url}/metrics")
    assert envoy == Sample("envoy_rq", (("b", 'x\n"y" \u2028'), ("code", "200")), 3.0), "no _total is appended"
    assert (total.name, total.value, inf.value) == ("t_sum", 1000.0, float("inf"))


@pytest.mark.parametrize("page", [b"<html>no</html>", b'a{b="c" 1', b"a x", b"a", b"{} 1"])
def test_refuses_other_text(page):
    with serving(Answer(200, page)) as wire, pytest.raises(Malformed, match="not the Prometheus text format"):
        fetch(wire.url)


def test_an_error_is_no_empty_page():
    with serving(Answer(404)) as wire, pytest.raises(Rejected):
        fetch(wire.url)


@given(st.text() | st.from_regex(r'[a-z{}=",\\ #\n0-9+]{0,40}', fullmatch=True))
def test_any_text_is_samples_or_malformed(text):
    with contextlib.suppress(Malformed):
        assert all(isinstance(sample, Sample) for sample in parse(text))
