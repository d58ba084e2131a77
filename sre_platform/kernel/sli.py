"""Service level indicators: one form that the embedded evaluator computes and Prometheus is asked for as PromQL."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

Kind = Literal["error_ratio", "latency_quantile", "gauge", "growth", "rate"]


@dataclass(frozen=True)
class Sli:
    """What to measure, independent of who measures it.

    * ``error_ratio``: share (0..1) of the counter ``metric``'s increase over the window that also matches ``bad``;
    * ``latency_quantile``: ``quantile`` (0..1), in seconds, of the histogram ``metric`` (named without ``_bucket``);
    * ``gauge``: the latest value of ``metric``, the ``aggregate`` of all matching series;
    * ``growth``: least-squares slope per second of the gauge ``metric`` over the window, summed over series;
    * ``rate``: increase per second of the counter ``metric`` over the window, summed over series.

    ``labels`` and ``bad`` map a label to an exact value or, with a leading ``~``, to an anchored regular expression.
    ``window_s`` is in seconds and is ignored by ``gauge``.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    kind: Kind
    metric: str
    labels: Mapping[str, str] = field(default_factory=dict)
    bad: Mapping[str, str] = field(default_factory=dict)
    window_s: float = 5.0
    quantile: float = 0.99
    aggregate: Literal["max", "min", "sum"] = "max"
