"""How much traffic each of two versions gets and what became of it, whatever the proxy between them is called."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import inf, isfinite, isnan, nan
from typing import Any

from sre_platform.kernel.errors import Malformed
from sre_platform.kernel.sample import Sample

MOST_BUCKETS = 500  # of one histogram: Envoy's own have 20, ours 130
WHOLE = 100  # percent


@dataclass(frozen=True)
class Weights:
    """The canary's percentage of all traffic (0..100), and whether requests that ask for it by a label get it."""

    canary: int = 0
    header: bool = False
    region: bool = False

    def as_json(self) -> dict[str, Any]:
        return {"canary": self.canary, "header": self.header, "region": self.region}

    @property
    def none(self) -> bool:
        """Whether no request at all goes to the canary."""
        return not (self.canary or self.header or self.region)


BASELINE_ONLY = Weights()


@dataclass(frozen=True)
class Counts:
    """Requests of one version since its proxy started.

    ``codes`` counts by status class, ``"2"`` to ``"5"``; ``buckets`` are (upper bound in ms, count up to it), rising,
    the last bound infinite. A request that was never answered has a code, but is in no bucket.
    """

    codes: Mapping[str, int] = field(default_factory=dict)
    buckets: Sequence[tuple[float, int]] = ()

    @property
    def total(self) -> int:
        return sum(self.codes.values())


@dataclass(frozen=True)
class Observed:
    """What both versions have served, read at the same time."""

    baseline: Counts
    canary: Counts


def buckets(samples: Sequence[Sample], name: str, labels: Mapping[str, str], to_ms: float) -> list[tuple[float, int]]:
    """The buckets of a Prometheus histogram, summed over all series that have ``labels``. Raises Malformed."""
    found: dict[float, float] = {}
    for sample in samples:
        known = dict(sample.labels)
        if sample.name == f"{name}_bucket" and labels.items() <= known.items():
            bound = _number(known.get("le", ""), name) * to_ms
            found[bound] = found.get(bound, 0.0) + sample.value
    if len(found) > MOST_BUCKETS:
        raise Malformed(f"The histogram {name} has {len(found)} buckets; at most {MOST_BUCKETS} can be used.")
    ordered = [(bound, whole(count, name)) for bound, count in sorted(found.items())]
    if any(after[1] < before[1] for before, after in pairwise(ordered)):
        raise Malformed(f"The buckets of {name} do not rise.")
    return ordered


def whole(count: float, name: str) -> int:
    """A counter's value. Raises Malformed for what counts nothing."""
    if not (isfinite(count) and count >= 0):
        raise Malformed(f"The counter {name} shows {count}.")
    return round(count)


def _number(text: str, name: str) -> float:
    try:
        bound = inf if text == "+Inf" else float(text)
    except ValueError:
        bound = nan
    if isnan(bound):
        raise Malformed(f"The histogram {name} has a bucket up to {text[:40]!r}.")
    return bound
