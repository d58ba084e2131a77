import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sre_platform.kernel.errors import Malformed
from sre_platform.kernel.exposition import parse, parse_openmetrics
from sre_platform.kernel.sample import Sample
from tests.diagnosis.mutation import mutated

# By hand after the OpenMetrics specification: an exemplar, time stamps, a native histogram has no value.
PAGE = """# TYPE requests counter
# HELP requests Requests \u2028 of all.
requests_total{code="200"} 3 1700000000.5 # {trace_id="4f"} 0.5
requests_created{code="200"} 1600000000 1700000000.5
# TYPE took histogram
took_bucket{le="0.1"} 1
took_bucket{le="+Inf"} 2
took_count 2
took_sum 0.7
# TYPE load gauge
load NaN
# EOF
"""


def test_openmetrics():
    first, _, low, high, *_, load = parse_openmetrics(PAGE)
    assert first == Sample("requests_total", (("code", "200"),), 3.0)
    assert (low.value, high.labels) == (1, (("le", "+Inf"),))
    assert load.value != load.value


@pytest.mark.parametrize("text", ["", "requests 1\n", "requests{a=} 1\n# EOF\n", "<html>no</html>\n# EOF\n", "\n# EOF"])
def test_refuses_other_text(text):
    with pytest.raises(Malformed, match="not the OpenMetrics format"):
        parse_openmetrics(text)


@given(st.text() | mutated(PAGE))
def test_any_text_is_samples_or_malformed(text):
    for read in (parse, parse_openmetrics):
        with contextlib.suppress(Malformed):
            assert all(isinstance(sample.value, float) for sample in read(text))
