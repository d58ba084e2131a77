"""A service level indicator as PromQL, the question a real Prometheus is asked.

The embedded evaluator (``detection.window.evaluate``) computes the same numbers from scrapes; ``tests/detection/
test_parity.py`` holds the two together.
"""

import math
import re
from collections.abc import Callable, Mapping
from typing import Literal

from sre_platform.kernel.comparison import COMPARISONS
from sre_platform.kernel.errors import Malformed
from sre_platform.kernel.re2 import NOT_RE2
from sre_platform.kernel.sli import Kind, Sli

Op = Literal[">", "<", ">=", "<="]

# https://prometheus.io/docs/concepts/data_model/#metric-names-and-labels
_METRIC_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


def compile_sli(sli: Sli) -> str:
    """The PromQL expression that measures ``sli``: an instant vector with at most one element and no labels.

    Raises Malformed when a name, a regular expression, the window or the quantile is not one Prometheus would take.
    """
    check(sli)
    return _COMPILERS[sli.kind](sli)


def compile_rule(sli: Sli, op: Op, threshold: float) -> str:
    """The PromQL condition of an alert: ``compile_sli(sli)`` compared with ``threshold``. Raises Malformed."""
    if op not in COMPARISONS:
        raise Malformed(f"{op!r} is not a comparison; known are: {' '.join(COMPARISONS)}.")
    if not math.isfinite(threshold):
        raise Malformed(f"The threshold must be a finite number, not {threshold}.")
    return f"{compile_sli(sli)} {op} {_number(threshold)}"


def check(sli: Sli) -> None:
    """Refuse what cannot be measured. Raises Malformed with the reason; called by every ``compile_...``."""
    if sli.kind not in _COMPILERS:
        raise Malformed(f"There is no kind of SLI {sli.kind!r}; known are: {', '.join(_COMPILERS)}.")
    if not _METRIC_NAME.fullmatch(sli.metric):
        raise Malformed(f"{sli.metric!r} is not a metric name: letters, digits, _ and :, not starting with a digit.")
    for name, wanted in (*sli.labels.items(), *sli.bad.items()):
        _check_matcher(name, wanted)
    if bool(sli.bad) != (sli.kind == "error_ratio"):
        raise Malformed(f"'bad' says which requests failed: error_ratio needs it, {sli.kind} must leave it empty.")
    if not 0 <= sli.quantile <= 1:
        raise Malformed(f"A quantile lies between 0 and 1, {sli.quantile} does not.")
    if sli.aggregate not in ("max", "min", "sum"):
        raise Malformed(f"There is no aggregate {sli.aggregate!r}; known are: max, min, sum.")
    duration(sli.window_s)


def check_label_name(name: str) -> None:
    """Raises Malformed unless ``name`` may name a label (names with two leading underscores are Prometheus' own)."""
    if not _LABEL_NAME.fullmatch(name) or name.startswith("__"):
        raise Malformed(f"{name!r} is not a label name: letters, digits and _, not starting with a digit or __.")


def duration(seconds: float) -> str:
    """``seconds`` as a Prometheus duration, which has whole milliseconds: ``5s``, ``1500ms``.

    Raises Malformed for less than a millisecond, for more than a year and for NaN.
    """
    if not 0.001 <= seconds <= 366 * 86400:
        raise Malformed(f"A duration lies between 0.001 and {366 * 86400} seconds, {seconds} does not.")
    milliseconds = round(seconds * 1000)
    return f"{milliseconds}ms" if milliseconds % 1000 else f"{milliseconds // 1000}s"


def quoted(text: str) -> str:
    """``text`` as a PromQL string literal."""
    return f'"{text.translate(_ESCAPES)}"'


def _check_matcher(name: str, wanted: str) -> None:
    check_label_name(name)
    if not wanted.startswith("~"):
        return
    if NOT_RE2.search(wanted):
        raise Malformed(f"The regular expression {wanted[1:]!r} for {name} uses what Prometheus (RE2) does not have.")
    try:
        re.compile(wanted[1:])
    except (re.error, OverflowError, RecursionError) as error:
        raise Malformed(f"The regular expression {wanted[1:]!r} for {name} does not compile: {error}.") from None


def _selector(name: str, *matchers: Mapping[str, str]) -> str:
    # Two matchers on one label are allowed and must both hold, so labels and bad are listed, not merged.
    parts = [_matcher(label, wanted) for group in matchers for label, wanted in sorted(group.items())]
    return f"{name}{{{','.join(parts)}}}" if parts else name


def _matcher(label: str, wanted: str) -> str:
    return f"{label}=~{quoted(wanted[1:])}" if wanted.startswith("~") else f"{label}={quoted(wanted)}"


def _number(value: float) -> str:
    return repr(float(value))


def _error_ratio(sli: Sli) -> str:
    window = duration(sli.window_s)
    every = f"sum(rate({_selector(sli.metric, sli.labels)}[{window}]))"
    bad = f"sum(rate({_selector(sli.metric, sli.labels, sli.bad)}[{window}]))"
    # A service that never failed has no bad series at all. That is a ratio of 0, not "no data": hence `or 0 * all`.
    return f"({bad} or 0 * {every}) / {every}"


def _latency_quantile(sli: Sli) -> str:
    buckets = _selector(f"{sli.metric}_bucket", sli.labels)
    return f"histogram_quantile({_number(sli.quantile)}, sum by (le) (rate({buckets}[{duration(sli.window_s)}])))"


def _gauge(sli: Sli) -> str:
    return f"{sli.aggregate}({_selector(sli.metric, sli.labels)})"


def _growth(sli: Sli) -> str:
    return f"sum(deriv({_selector(sli.metric, sli.labels)}[{duration(sli.window_s)}]))"


def _rate(sli: Sli) -> str:
    return f"sum(rate({_selector(sli.metric, sli.labels)}[{duration(sli.window_s)}]))"


_COMPILERS: Mapping[Kind, Callable[[Sli], str]] = {
    "error_ratio": _error_ratio,
    "latency_quantile": _latency_quantile,
    "gauge": _gauge,
    "growth": _growth,
    "rate": _rate,
}
