"""Parents that wait for their children: they go on once these do, so they are victims and never to blame.

Who started whom is told by the goroutines' numbers (Go 1.21 and later), else by the functions on their stacks.
"""

import re
from collections import Counter
from collections.abc import Sequence

from sre_platform.diagnosis.parsers.goroutines import CHAN_OPERATION, Bucket
from sre_platform.diagnosis.rca.code import user_site

PARENT_WAITS = frozenset({"sync.WaitGroup.Wait", "chan receive", "select", CHAN_OPERATION})
LISTENING = frozenset({"chan receive", "select"})
MAIN = 1  # the goroutine of main.main; it waits for as long as the service lives
# Who ends others and waits for them has to tell them first. When they still listen, it has not: it is to blame itself.
ENDS_OTHERS = re.compile(r"\.(?:\(\*?\w+\)\.)?(?:close|stop|quiesce|shutdown|drain|terminate|halt)\w*$", re.IGNORECASE)


def waiting_parents(buckets: Sequence[Bucket]) -> list[bool]:
    """For each of the suspected ``buckets`` whether it waits for children of its own among them. O(goroutines kept)."""
    family = _Family(buckets)
    return [bucket.state in PARENT_WAITS and _waits(bucket, family.children(bucket)) for bucket in buckets]


def awaited(buckets: Sequence[Bucket], parents: Sequence[Bucket]) -> frozenset[int]:
    """The places in ``buckets`` of those that one of the waiting ``parents`` has started."""
    family = _Family(buckets)
    started = {id(child) for parent in parents for child in family.children(parent)}
    return frozenset(place for place, bucket in enumerate(buckets) if id(bucket) in started)


def _waits(bucket: Bucket, children: Sequence[Bucket]) -> bool:
    site = user_site(bucket.frames)
    ends = bucket.state == "sync.WaitGroup.Wait" and site is not None and ENDS_OTHERS.search(site.function)
    return any(not (ends and child.state in LISTENING) for child in children)


class _Family:
    """Buckets by those who started them."""

    def __init__(self, buckets: Sequence[Bucket]) -> None:
        self._buckets = buckets
        self._starters = Counter(bucket.created_by.function for bucket in buckets if bucket.created_by)
        self._by_parent: dict[int, list[Bucket]] = {}
        for bucket in buckets:
            for parent in {goroutine.parent for goroutine in bucket.samples} - {None, MAIN}:
                self._by_parent.setdefault(parent or 0, []).append(bucket)

    def children(self, parent: Bucket) -> list[Bucket]:
        """The buckets that ``parent`` has started, without itself."""
        known = [child for goroutine in parent.samples for child in self._by_parent.get(goroutine.id, ())]
        functions = {frame.function for frame in parent.frames}
        if not any(self._starters[function] for function in functions):
            return [child for child in known if child is not parent]
        alike = [b for b in self._buckets if b.created_by and b.created_by.function in functions and _numberless(b)]
        return [child for child in [*known, *alike] if child is not parent]


def _numberless(bucket: Bucket) -> bool:
    """Whether not all of its goroutines name their parent."""
    return len(bucket.samples) < bucket.count or any(goroutine.parent is None for goroutine in bucket.samples)
