"""The four comparisons that rules and criteria may use."""

import operator
from collections.abc import Callable, Mapping

COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def holds(value: float, op: str, threshold: float) -> bool:
    """Whether ``value op threshold``; a NaN never holds."""
    return COMPARISONS[op](value, threshold)
