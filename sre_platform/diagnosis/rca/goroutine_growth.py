"""Which goroutines are suspected to leak, and where in the owner's code.

Two things make a bucket suspect: the garbage collector proved its goroutines unreachable, or it grew between two dumps.
Its size, its wait and its age do not: 200 idle workers show all three. Neither does growth of a place that goroutines
come to and leave again: that is traffic.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import sqrt

from sre_platform.diagnosis.domain import Kind, Site
from sre_platform.diagnosis.parsers.goroutines import CHAN_OPERATION, Bucket, Dump, merged
from sre_platform.diagnosis.rca.code import user_site
from sre_platform.diagnosis.rca.parents import PARENT_WAITS, waiting_parents

# Goroutines. Measured on 27 leaks (the largest bucket grew by 7 or more in each) and 6 healthy services (by 3 or less).
MIN_GROWTH = 7

# Standard deviations by which a number of goroutines may move without meaning anything.
SIGMAS = 3.0

# Frames. debug=2 leaves out the middle of a stack behind 50 frames (runtime/traceback.go, tracebackInnerFrames), other
# profiles behind 128: only the innermost ones can be compared.
COMPARED_FRAMES = 40

# Goroutines whose members all changed between the dumps are traffic, unless there are more than twice as many: then a
# leak may have begun between them. (A request in flight, its connection and its handler multiply when a dependency is
# slow; measured in the lab, 29 became 42 within 1 s and nothing leaked.)
FILLS_UP = 2

# Requests in flight account for a bucket of connections (one roundTrip each) or of waiting parents when there are at
# least half as many of them: a dump always meets a few that have just come or gone.
EXPLAINED_SHARE = 0.5
ROUND_TRIP = "net/http.(*persistConn).roundTrip"
CONNECTION_LOOPS = ("net/http.(*persistConn).readLoop", "net/http.(*persistConn).writeLoop")
SERVING = "net/http.(*conn).serve"
BACKGROUND_READ = "net/http.(*connReader).backgroundRead"  # lives and ends with its handler, which is the lead

CHANNEL_WAITS = frozenset(
    {
        "chan send",
        "chan receive",
        "chan send (nil chan)",
        "chan receive (nil chan)",
        "select",
        "select (no cases)",
        CHAN_OPERATION,
    }
)
LOCK_WAITS = frozenset({"sync.Mutex.Lock", "sync.RWMutex.Lock", "sync.RWMutex.RLock", "semacquire"})
OTHER_WAITS = frozenset({"sync.WaitGroup.Wait", "sync.Cond.Wait", "IO wait", "sleep", "syscall"})
WAITS = CHANNEL_WAITS | LOCK_WAITS | OTHER_WAITS


@dataclass(frozen=True)
class Suspect:
    """A bucket that probably leaks.

    ``bucket.leaked`` holds what the garbage collector proved. ``site`` is the innermost line outside the standard
    library, None when the culprit is not on these stacks. ``growth`` is in goroutines since the earlier dump, None when
    there is none to compare with. A ``victim`` waits for another suspect.
    """

    bucket: Bucket
    evidence: Kind
    site: Site | None
    growth: int | None
    victim: bool = False


def suspects(earlier: Dump | None, later: Dump, leaked: Dump | None) -> list[Suspect]:
    """What leaks, the best lead first; empty when nothing is proven and nothing grew by MIN_GROWTH or more and stayed.

    ``earlier`` and ``later`` are dumps of one process, seconds apart; ``leaked`` is its goroutineleak profile, taken
    after ``later``. Ordered by kind of evidence (proof, then growth), roots before victims, own code before library
    code, then by growth, then a blocked sender first (others may wait for its value), then by count.
    """
    change = _Change(earlier, later)
    grew = _grew(later.buckets, change)
    leads = [
        Suspect(bucket, "gc-proof" if bucket.leaked else "growth", user_site(bucket.frames), change.growth(bucket))
        for bucket in _proven(later, leaked)
        if bucket.leaked or grew(bucket)
    ]
    return sorted(with_victims(leads), key=_rank)


class _Change:
    """What happened to the buckets between two dumps of one process."""

    def __init__(self, earlier: Dump | None, later: Dump) -> None:
        # What a truncated dump lacks would look like growth.
        self._known = earlier is not None and not earlier.truncated
        alike = earlier is not None and _tells_creators(earlier) == _tells_creators(later)
        self._key = _key if alike else _places
        self._before = _by(self._key, earlier.buckets if earlier else ())
        self._after = _by(self._key, later.buckets)
        self._served = _serving(earlier) if earlier else frozenset()

    def growth(self, bucket: Bucket) -> int | None:
        """In goroutines; None when it cannot be known."""
        before, after = self._pair(bucket)
        if not self._known or after is None:
            return None
        return after.count - (before.count if before else 0) - self._back_from_serving(after)

    def _back_from_serving(self, after: Bucket) -> int:
        """Connections that wait for a request now, and served one before: they are no more than they were.

        Measured in the lab, when a queue dissolved: 6 idle connections became 21 within 1 s, 5 of them new.
        """
        return len(self._served.intersection(after.ids)) if idle_connections(after) else 0

    def passes(self, bucket: Bucket) -> bool:
        """Whether goroutines come and go here: none of the former is left, and they are not FILLS_UP times as many."""
        before, after = self._pair(bucket)
        if before is None or after is None:
            return False
        return after.count <= FILLS_UP * before.count and _left(before, after)

    def enough(self, bucket: Bucket) -> bool:
        """Whether it grew by more than traffic makes of itself."""
        before, after = self._pair(bucket)
        growth = self.growth(bucket) or 0
        return after is not None and growth >= MIN_GROWTH and growth >= _noise(before, after)

    def _pair(self, bucket: Bucket) -> tuple[Bucket | None, Bucket | None]:
        key = self._key(bucket)
        return self._before.get(key), self._after.get(key)


def idle_connections(bucket: Bucket) -> bool:
    """Whether these are a server's connections that serve no request just now: they call nothing of the owner's."""
    return bucket.state == "IO wait" and calls(bucket, SERVING) and user_site(bucket.frames) is None


def _serving(dump: Dump) -> frozenset[int]:
    serving = (b for b in dump.buckets if calls(b, SERVING) and not idle_connections(b))
    return frozenset(goroutine for bucket in serving for goroutine in bucket.ids)


def _left(before: Bucket, after: Bucket) -> bool:
    """Whether all goroutines of ``before`` have gone; where not all are known, whether the oldest has.

    Numbers are given out in batches, one to each processor: a goroutine may have a lower one than an older one.
    """
    if before.ids and after.ids:
        return set(before.ids).isdisjoint(after.ids)
    known = before.sample_id is not None and after.sample_id is not None
    return known and (after.sample_id or 0) > (before.sample_id or 0)


def _noise(before: Bucket | None, after: Bucket) -> float:
    """By how much the number may grow because goroutines come and go, SIGMAS standard deviations of it.

    Those that came and those that left are two counts of events; where they are not known, they are as many as were
    there. Where none has left, nothing comes and goes.
    """
    if before is None:
        return 0
    if not before.ids or not after.ids:
        return SIGMAS * sqrt(before.count) if None in (before.sample_id, after.sample_id) else 0
    left = len(set(before.ids) - set(after.ids))
    return SIGMAS * sqrt(2 * left + after.count - before.count) if left else 0


def _by(key: Callable[[Bucket], Hashable], buckets: Iterable[Bucket]) -> dict[Hashable, Bucket]:
    groups: dict[Hashable, Bucket] = {}
    for bucket in buckets:
        known = groups.get(key(bucket))
        groups[key(bucket)] = merged(known, bucket) if known else bucket
    return groups


def _tells_creators(dump: Dump) -> bool:
    """debug=2 does, debug=1 does not; a dump of each compares by places only."""
    return any(bucket.created_by for bucket in dump.buckets)


def _key(bucket: Bucket) -> Hashable:
    return bucket.key


def _places(bucket: Bucket) -> Hashable:
    """The lines of a stack, without those of the runtime, which each kind of profile hides differently."""
    shown = [frame for frame in bucket.frames if not frame.function.startswith("runtime.")]
    return tuple((frame.file, frame.line) for frame in shown[:COMPARED_FRAMES])


def _proven(later: Dump, leaked: Dump | None) -> Iterator[Bucket]:
    """The buckets of ``later`` with what the leak profile proves about them, then what only that profile holds.

    Two buckets of one stack (their creators differ, which the leak profile does not tell) share a proof, larger first.
    """
    proofs = _by(_places, (bucket for bucket in leaked.buckets if bucket.leaked) if leaked else ())
    left = {places: bucket.leaked for places, bucket in proofs.items()}
    for bucket in later.buckets:
        places = _places(bucket)
        share = min(bucket.count, left.get(places, 0))
        left[places] = left.get(places, 0) - share
        proofs.pop(places, None)
        yield replace(bucket, leaked=max(bucket.leaked, share))
    yield from proofs.values()


def _grew(buckets: Sequence[Bucket], change: _Change) -> Callable[[Bucket], bool]:
    """Whether a bucket grew as leaks do: by enough, in a wait, and not because more traffic came through."""
    passing = [bucket for bucket in buckets if change.passes(bucket)]
    callers = sum(bucket.count for bucket in passing if calls(bucket, ROUND_TRIP))
    children: Counter[str] = Counter()
    for child in passing:
        children[child.created_by.function if child.created_by else ""] += child.count

    def busy(bucket: Bucket) -> bool:
        """A connection whose callers pass, or a parent whose children do; both outlive them and serve the next one."""
        used = callers if calls(bucket, *CONNECTION_LOOPS) else 0
        awaited = {frame.function for frame in bucket.frames} if bucket.state in PARENT_WAITS else set()
        return used + sum(children[name] for name in awaited) >= EXPLAINED_SHARE * bucket.count

    def grew(bucket: Bucket) -> bool:
        enough = bucket.state in WAITS and change.enough(bucket)
        return enough and not (change.passes(bucket) or calls(bucket, BACKGROUND_READ) or busy(bucket))

    return grew


def calls(bucket: Bucket, *functions: str) -> bool:
    """Whether one of ``functions`` is on the stack."""
    return any(frame.function in functions for frame in bucket.frames)


def with_victims(leads: Sequence[Suspect]) -> list[Suspect]:
    """Two plain cases: a parent that waits for its blocked child, lock waiters beside a blocked channel operation."""
    parents = waiting_parents([lead.bucket for lead in leads])
    channel = any(_holds_up(lead) for lead, parent in zip(leads, parents, strict=True) if not parent)
    return [
        replace(lead, victim=parent or (channel and lead.bucket.state in LOCK_WAITS))
        for lead, parent in zip(leads, parents, strict=True)
    ]


def _holds_up(lead: Suspect) -> bool:
    """Whether it can be the one for whom lock waiters wait. A select that only grows may have a way out."""
    return lead.bucket.state in CHANNEL_WAITS and (lead.evidence == "gc-proof" or lead.bucket.state != "select")


def _rank(suspect: Suspect) -> tuple[bool, bool, bool, int, bool, int]:
    bucket = suspect.bucket
    unproven, receives = suspect.evidence != "gc-proof", bucket.state != "chan send"
    return unproven, suspect.victim, suspect.site is None, -(suspect.growth or 0), receives, -bucket.count
