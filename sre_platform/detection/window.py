"""The last minutes of samples in memory, and what an SLI is worth on them, to the digit as Prometheus would say."""

import math
import re
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import dropwhile, takewhile

from sre_platform.detection.formulas import Point, quantile, rate, slope
from sre_platform.kernel.sample import Labels, Sample
from sre_platform.kernel.sli import Kind, Sli

LOOKBACK_S = 300.0  # Prometheus' --query.lookback-delta: how old the latest sample of an instant vector may be.
MAX_SERIES = 50_000

Series = deque[tuple[int, float | None]]  # (Unix milliseconds, value); None is Prometheus' staleness marker
_Key = tuple[str, Labels]


@dataclass(frozen=True)
class Scrape:
    """What one target showed in one attempt; ``samples`` is None when it could not be scraped."""

    job: str
    instance: str
    samples: tuple[Sample, ...] | None
    error: str = ""

    @property
    def target(self) -> Labels:
        """The target's identity, as Prometheus labels it."""
        return (("instance", self.instance), ("job", self.job))

    def labelled(self) -> Iterator[Sample]:
        """The samples as Prometheus stores them: with job and instance, and with ``up`` (1 or 0) for the target."""
        yield Sample("up", self.target, 0.0 if self.samples is None else 1.0)
        for sample in self.samples or ():
            yield Sample(sample.name, _joined(sample.labels, self.target), sample.value)


class Window:
    """Samples by series for ``keep_s`` seconds, at most ``max_series`` series; ``refused`` counts those turned away."""

    def __init__(self, keep_s: float, max_series: int = MAX_SERIES) -> None:
        self.keep_s = keep_s
        self.max_series = max_series
        self.refused = 0
        self._by_name: dict[str, dict[Labels, Series]] = defaultdict(dict)
        self._shown: dict[Labels, set[_Key]] = {}
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def add(self, at: float, scrapes: Iterable[Scrape], names: frozenset[str] | None = None) -> None:
        """Take in what targets showed at ``at`` (Unix seconds); with ``names`` only the metrics of these names.

        A series that its target no longer shows is stale from ``at`` on, and so are all of a target that could not be
        scraped or is not among ``scrapes`` any more. Never raises; samples not newer than the last are ignored.
        """
        now_ms = _ms(at)
        shown = {scrape.target: self._take(now_ms, scrape, names) for scrape in scrapes}
        for target, before in self._shown.items():
            for name, labels in before - shown.get(target, set()):
                self._append(now_ms, name, labels, None)
        self._shown = shown
        self._forget(now_ms)

    def select(self, name: str, matchers: Mapping[str, str]) -> Iterator[tuple[Labels, Series]]:
        """The series called ``name`` whose labels match; a label that a series lacks counts as empty."""
        tests = [(label, _test(wanted)) for label, wanted in matchers.items()]
        for labels, series in self._by_name.get(name, {}).items():
            if all(test(_value(labels, label)) for label, test in tests):
                yield labels, series

    def _take(self, now_ms: int, scrape: Scrape, names: frozenset[str] | None) -> set[_Key]:
        return {
            (sample.name, sample.labels)
            for sample in scrape.labelled()
            if (names is None or sample.name in names)
            and self._append(now_ms, sample.name, sample.labels, sample.value)
        }

    def _append(self, now_ms: int, name: str, labels: Labels, value: float | None) -> bool:
        series = self._by_name[name].get(labels)
        if series is None:
            if value is None or self._size >= self.max_series:
                self.refused += value is not None
                return False
            series = self._by_name[name][labels] = deque()
            self._size += 1
        if not series or series[-1][0] < now_ms:  # of two lines with the same name and labels the first one counts
            series.append((now_ms, value))
        return True

    def _forget(self, now_ms: int) -> None:
        """Drop points that no window reaches; the latest of a series stays as long as a gauge may look back for it."""
        oldest, lookback = now_ms - _ms(self.keep_s), now_ms - _ms(max(self.keep_s, LOOKBACK_S))
        for family in self._by_name.values():
            for labels, series in list(family.items()):
                while len(series) > 1 and series[0][0] < oldest:
                    series.popleft()
                last_ms, value = series[-1]
                if last_ms < (oldest if value is None else lookback):
                    del family[labels]
                    self._size -= 1


def evaluate(sli: Sli, window: Window, at: float) -> float | None:
    """The value of ``sli`` at ``at`` (Unix seconds), or None when there is no data; 0/0 is no data. Never raises.

    The unit is the one that ``Sli`` gives for its kind; the result is that of ``compile_sli(sli)`` in Prometheus.
    """
    try:
        value = _EVALUATORS[sli.kind](sli, window, _ms(at))
    except (OverflowError, ZeroDivisionError):
        return None
    return None if value is None or math.isnan(value) else value


def _error_ratio(sli: Sli, window: Window, at_ms: int) -> float | None:
    every = _rate(sli, window, at_ms)
    if not every:
        return None
    bad = [value for value in _rates(sli, window, at_ms) if value is not None]
    return sum(bad) / every  # No bad series at all is a ratio of 0: see promql._error_ratio.


def _rates(sli: Sli, window: Window, at_ms: int) -> list[float | None]:
    test = {label: _test(wanted) for label, wanted in sli.bad.items()}
    return [
        rate(_range(series, at_ms, sli.window_s), at_ms - _ms(sli.window_s), at_ms)
        for labels, series in window.select(sli.metric, sli.labels)
        if all(matches(_value(labels, label)) for label, matches in test.items())
    ]


def _rate(sli: Sli, window: Window, at_ms: int) -> float | None:
    return _total(
        rate(_range(series, at_ms, sli.window_s), at_ms - _ms(sli.window_s), at_ms)
        for _, series in window.select(sli.metric, sli.labels)
    )


def _growth(sli: Sli, window: Window, at_ms: int) -> float | None:
    return _total(slope(_range(series, at_ms, sli.window_s)) for _, series in window.select(sli.metric, sli.labels))


def _latency_quantile(sli: Sli, window: Window, at_ms: int) -> float | None:
    buckets: dict[float, float] = {}
    for labels, series in window.select(f"{sli.metric}_bucket", sli.labels):
        bound = _bound(_value(labels, "le"))
        per_second = rate(_range(series, at_ms, sli.window_s), at_ms - _ms(sli.window_s), at_ms)
        if bound is not None and per_second is not None:
            buckets[bound] = buckets.get(bound, 0.0) + per_second
    return quantile(sli.quantile, buckets)


def _gauge(sli: Sli, window: Window, at_ms: int) -> float | None:
    latest = (_latest(series, at_ms) for _, series in window.select(sli.metric, sli.labels))
    values = [value for value in latest if value is not None]
    if sli.aggregate == "sum":
        return sum(values) if values else None
    numbers = [value for value in values if not math.isnan(value)]  # max and min pass over NaN, sum does not
    return {"max": max, "min": min}[sli.aggregate](numbers, default=None)


_EVALUATORS: Mapping[Kind, Callable[[Sli, Window, int], float | None]] = {
    "error_ratio": _error_ratio,
    "latency_quantile": _latency_quantile,
    "gauge": _gauge,
    "growth": _growth,
    "rate": _rate,
}


def _range(series: Series, at_ms: int, window_s: float) -> list[Point]:
    """The points of a range vector, both ends included.

    That is Prometheus up to 2.x. From 3.0 on the start is excluded, so that a 5 s window over 1 s scrapes that fall on
    its start holds 5 points instead of 6; ``rate`` extrapolates over the difference.
    """
    start_ms = at_ms - _ms(window_s)
    newest_first = takewhile(lambda point: point[0] >= start_ms, reversed(series))
    return [(ms, value) for ms, value in newest_first if value is not None and ms <= at_ms][::-1]


def _latest(series: Series, at_ms: int) -> float | None:
    ms, value = next(dropwhile(lambda point: point[0] > at_ms, reversed(series)), (0, None))
    return value if ms >= at_ms - _ms(LOOKBACK_S) else None


def _total(values: Iterable[float | None]) -> float | None:
    found = [value for value in values if value is not None]
    return sum(found) if found else None


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def _bound(text: str) -> float | None:
    try:
        bound = float(text)
    except ValueError:
        return None
    return None if math.isnan(bound) else bound


def _value(labels: Labels, name: str) -> str:
    return next((value for label, value in labels if label == name), "")


@lru_cache(maxsize=512)
def _test(wanted: str) -> Callable[[str], object]:
    """A matcher as ``Sli`` writes it: an exact value, or with a leading ``~`` an anchored regular expression."""
    return re.compile(wanted[1:]).fullmatch if wanted.startswith("~") else wanted.__eq__


def _joined(labels: Labels, target: Labels) -> Labels:
    """``labels`` with the target's; a clashing one becomes ``exported_...``, an empty one is none: as in Prometheus."""
    own = dict(target)
    theirs = {f"exported_{name}" if name in own else name: value for name, value in labels if value}
    return tuple(sorted((theirs | own).items()))
