"""Values as every database gives them back: what one of them would refuse or change is changed before it is written.

PostgreSQL refuses NUL characters and half surrogates in texts, and NaN in JSON, and writes 1e16 as an integer. A hash
over what was stored has to be the same after reading it from there.
"""

import math
from typing import Any


def storable_text(text: str) -> str:
    """``text`` with U+FFFD for NULs, and ``?`` for half surrogates."""
    return text.encode("utf-8", "replace").decode().replace("\0", "\ufffd")


def storable(value: Any) -> Any:
    """A copy of a JSON-like ``value``: whole floats as integers, NaN and infinities as text, tuples as lists."""
    if isinstance(value, dict):
        return {storable_text(str(key)): storable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [storable(item) for item in value]
    if isinstance(value, float):
        return _number(value)
    return storable_text(value) if isinstance(value, str) else value


def _number(value: float) -> float | int | str:
    if not math.isfinite(value):
        return str(value)
    return int(value) if value.is_integer() else value


def ordered(value: Any) -> Any:
    """A copy of a JSON-like ``value`` with the keys of every object sorted: PostgreSQL does not keep their order."""
    if isinstance(value, dict):
        return {key: ordered(value[key]) for key in sorted(value)}
    return [ordered(item) for item in value] if isinstance(value, list) else value
