"""Is the new version worse than the one it replaces? Share of 5xx and P99, look by look. Pure.

A check fails only when three things hold: the rise is certain for this look (:mod:`.looks`), by a test that compares
the versions within the same blocks of time (:mod:`.strata`) and, for latencies, knows how far versions stray on their
own (:mod:`.wander`); it is large enough to matter; and enough requests show it. It passes only when what must be found
can be excluded.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple, dataclass
from functools import cached_property
from math import sqrt
from operator import itemgetter

from sre_platform.kernel.errors import Malformed
from sre_platform.rollouts.domain import (
    DEFAULTS,
    Check,
    Judgement,
    Limits,
    Request,
    Verdict,
    overall,
)
from sre_platform.rollouts.history import History
from sre_platform.rollouts.looks import Look, looks, whole_looks
from sre_platform.rollouts.strata import Block, Difference, binomial_tail, difference
from sre_platform.rollouts.wander import Belief, certainty, learnt
from sre_platform.rollouts.window import Window

# Fewer 5xx than these prove nothing: one crash of one client's retries is three.
FEWEST_5XX = 5
# Below this, the normal curve is too thin a tail for the counts, and the exact binomial has to agree.
SPARSE_5XX = 100
# Requests of each version without which a good share says little: one 5xx of 250 is half of the limit.
FEWEST_REQUESTS = 250
# The fewest of which one is above the P99 with a probability of 95 %: without it, the P99 was not seen (Wilks 1941).
FEWEST_FOR_P99 = 300
# With fewer of one version, its slowest quarter is fewer than 25 requests: no base for any judgement of a tail.
FEWEST_FOR_TAIL = 100
# Shares of the slowest requests that are compared. The wide one is the surer when everything slows down, the narrow
# one when only the tail does.
TAILS = (0.25, 0.05)
# How sure to be, at the most, that a rise is no wandering. The first looks' 6.7 and 4.8 guard against looking early at
# chance alone; asked of wandering, too, they would hide a canary that is ten times as slow. Four is one in 30,000.
WANDERING_Z = 4.0
# How far below the limit of the rise the narrow tail has to be, in standard deviations, for a certain rise to be let
# through as small (97.5 %), and for a canary that is not certainly slower to pass (95 %).
EXCLUDED_Z, UNLIKELY_Z = -1.96, -1.645
# A day: a canary that runs longer has long become the baseline, and each ten seconds of it cost a look.
LONGEST_S = 86_400.0

_TIME = itemgetter(0)


@dataclass(frozen=True)
class _Seen:
    """One look's window and what the tests say of it."""

    window: Window
    look: Look
    history: History
    limits: Limits

    @property
    def count(self) -> int:
        return min(len(self.window.canary), len(self.window.baseline))

    @cached_property
    def belief(self) -> Belief:
        """How the versions wander on their own, as all of their latencies show."""
        whole = self.window.tail(1.0)
        return learnt(whole, self.history.belief(whole, self.look.since))

    def surely_slower(self, top: float) -> bool:
        """Whether the slowest ``top`` of the canary are slower, for this look."""
        blocks = self.window.tail(top)
        if difference(blocks).z < self.look.z:
            return False
        return certainty(blocks, self.belief, top) >= min(self.look.z, WANDERING_Z)

    def surely_less(self, rise: float, z: float) -> bool:
        """Whether the narrow tail is less than ``rise`` slower, at ``z`` and below."""
        blocks = self.window.tail(TAILS[-1], 1 + rise)
        return difference(blocks).z <= z and certainty(blocks, self.belief, TAILS[-1]) <= z


def judge(baseline: Sequence[Request], canary: Sequence[Request], limits: Limits = DEFAULTS) -> Judgement:
    """The verdict on requests in any order: the first look that fails the canary ends it, else the last look tells.

    Only what the baseline served while the canary ran is compared; what it served before tells how much it wanders.
    ``at`` counts from the canary's first request. Raises Malformed when the canary's requests span more than LONGEST_S.
    """
    return _judged(baseline, canary, limits, looks, 0.0)


def watch(
    baseline: Sequence[Request], canary: Sequence[Request], judged_until: float = 0.0, limits: Limits = DEFAULTS
) -> Judgement:
    """The verdict so far on a canary that still runs: called again and again, it looks no more often than judge does.

    Only whole looks, of ten seconds each, that end later than ``judged_until`` (the ``at`` of the judgement before) are
    taken, and nothing but the last minute of each: so requests older than a minute, of both versions, may be left out
    but for the canary's first. Without a new look the answer is INCONCLUSIVE at ``judged_until``, without checks.
    Raises Malformed as judge does.
    """
    return _judged(baseline, canary, limits, lambda duration: whole_looks(duration, judged_until), judged_until)


def _judged(
    baseline: Sequence[Request],
    canary: Sequence[Request],
    limits: Limits,
    taken: Callable[[float], Iterator[Look]],
    at: float,
) -> Judgement:
    baseline, canary = sorted(baseline), sorted(canary)
    if not canary or not baseline:
        absent = "canary" if not canary else "baseline"
        return _unknown(f"There is no request of the {absent}.", limits)
    start, end = canary[0].time, canary[-1].time
    if end - start > LONGEST_S:
        raise Malformed(f"The canary's requests span {end - start:,.0f} s; at most {LONGEST_S:,.0f} can be judged.")
    first = bisect_left(baseline, start, key=_TIME)
    along = baseline[first : bisect_right(baseline, end, key=_TIME)]
    if not along:
        return _unknown("The baseline served no request while the canary ran.", limits)
    found = Judgement(Verdict.INCONCLUSIVE, at)
    history = History(baseline[:first], along, canary, start)
    for look in taken(end - start):
        found = _looked(along, canary, look, history, limits)
        if found.verdict is Verdict.FAIL:
            return found
    return found


def _looked(
    baseline: Sequence[Request], canary: Sequence[Request], look: Look, history: History, limits: Limits
) -> Judgement:
    start = canary[0].time
    older, newer = (_between(requests, start, look) for requests in (baseline, canary))
    if not older or not newer:
        return _unknown("One of the versions served no request in the last minute.", limits, look.until)
    seen = _Seen(Window(older, newer, start + look.since), look, history, limits)
    checks = _errors(seen)
    checks += _latencies(seen, look.last or overall(checks) is Verdict.FAIL)
    return Judgement(overall(checks), look.until, checks)


def _between(requests: Sequence[Request], start: float, look: Look) -> Sequence[Request]:
    since, until = start + look.since, start + look.until
    return requests[bisect_left(requests, since, key=_TIME) : bisect_right(requests, until, key=_TIME)]


def _unknown(reason: str, limits: Limits, at: float = 0.0) -> Judgement:
    named = zip(("5xx_share", "5xx_rise", "p99_ms", "p99_rise"), astuple(limits), strict=True)
    checks = [Check(name, None, None, limit, Verdict.INCONCLUSIVE, reason) for name, limit in named]
    return Judgement(Verdict.INCONCLUSIVE, at, checks)


def _errors(seen: _Seen) -> list[Check]:
    window, limits = seen.window, seen.limits
    older, newer = (_share(requests) for requests in (window.baseline, window.canary))
    blocks = window.errors()
    certain = _certain_5xx(blocks, difference(blocks), seen)
    must_be_found = min(1.0, older + 2 * limits.errors_rise)
    enough = seen.count >= FEWEST_REQUESTS and not _may_be(newer, must_be_found, len(window.canary), UNLIKELY_Z)
    to_blame = older <= limits.errors
    rise = newer - older > limits.errors_rise
    share = newer > limits.errors or (rise and _may_be(newer, limits.errors, len(window.canary), EXCLUDED_Z))
    return [
        _check("5xx_share", (older, newer, limits.errors), to_blame, share, certain, enough),
        _check("5xx_rise", (older, newer, limits.errors_rise), not to_blame, rise, certain, enough),
    ]


def _may_be(share: float, true: float, count: int, z: float) -> bool:
    """Whether ``count`` requests with this share of 5xx may be a sample of the ``true`` share or of more."""
    deviation = sqrt(true * (1 - true) / count)
    return share >= true or (deviation > 0 and (share - true) / deviation > z)


def _share(requests: Sequence[Request]) -> float:
    return sum(request.status >= 500 for request in requests) / len(requests)


def _certain_5xx(blocks: Sequence[Block], found: Difference, seen: _Seen) -> bool:
    used = [block for block in blocks if block.weight]
    count = round(sum(block.total_sum for block in used))
    by_canary = round(sum(block.canary_sum for block in used))
    if by_canary < FEWEST_5XX or found.z < seen.look.z:
        return False
    share = sum(block.expected for block in used) / count
    return count > SPARSE_5XX or binomial_tail(by_canary, count, share) <= seen.look.p


def _latencies(seen: _Seen, final: bool) -> list[Check]:
    """Only the ``final`` look's answer may be that the canary is good: that takes as long as all the rest."""
    (older, newer), limits = seen.window.p99(), seen.limits
    certain = newer > older and seen.count >= FEWEST_FOR_TAIL and any(map(seen.surely_slower, TAILS))
    to_blame, enough = older <= limits.p99_ms, seen.count >= FEWEST_FOR_P99
    large = newer / older - 1 > limits.p99_rise if older else newer > 0
    if certain and not large:
        large = not seen.surely_less(limits.p99_rise, EXCLUDED_Z)
    small = final and seen.count >= FEWEST_FOR_TAIL and not large and seen.surely_less(limits.p99_rise, UNLIKELY_Z)
    return [
        _check("p99_ms", (older, newer, limits.p99_ms), to_blame, newer > limits.p99_ms, certain, enough),
        _check("p99_rise", (older, newer, limits.p99_rise), True, large, certain, small),
    ]


def _check(
    name: str, values: tuple[float, float, float], counts: bool, beyond: bool, certain: bool, enough: bool
) -> Check:
    verdict, reason = _said(counts, beyond, certain, enough)
    return Check(name, *values, verdict, reason)


def _said(counts: bool, beyond: bool, certain: bool, enough: bool) -> tuple[Verdict, str]:
    if not counts:
        return (
            Verdict.PASS,
            "Not counted: 5xx and P99 have to keep the limit if the baseline does, else only a rise counts.",
        )
    if beyond and certain:
        return (
            Verdict.FAIL,
            "The canary is certainly worse than the baseline at the same time, and by more than the limit.",
        )
    if not enough:
        return (
            Verdict.INCONCLUSIVE,
            "There are too few requests, or too much chance, to exclude what is beyond the limit.",
        )
    if beyond:
        return Verdict.INCONCLUSIVE, "Beyond the limit, but no more than chance explains."
    return Verdict.PASS, "Within the limit."
