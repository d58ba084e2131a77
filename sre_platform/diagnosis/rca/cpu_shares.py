"""Which function takes a larger share of the CPU than in the baseline release, by more than chance."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sre_platform.diagnosis.domain import Site
from sre_platform.diagnosis.parsers.goroutines import Frame
from sre_platform.diagnosis.parsers.profile import Profile
from sre_platform.diagnosis.rca.proportions import cohens_h, holm, p_of_growth
from sre_platform.diagnosis.rca.stacks import blamed, frames, library_calls

TYPES = ("samples", "cpu")

# The chance of one false alarm among all functions of a profile (after Holm's correction).
ALPHA = 0.01
# Effect: "small" in Cohen's words, and points of share. What is certain may still be too little to act on.
MIN_EFFECT = 0.2
MIN_GAIN = 0.05
# The function's own CPU time per second has to grow too: a share also grows when the rest is made faster. Two runs of
# one program differ by far less (measured: 0.99 to 1.00 for the function of 300 samples of the recorded one).
MIN_RATE_GROWTH = 1.25

# Below these functions Go collects garbage, whoever's goroutine it is: a matter of the collector's own causes.
COLLECTING = frozenset(
    {
        "runtime.gcBgMarkWorker", "runtime.gcAssistAlloc", "runtime.gcStart", "runtime.bgsweep", "runtime.bgscavenge",
        "runtime.gcDrain", "runtime.gcMarkDone", "runtime.gcMarkTermination", "runtime.deductSweepCredit",
    }
)  # fmt: skip


@dataclass(frozen=True)
class Growth:
    """One function of the owner's, with what it calls in the standard library.

    ``site`` is its hottest line, ``calls`` the library function that this line spends most in ("" for none). Shares are
    0..1 of the samples in the owner's functions; ``rates`` are CPU seconds per second, None when a duration is unknown.
    """

    site: Site
    calls: str
    share: float
    share_before: float
    chance: float
    effect: float
    samples: int
    of: int
    rates: tuple[float, float] | None


class Usage:
    """The samples of a CPU profile by the owner's function, without those of the garbage collector and of idle Go."""

    def __init__(self, profile: Profile) -> None:
        self.functions: Counter[str] = Counter()
        self.lines: Counter[tuple[Site, str]] = Counter()
        self.seconds = profile.duration_nanos / 1e9
        self.period_s = profile.period / 1e9
        for sample in profile.samples:
            stack = frames(sample)
            site = None if _collects(stack) else blamed(stack)
            if site:
                self.functions[site.function] += max(0, sample.values[0])
                self.lines[site, _called(stack)] += max(0, sample.values[0])

    @property
    def total(self) -> int:
        return self.functions.total()

    def share(self, function: str) -> float:
        return self.functions[function] / self.total if self.total else 0.0

    def rate(self, function: str) -> float | None:
        """CPU seconds per second; None when the profile does not tell how long it took."""
        return self.functions[function] * self.period_s / self.seconds if self.seconds > 0 else None

    def hottest(self, function: str) -> tuple[Site, str]:
        """Its line with the most samples, and what that line calls most."""
        lines: Counter[Site] = Counter()
        for (site, _), count in self.lines.items():
            lines[site] += count if site.function == function else 0
        hottest = max(lines, key=lambda site: lines[site])
        calls = {called: count for (site, called), count in self.lines.items() if site == hottest}
        return hottest, max(calls, key=lambda called: calls[called])


def grown(now: Usage, before: Usage) -> list[Growth]:
    """The functions whose share grew significantly, by enough, and not because others need less; most gained first."""
    names = sorted(now.functions.keys() | before.functions.keys())
    if not now.total or not before.total:
        return []
    chances = holm([p_of_growth(now.functions[n], now.total, before.functions[n], before.total) for n in names])
    found = (_growth(name, chance, now, before) for name, chance in zip(names, chances, strict=True) if chance < ALPHA)
    return sorted((one for one in found if _matters(one)), key=lambda one: one.share_before - one.share)


def _growth(name: str, chance: float, now: Usage, before: Usage) -> Growth:
    site, calls = now.hottest(name)
    share, share_before = now.share(name), before.share(name)
    rate, rate_before = now.rate(name), before.rate(name)
    rates = None if rate is None or rate_before is None else (rate, rate_before)
    effect = cohens_h(share, share_before)
    return Growth(site, calls, share, share_before, chance, effect, now.functions[name], now.total, rates)


def _matters(one: Growth) -> bool:
    more_work = one.rates is None or one.rates[0] >= MIN_RATE_GROWTH * one.rates[1]
    return one.effect >= MIN_EFFECT and one.share - one.share_before >= MIN_GAIN and more_work


def _collects(stack: Sequence[Frame]) -> bool:
    return any(frame.function in COLLECTING for frame in stack)


def _called(stack: Sequence[Frame]) -> str:
    """The library function that the owner's line called: the outermost one below it."""
    calls: Iterator[str] = library_calls(stack)
    return next(reversed(list(calls)), "")
