"""Recorded bodies, and JSON of every shape."""

import json
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from sre_platform.intake.domain import AlertValue
from sre_platform.kernel.errors import Malformed

FOLDER = Path(__file__).parent.parent / "recordings" / "intake"


def recorded(name: str) -> bytes:
    return (FOLDER / f"{name}.json").read_bytes()


def loaded(name: str) -> Any:
    return json.loads(recorded(name))


def are_alerts_or_malformed(source, text: bytes, mapping) -> bool:
    """Whether it gives alerts that can be stored, or is refused in one sentence. Anything else raises."""
    try:
        values = source.parse(text, mapping)
    except Malformed as error:
        assert len(str(error)) < 1000
        assert str(error).endswith((".", ".`."))
        assert "\n" not in str(error)
        return True
    for value in values:
        assert_storable(value)
    return isinstance(values, list | tuple)


def assert_storable(value: AlertValue) -> None:
    assert value.status in ("firing", "resolved")
    assert 0 < len(value.fingerprint) <= 64
    assert value.labels["alertname"]
    assert value.starts_at is None or value.starts_at.utcoffset().total_seconds() == 0
    for text in (*value.labels, *value.labels.values(), *value.annotations.values(), value.generator_url):
        assert "\0" not in text
        text.encode()  # half a surrogate pair would not let it


scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=10**250, max_value=10**320)
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["1", "1.0", "4", "firing", "resolved", "2026-11-21T12:00:00Z", 1795263592, 1795263592000.5])
)
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=10,
)


@st.composite
def changed(draw, document: Any) -> Any:
    """``document`` with some of its values, at any depth, replaced or left out."""
    if draw(st.integers(0, 12)) == 0:
        return draw(anything)
    if isinstance(document, dict):
        kept = [key for key in document if draw(st.integers(0, 15))]
        return {key: draw(changed(document[key])) for key in kept} | (
            {} if draw(st.booleans()) else {draw(st.text(max_size=3)): draw(anything)}
        )
    if isinstance(document, list):
        return [draw(changed(item)) for item in document]
    return document
