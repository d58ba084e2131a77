"""Reads the ``/metrics`` page of the service itself: values, histograms and summaries by name and label.

The samples come from prometheus_client's parsers (Prometheus text 0.0.4, or OpenMetrics when the page ends as one).
Names and labels are as the page has them: what Go's client calls ``go_goroutines`` stays ``go_goroutines``.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate

from sre_platform.diagnosis.parsers.numbers import decimal
from sre_platform.kernel.errors import Malformed
from sre_platform.kernel.exposition import parse as parse_prometheus
from sre_platform.kernel.exposition import parse_openmetrics
from sre_platform.kernel.sample import Sample

TEXT_LIMIT = 8 << 20  # characters: about 80,000 samples, eight times what a chatty service shows
LINE_LIMIT = 1 << 16  # characters of a line; the parser's time grows with the square of a line of many labels


@dataclass(frozen=True)
class Histogram:
    """A cumulative histogram: ``counts[i]`` observations were at most ``bounds[i]``; the last bound is infinite."""

    bounds: tuple[float, ...]
    counts: tuple[float, ...]

    @property
    def count(self) -> float:
        """All observations."""
        return self.counts[-1]

    def since(self, earlier: "Histogram | None") -> "Histogram":
        """What was observed between two looks; all of it when there is no earlier one, or the process began anew."""
        if earlier is None or earlier.bounds != self.bounds or earlier.count > self.count:
            return self
        return Histogram(self.bounds, tuple(max(0.0, b - a) for a, b in zip(earlier.counts, self.counts, strict=True)))

    def quantile(self, q: float) -> float | None:
        """The ``q`` quantile (0..1), straight within its bucket as PromQL reads it; None if empty.

        The first bucket begins at 0 unless it ends below; in the last, which has no end, it is the begin.
        """
        if self.count <= 0:
            return None
        at = next(place for place, count in enumerate(self.counts) if count >= q * self.count)
        end, below = self.bounds[at], self.counts[at - 1] if at else 0.0
        begin = self.bounds[at - 1] if at else min(0.0, end)
        if math.isinf(end) or self.counts[at] == below:
            return begin if at else end
        return begin + (end - begin) * (q * self.count - below) / (self.counts[at] - below)

    def above(self, bound: float) -> float:
        """How many observations were surely larger than ``bound``."""
        over = (count for end, count in zip(self.bounds, self.counts, strict=True) if end >= bound)
        return self.count - next(over, self.count)


@dataclass(frozen=True)
class Page:
    """The samples of one page by their name, in the page's order."""

    samples: Mapping[str, tuple[Sample, ...]]

    def values(self, name: str, **labels: str) -> list[float]:
        """The finite values of all series of this name that have these labels."""
        return [sample.value for sample in self._series(name, labels) if math.isfinite(sample.value)]

    def value(self, *names: str, **labels: str) -> float | None:
        """The value of the first of ``names`` that the page has, its first series with these labels; None if none."""
        found = (values[0] for name in names if (values := self.values(name, **labels)))
        return next(found, None)

    def label(self, name: str, label: str) -> str:
        """The label of the first series called ``name``, such as the version of ``go_info``; "" when there is none."""
        series = self.samples.get(name, ())
        return dict(series[0].labels).get(label, "") if series else ""

    def histogram(self, name: str, **labels: str) -> Histogram | None:
        """The histogram called ``name`` (without ``_bucket``), series with these labels added up; None if none."""
        counts: dict[float, float] = {}
        for sample in self._series(f"{name}_bucket", labels):
            end = _bound(dict(sample.labels).get("le", ""))
            if end is not None and 0 <= sample.value < math.inf:  # false for NaN too
                counts[end] = counts.get(end, 0.0) + sample.value
        if math.inf not in counts:
            return None
        ends = sorted(counts)
        # Series that do not share all bounds do not add up to rising counts.
        return Histogram(tuple(ends), tuple(accumulate((counts[end] for end in ends), max)))

    def quantile(self, name: str, q: float, **labels: str) -> float | None:
        """The value that the summary called ``name`` shows for the quantile ``q`` (0..1), None if it shows none."""
        for sample in self._series(name, labels):
            if decimal(dict(sample.labels).get("quantile", "")) == q and not math.isnan(sample.value):
                return sample.value
        return None

    def _series(self, name: str, labels: Mapping[str, str]) -> list[Sample]:
        wanted = labels.items()
        return [sample for sample in self.samples.get(name, ()) if wanted <= dict(sample.labels).items()]


def parse(text: str, prefix: str = "") -> Page:
    """The page in ``text``; of the Prometheus format only the lines that begin with ``prefix``, which is quick.

    Raises Malformed when what is read is no such page, or longer than TEXT_LIMIT or LINE_LIMIT allow.
    """
    if len(text) > TEXT_LIMIT:
        raise Malformed(f"This page has {len(text)} characters, more than {TEXT_LIMIT}.")
    if (longest := max(map(len, text.split("\n")))) > LINE_LIMIT:
        raise Malformed(f"This page has a line of {longest} characters, more than {LINE_LIMIT}.")
    if text.rstrip("\n").endswith("\n# EOF"):
        samples = parse_openmetrics(text)
    else:
        samples = parse_prometheus("\n".join(line for line in text.split("\n") if line.startswith(prefix)))
    grouped: dict[str, list[Sample]] = {}
    for sample in samples:
        grouped.setdefault(sample.name, []).append(sample)
    return Page({name: tuple(series) for name, series in grouped.items()})


def parse_go(text: str) -> Page:
    """What Go's client says of the runtime. Raises Malformed."""
    return parse(text, prefix="go_")


def _bound(text: str) -> float | None:
    return math.inf if text in ("+Inf", "Inf") else decimal(text)
