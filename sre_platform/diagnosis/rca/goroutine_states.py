"""What can be said of one dump alone, with neither a second one nor the garbage collector's word: little.

State, age and number of goroutines do not tell a leak from an idle service. What is left is how seldom a healthy
goroutine is met in such a wait, and that it has outlived the one that started it; these only order the suspicions.
"""

from collections.abc import Mapping

from sre_platform.diagnosis.parsers.goroutines import CHAN_OPERATION, Bucket, Dump
from sre_platform.diagnosis.rca.code import user_site
from sre_platform.diagnosis.rca.goroutine_growth import Suspect, with_victims
from sre_platform.diagnosis.rca.lock_graph import LOCK_STATES
from sre_platform.diagnosis.rca.parents import MAIN, PARENT_WAITS

# How seldom a goroutine of a healthy, idle service is met in this wait: the higher, the more suspicious.
RARITY = {
    "chan send (nil chan)": 6,
    "chan receive (nil chan)": 6,
    "select (no cases)": 4,
    "chan send": 4,
    "sync.WaitGroup.Wait": 3,
    "sync.Cond.Wait": 3,
    CHAN_OPERATION: 3,
    "chan receive": 2,
    "select": 2,
} | dict.fromkeys(LOCK_STATES, 5)
ORPHAN = 2  # its parent has ended: it was not started for the life of the service
AWAITED = 2  # its parent waits, for it perhaps
POOL = 3  # so many alike with a living parent are workers that wait for work
IDLE = 2  # what is no rarer than this is told only when nothing else is there to tell


def state_suspects(dump: Dump) -> list[Suspect]:
    """Buckets of the owner's code that are stuck rather than idle, by their look; empty when all may be idle."""
    alive = {goroutine.id: bucket for bucket in dump.buckets for goroutine in bucket.samples}
    scored = [(_score(bucket, alive), bucket) for bucket in dump.buckets if bucket.state in RARITY]
    stuck = [bucket for score, bucket in scored if score > IDLE] or [b for score, b in scored if score > 0]
    sites = ((bucket, user_site(bucket.frames)) for bucket in stuck)
    return with_victims([Suspect(bucket, "state", site, None) for bucket, site in sites if site])


def _score(bucket: Bucket, alive: Mapping[int, Bucket]) -> int:
    rarity = RARITY[bucket.state]
    parents = {goroutine.parent for goroutine in bucket.samples}
    if MAIN in {goroutine.id for goroutine in bucket.samples} and rarity <= IDLE:
        return 0
    if parents <= {None}:
        return rarity
    awaited = any(p != MAIN and p in alive and alive[p].state in PARENT_WAITS for p in parents if p is not None)
    orphans = parents.isdisjoint(alive)
    pool = bucket.count >= POOL and not orphans and not awaited and rarity <= IDLE
    return 0 if pool else rarity + ORPHAN * orphans + AWAITED * awaited
