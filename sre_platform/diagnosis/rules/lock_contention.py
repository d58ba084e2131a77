from collections.abc import Iterator, Mapping

from sre_platform.diagnosis.domain import Evidence, Finding
from sre_platform.diagnosis.rca.contention import Contention, Use, contended, use
from sre_platform.diagnosis.rca.stacks import Profiles

# Seconds waited per second. Above 15% sharding the lock pays; below it, other things do more.
MIN_SHARE = 0.15
READS_DOMINATE = 0.9  # share of reads from which on a sync.Map pays, if the keys come and go
FEW_WRITES = 100.0  # a second, up to which a copy for each write (atomic.Value) is cheap

CONFIDENCE = 0.85


class LockContention:
    """Goroutines wait long and often for one lock; the line is the holder's Unlock, as the mutex profile names it.

    Reads ``go_profiles``: profiles ``mutex.earlier`` and ``mutex``, and for the choice of a better lock
    ``block.earlier`` and ``block``; data ``seconds_apart``.
    """

    name = "lock_contention"

    def judge(self, service: str, evidence: Mapping[str, Evidence]) -> Finding | None:
        profiles = Profiles(evidence.get("go_profiles"))
        sites = [site for site in contended(profiles) or () if site.share > MIN_SHARE]
        return _finding(service, sites, use(profiles, sites[0].site)) if sites else None


def _finding(service: str, sites: list[Contention], asked: Use | None) -> Finding:
    first = sites[0]
    return Finding(
        cause="go.lock.contention",
        family="lock",
        service=service,
        confidence=CONFIDENCE,
        evidence="profile",
        because=[
            f"{service}: {first.waits} waits of {first.mean_s * 1e3:.1f} ms on average ended at {first.site}"
            f" ({first.site.function}) within {first.seconds:.1f} s.",
            f"That is {first.share:.2f} s of waiting per second; above {MIN_SHARE:.2f} a lock is worth changing.",
            *_asked(asked),
            *(f"Also {one.waits} waits of {one.mean_s * 1e3:.1f} ms at {one.site}." for one in sites[1:3]),
        ],
        against=["If the holder itself was not running (too few processors), the lock only shows it."],
        would_decide=[
            "The cross-check with the scheduler's trace and a goroutine dump tells whether the lock is the root.",
            *([] if asked else ["The share of reads is unknown: a block profile, or a count of both kinds of calls."]),
        ],
        advice=[*_advice(first, asked)],
        site=first.site,
        count=first.waits,
    )


def _asked(asked: Use | None) -> Iterator[str]:
    if asked and asked.read_share is not None:
        yield (
            f"Of the calls that had to wait for it, {asked.read_share:.0%} were reads; there are at least"
            f" {asked.writes:.0f} writes a second (block profile; calls that got it at once are not seen)."
        )


def _advice(first: Contention, asked: Use | None) -> Iterator[str]:
    yield f"Hold it for less: no I/O, sleep, channel or other lock between Lock and the Unlock at {first.site}."
    yield f"Shard it by key: {first.share:.2f} s of waiting per second is above {MIN_SHARE:.2f}."
    share = asked.read_share if asked else None
    if asked is None or share is None:
        yield "Which other lock would be better depends on its share of reads, which is unknown here."
        return
    if share >= READS_DOMINATE:
        yield f"With {share:.0%} reads: sync.Map if the keys come and go, else sync.RWMutex and a map."
    else:
        yield f"With {share:.0%} reads, fewer than {READS_DOMINATE:.0%}: sync.RWMutex and a map, no sync.Map."
    if asked.reads and asked.writes < FEW_WRITES:
        yield f"With {asked.writes:.0f} writes a second: an atomic.Value that holds a copy, made anew by each write."
