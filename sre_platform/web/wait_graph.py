"""Who waits for whom among goroutines: what is to blame, and who is kept by it. Pure.

An edge goes from who waits to who is waited for. Who only waits is told by the report; of causes that are a circle, and
of those that wait for themselves, the cause itself says so.
"""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from sre_platform.diagnosis.domain import Site
from sre_platform.diagnosis.parsers.goroutines import CHAN_OPERATION, Bucket
from sre_platform.diagnosis.rca.code import user_site
from sre_platform.diagnosis.rca.goroutine_report import Cause, Report
from sre_platform.web.goroutine_clusters import clipped, short

CIRCLES = frozenset({"lock_order_abba", "rwmutex_recursive_rlock", "chan_wait_cycle"})
OWN_WAITS = frozenset({"mutex_double_lock", "once_reentered"})


@dataclass(frozen=True)
class Crowd:
    """Goroutines that wait alike, as a node names them. ``cluster`` is their number in the list of clusters."""

    bucket: Bucket
    cluster: int | None

    @property
    def says(self) -> str:
        """``37 in chan send``."""
        return f"{self.bucket.count} in {self.bucket.state or CHAN_OPERATION}"

    @cached_property
    def site(self) -> Site | None:
        """The innermost line of the owner's code, else where the goroutine began."""
        frames = self.bucket.frames
        return clipped(user_site(frames) or frames[-1]) if frames else None

    @property
    def function(self) -> str:
        return short(self.site.function) if self.site else "no stack"


@dataclass(frozen=True)
class Root:
    """A cause with those who wait for it. ``number`` counts from 1; ``waits_for`` are such numbers, perhaps its own."""

    number: int
    cause: Cause
    crowd: Crowd
    waiters: Sequence[Crowd]
    waits_for: Sequence[int]

    @property
    def waits_for_itself(self) -> bool:
        return self.number in self.waits_for

    @property
    def others(self) -> Sequence[int]:
        """The other roots that it waits for."""
        return [number for number in self.waits_for if number != self.number]

    @property
    def kept(self) -> int:
        """How many goroutines only wait for it."""
        return sum(waiter.bucket.count for waiter in self.waiters)

    @property
    def entangled(self) -> bool:
        return bool(self.waiters or self.waits_for)


def wait_graph(report: Report, cluster_of: Mapping[Hashable, int]) -> list[Root]:
    """The roots in the order of the report. ``cluster_of`` gives the number of a bucket's cluster by its key."""
    waiters: dict[int, dict[Hashable, Bucket]] = defaultdict(dict)
    for victim in report.victims:  # one who waits for several locks is one crowd
        waiters[victim.waits_for].setdefault(victim.bucket.key, victim.bucket)
    waits = _between(report.causes)
    return [
        Root(
            number,
            cause,
            _crowd(cause.bucket, cluster_of),
            [_crowd(bucket, cluster_of) for bucket in waiters[number - 1].values()],
            sorted(waits[number]),
        )
        for number, cause in enumerate(report.causes, start=1)
    ]


def _crowd(bucket: Bucket, cluster_of: Mapping[Hashable, int]) -> Crowd:
    return Crowd(bucket, cluster_of.get(bucket.key))


def _between(causes: Iterable[Cause]) -> dict[int, set[int]]:
    waits: dict[int, set[int]] = defaultdict(set)
    circles: dict[Hashable, list[int]] = defaultdict(list)
    for number, cause in enumerate(causes, start=1):
        if cause.cause in OWN_WAITS:
            waits[number].add(number)
        elif cause.cause in CIRCLES and cause.knot is not None:
            circles[cause.knot].append(number)
    for ring in circles.values():
        for number, following in zip(ring, [*ring[1:], ring[0]], strict=True):
            waits[number].add(following)
    return waits
