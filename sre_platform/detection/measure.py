"""Measure SLIs once, now: what verification asks after a repair, and steady-state checks before a fault."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isnan
from typing import Protocol

from sre_platform.clients import prometheus
from sre_platform.detection.scraping import Scraper, Target
from sre_platform.detection.window import Scrape, Window, evaluate
from sre_platform.kernel.errors import Malformed, SreError
from sre_platform.kernel.promql import check, compile_sli
from sre_platform.kernel.sli import Sli

_SCRAPE_TIMEOUT_S = 2.0
_KEEP_S = 3600.0


@dataclass(frozen=True)
class Measured:
    """A value, or None and one sentence on why there is none. "Could not measure" is never 0."""

    value: float | None
    missing: str = ""


class Measurer(Protocol):
    """Something that can measure."""

    def measure(self, slis: Sequence[Sli]) -> list[Measured]:
        """One answer for each SLI, in their order. Never raises SreError."""


class PrometheusMeasurer:
    """Asks a Prometheus server at ``base_url``."""

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url

    def measure(self, slis: Sequence[Sli]) -> list[Measured]:
        return [self._measure(sli) for sli in slis]

    def _measure(self, sli: Sli) -> Measured:
        try:
            vector = prometheus.query(self._base_url, compile_sli(sli))
        except SreError as error:
            return Measured(None, str(error))
        if not vector:
            return Measured(None, f"Prometheus has no data for {sli.metric} now.")
        value = vector[0][1]
        return Measured(None, _nothing_happened(sli)) if isnan(value) else Measured(value)


class ScrapeMeasurer:
    """Scrapes the targets (job to metrics URL) itself: twice, ``gap_s`` seconds apart or an SLI's window if shorter.

    All SLIs of one call share the same two scrapes, and are computed over the time that really lay between them.
    """

    def __init__(
        self, targets: Mapping[str, str], gap_s: float = 1.0, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._targets = [Target(job, url) for job, url in targets.items()]
        self._gap_s = gap_s
        self._sleep = sleep

    def measure(self, slis: Sequence[Sli]) -> list[Measured]:
        scraper = Scraper(self._targets, _SCRAPE_TIMEOUT_S)
        try:
            return self._over_two_scrapes(scraper, slis)
        finally:
            scraper.close()

    def _over_two_scrapes(self, scraper: Scraper, slis: Sequence[Sli]) -> list[Measured]:
        window = Window(keep_s=_KEEP_S)
        started_at = at = _now_s()
        scrapes = scraper.scrape()
        window.add(at, scrapes)
        spans = [sli.window_s for sli in slis if sli.kind != "gauge"]
        if spans:  # gauges alone need no second look
            self._sleep(min(self._gap_s, *spans))
            at = _now_s()
            scrapes = scraper.scrape()
            window.add(at, scrapes)
        return [_measured(sli, window, at, at - started_at, scrapes) for sli in slis]


def _now_s() -> float:
    return round(time.time(), 3)  # whole milliseconds, as the window keeps them: both scrapes lie on the span's ends


def _measured(sli: Sli, window: Window, at: float, span_s: float, scrapes: Sequence[Scrape]) -> Measured:
    try:
        check(sli)
    except Malformed as error:
        return Measured(None, str(error))
    value = evaluate(replace(sli, window_s=span_s), window, at)
    return Measured(None, _why(sli, window, scrapes)) if value is None else Measured(value)


def _why(sli: Sli, window: Window, scrapes: Sequence[Scrape]) -> str:
    """One sentence on why ``sli`` has no value."""
    failed = "; ".join(scrape.error for scrape in scrapes if scrape.samples is None)
    name = f"{sli.metric}_bucket" if sli.kind == "latency_quantile" else sli.metric
    if failed:
        return f"Not every target could be scraped: {failed}"
    if not any(window.select(name, sli.labels)):
        return f"No target shows {name} with the labels {dict(sli.labels)}."
    return _nothing_happened(sli)


def _nothing_happened(sli: Sli) -> str:
    return f"{sli.metric} counted nothing in the time measured, so that {sli.kind} has no value."
