"""How the versions wandered before a look: in the run so far, and the baseline alone before the canary began. Pure."""

from bisect import bisect_left
from collections.abc import Sequence
from functools import cached_property
from operator import itemgetter

from sre_platform.rollouts.domain import Request
from sre_platform.rollouts.strata import Block
from sre_platform.rollouts.wander import UNINFORMED, Belief, carried, information, learnt, warned
from sre_platform.rollouts.window import Window, pretended

# Seconds before the canary, or before a look's window, that are learnt from: several times the longest memory.
PAST_S = 300.0
# The difference of two versions that wander alike, each on its own, has twice the variance of one.
OF_BOTH = 2.0

_TIME = itemgetter(0)


class History:
    """Requests in the order of time. ``before`` are the baseline's from before ``start``, the canary's first."""

    def __init__(
        self, before: Sequence[Request], baseline: Sequence[Request], canary: Sequence[Request], start: float
    ) -> None:
        self._before, self._baseline, self._canary, self._start = before, baseline, canary, start

    def belief(self, whole: Sequence[Block], since: float) -> Belief:
        """What to believe of a window's blocks of all requests, which begin ``since`` seconds after the start."""
        then = self._start + since
        older, newer = (_between(requests, then - PAST_S, then) for requests in (self._baseline, self._canary))
        if not older or not newer:
            return self._warning(whole)
        earlier = Window(older, newer, max(self._start, then - PAST_S)).tail(1.0)
        return _in_units(learnt(earlier, self._warning(earlier)), earlier, whole, 1.0)

    def _warning(self, whole: Sequence[Block]) -> Belief:
        if not self._pretended:
            return UNINFORMED
        return warned(_in_units(self._alone, self._pretended, whole, OF_BOTH))

    @cached_property
    def _pretended(self) -> list[Block]:
        return pretended(_between(self._before, self._start - PAST_S, self._start))

    @cached_property
    def _alone(self) -> Belief:
        return learnt(self._pretended)


def _in_units(belief: Belief, of: Sequence[Block], into: Sequence[Block], times: float) -> Belief:
    known, wanted = information(of), information(into)
    return carried(belief, times * wanted / known) if known and wanted else UNINFORMED


def _between(requests: Sequence[Request], since: float, until: float) -> Sequence[Request]:
    return requests[bisect_left(requests, since, key=_TIME) : bisect_left(requests, until, key=_TIME)]
