"""Numbers of evidence that somebody else wrote."""

from typing import Any

LARGEST = 1e18  # an exabyte, or thirty years in nanoseconds: what is beyond was not measured


def finite(value: Any) -> float | None:
    """``value``, a number or a text that is one, as a float; None when it is none, not finite, or beyond LARGEST."""
    try:
        number = float(value) if not isinstance(value, bool) else LARGEST * 2
    except (TypeError, ValueError, OverflowError):
        return None
    return number if abs(number) <= LARGEST else None  # false for NaN


def positive(value: Any) -> float:
    """As ``finite``, 0.0 for what is no number above zero: a duration that is not known."""
    return max(0.0, finite(value) or 0.0)
