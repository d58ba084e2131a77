from collections.abc import Iterator, Mapping

from sre_platform.diagnosis.domain import Evidence, Finding
from sre_platform.diagnosis.rca.goroutine_growth import MIN_GROWTH
from sre_platform.diagnosis.rca.heap import Change, Heap, heap
from sre_platform.diagnosis.rca.proportions import p_of_growth
from sre_platform.diagnosis.rca.stacks import Profiles
from sre_platform.diagnosis.rca.waiting_calls import counted

# Live objects of one line. Bounds that people give their caches are about this (an LRU of 10,000 pages of 1 KiB takes
# 12 MB); below it, one that is still filling up looks the same.
MIN_OBJECTS = 10_000
# New objects that the profile has to have recorded, not scaled: of 16, chance makes 8 to 24 (two Poisson deviations).
MIN_RECORDED = 16
# Of what was ever stored, and of what was stored between the looks, this share is still there. A full LRU keeps none of
# the new ones on balance; an unbounded one all, less what is written again under its old key.
KEPT = 0.8
# A cache that fills up towards a bound meets ever more keys that it has: fewer new ones for as much other work. The
# chance of calling a steady growth slower, and the recorded objects (before and since, of this line and of the work)
# from which on a pace that has halved is seen in seven cases of ten.
CHANCE = 0.05
ENOUGH_RECORDED = 40

CONFIDENCE, WITHOUT_PACE = 0.85, 0.6


class UnboundedCache:
    """A map or cache without eviction: what one line stores stays, and rises in step with the work that is done.

    Reads ``go_profiles``: profiles ``heap.earlier`` and ``heap``, data ``seconds_apart``; and ``go_goroutines``,
    because goroutines that leak hold objects too. How much was done between the looks is measured by what the rest of
    the program allocates.
    """

    name = "unbounded_cache"

    def judge(self, service: str, evidence: Mapping[str, Evidence]) -> Finding | None:
        profiles = Profiles(evidence.get("go_profiles"))
        seen = heap(profiles)
        grown = [site for site in seen.sites if _grows(site)] if seen else []
        if seen is None or not grown:
            return None
        store = max(grown, key=lambda site: site.since.inuse_space)
        pace = _pace(store, seen)
        return None if pace == "slower" else _finding(service, store, grown, seen, pace, _leak(evidence))


def _grows(site: Change) -> bool:
    now, since = site.now, site.since
    return (
        now.inuse_objects >= MIN_OBJECTS
        and since.recorded >= MIN_RECORDED
        and since.inuse_objects >= KEPT * since.alloc_objects
        and now.inuse_objects >= KEPT * now.alloc_objects
    )


def _pace(site: Change, seen: Heap) -> str:
    """Whether the line stores as many objects for as much other work as before: "same", "slower" or "unknown".

    Compared are recorded allocations, of this line and of those that do not stay, until the earlier look and since.
    """
    mine, mine_before = site.since.recorded, site.now.recorded - site.since.recorded
    passing = [other for other in seen.sites if other.now.inuse_objects < KEPT * other.now.alloc_objects]
    work = sum(other.since.recorded for other in passing)
    before = sum(other.now.recorded - other.since.recorded for other in passing)
    counts = [max(0, round(count)) for count in (work, mine, before, mine_before)]
    others, stored, others_before, stored_before = counts
    if p_of_growth(others, others + stored, others_before, others_before + stored_before) < CHANCE:
        return "slower"
    return "same" if min(counts) >= ENOUGH_RECORDED else "unknown"


def _leak(evidence: Mapping[str, Evidence]) -> int:
    """By how many goroutines the service grew between its dumps, 0 when it is not known."""
    earlier, later = counted(evidence, "earlier"), counted(evidence, "goroutine")
    return later - earlier if earlier is not None and later is not None else 0


def _finding(service: str, store: Change, grown: list[Change], seen: Heap, pace: str, leak: int) -> Finding:
    others = [site for site in grown if site is not store]
    return Finding(
        cause="go.mem.unbounded-cache",
        family="mem",
        service=service,
        confidence=CONFIDENCE if pace == "same" else WITHOUT_PACE,
        evidence="profile",
        because=[
            *_because(service, store, seen, pace),
            *(f"Stored with it: {site.now.inuse_objects} objects allocated at {site.now.site}." for site in others[:3]),
        ],
        against=[*_against(leak)],
        would_decide=[*_would_decide(store, seen, pace)],
        advice=ADVICE,
        site=store.now.site,
        count=store.now.inuse_objects,
        growth=store.since.inuse_objects,
    )


def _because(service: str, store: Change, seen: Heap, pace: str) -> Iterator[str]:
    now, since = store.now, store.since
    yield (
        f"{service}: {now.inuse_objects} objects ({now.inuse_space / 2**20:.1f} MiB) allocated at {now.site} are"
        f" alive, {since.inuse_objects} more than {seen.seconds_apart:.1f} s before."
    )
    yield (
        f"{since.inuse_objects / max(1, since.alloc_objects):.0%} of what this line allocated in between is still"
        f" there, and {now.inuse_objects / max(1, now.alloc_objects):.0%} of what it ever allocated."
    )
    if pace == "same":
        yield "It grows in step with the work: its share of the allocations did not fall by more than chance."


def _against(leak: int) -> Iterator[str]:
    yield "A cache that is still filling up to a higher bound looks alike until it is full."
    if leak >= MIN_GROWTH:
        yield f"There are {leak} more goroutines than before: if they leak, it may be they who hold these objects."


def _would_decide(store: Change, seen: Heap, pace: str) -> Iterator[str]:
    rate = store.since.inuse_space / seen.seconds_apart / 2**20
    yield f"Another heap profile when the cache should be full: until then it takes {rate:.2f} MiB/s more."
    if pace != "same":
        yield "The rate of requests beside it: too few samples tell its pace."


ADVICE = (
    "Give the cache a bound and an eviction (an LRU of 10,000 entries of 1 KiB takes 12 MB), or its entries a time to"
    " live.",
    "Count its entries in a metric, and alert when they exceed the bound.",
)
