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
# A share also grows when the rest is made faster. So the function's own CPU time per second has to grow by this, and by
# more than that of the rest falls: both move together with the load and with a busy machine (measured: 0.45 to 2.2 of
# the same function between runs of one program, profiles of 2 s), the difference between them does not.
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
    0..1 of the samples in the owner's functions; ``rates`` are CPU seconds per second now and before, None when a
    duration is unknown; ``needs_more`` is False when the rest fell by more than this grew.
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
    needs_more: bool


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

    def rate(self, samples: float) -> float:
        """CPU seconds per second that so many samples stand for; 0.0 when it is unknown how long it took."""
        return samples * self.period_s / self.seconds if self.seconds > 0 else 0.0

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
    rates = now.rate(now.functions[name]), before.rate(before.functions[name])
    known = now.rate(1) > 0 and before.rate(1) > 0
    more = not known or _needs_more(name, now, before)
    effect = cohens_h(share, share_before)
    return Growth(
        site, calls, share, share_before, chance, effect, now.functions[name], now.total, rates if known else None, more
    )


def _matters(one: Growth) -> bool:
    return one.effect >= MIN_EFFECT and one.share - one.share_before >= MIN_GAIN and one.needs_more


def _needs_more(name: str, now: Usage, before: Usage) -> bool:
    """Half a sample more of each, so that none is not infinitely less than one."""
    grew = now.rate(now.functions[name] + 0.5) / before.rate(before.functions[name] + 0.5)
    rest_now, rest_before = (usage.rate(usage.total - usage.functions[name] + 0.5) for usage in (now, before))
    return grew >= max(MIN_RATE_GROWTH, rest_before / rest_now)


def _collects(stack: Sequence[Frame]) -> bool:
    return any(frame.function in COLLECTING for frame in stack)


def _called(stack: Sequence[Frame]) -> str:
    """The library function that the owner's line called: the outermost one below it."""
    calls: Iterator[str] = library_calls(stack)
    return next(reversed(list(calls)), "")
