import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sre_platform.kernel.storable import storable, storable_text

json_like = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner),
)


@pytest.mark.parametrize(
    ("value", "stored"),
    [(float("nan"), "nan"), (float("inf"), "inf"), (1e16, 10**16), (0.5, 0.5), ((1.0, "a\0"), [1, "a�"])],
)
def test_what_a_database_would_change_is_changed_before(value, stored):
    assert storable(value) == stored
    assert type(storable(value)) is type(stored)


def test_half_surrogates_are_replaced():
    assert storable_text("a\ud800") == "a?"


@given(json_like)
def test_it_is_json_and_stays_what_it_is(value):
    once = storable(value)
    assert json.loads(json.dumps(once, allow_nan=False)) == once == storable(once)
