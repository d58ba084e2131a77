from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

from sre_platform.diagnosis.domain import Evidence, Finding, Site
from sre_platform.diagnosis.rca.heap import Change, Heap, Held, heap
from sre_platform.diagnosis.rca.stacks import Profiles

# Calls that read something of unknown size into an array that is as large as all of it (or, by doubling, larger).
READS = frozenset(
    {
        "io.ReadAll", "os.ReadFile", "bytes.(*Buffer).ReadFrom", "bufio.(*Reader).ReadBytes",
        "bufio.(*Reader).ReadString", "bufio.(*Scanner).Scan", "encoding/json.(*Decoder).refill",
        "net/http.(*body).Read",
    }
)  # fmt: skip
# Calls that let a buffer grow; it never shrinks again.
GROWS = frozenset({"bytes.growSlice", "bytes.(*Buffer).grow", "bytes.(*Buffer).Grow", "strings.(*Builder).grow"})

LARGE_BYTES = 4096  # of one array: a page; whoever keeps smaller ones whole loses little
MIN_SPACE = 8 << 20  # bytes, and this share of the live heap: less than that is not what makes memory grow
MIN_SHARE = 0.25
# Mean life of an array, by Little's law (live = arriving per second x life). No request lives longer than the write
# time-out that servers are advised to have; what does was kept. Measured: 1 s in flight, 15 to 20 s retained.
KEPT_S = 10.0

CONFIDENCE = 0.75  # the profile cannot tell how much of an array is used


@dataclass(frozen=True)
class _Lead:
    """What one line pins; ``life_s`` is the mean life of an array, None for buffers that once grew."""

    held: Held
    growth: int
    life_s: float | None


class MemoryRetention:
    """Small live objects pin large arrays: parts of what was read, or buffers that once had to be large.

    Reads ``go_profiles``: profiles ``heap.earlier`` and ``heap``, data ``seconds_apart``. Arrays that are in use only
    while a request lasts are told apart by how long they live.
    """

    name = "memory_retention"

    def judge(self, service: str, evidence: Mapping[str, Evidence]) -> Finding | None:
        seen = heap(Profiles(evidence.get("go_profiles")), by_size=True)
        leads = _leads(seen) if seen else []
        return _finding(service, leads[0], seen) if seen and leads else None


def _leads(seen: Heap) -> list[_Lead]:
    """Largest first."""
    by_site: dict[Site | None, list[Change]] = {}
    for part in seen.sites:
        if part.now.size >= LARGE_BYTES and part.now.calls & (READS | GROWS):
            by_site.setdefault(part.now.site, []).append(part)
    found = (_lead(parts, seen.seconds_apart) for parts in by_site.values())
    leads = [lead for lead in found if lead and lead.held.inuse_space >= MIN_SPACE and _share(lead, seen) >= MIN_SHARE]
    return sorted(leads, key=lambda lead: -lead.held.inuse_space)


def _lead(parts: Sequence[Change], seconds: float) -> _Lead | None:
    """``parts`` are the sizes of one site. On its way to its last size an array is made in smaller ones, which die."""
    reads = any(part.now.calls & READS for part in parts)
    came = sum(part.since.alloc_objects for part in parts)
    if not came and reads:
        return None  # read once, at the start perhaps: that may well be needed
    kept = [part for part in parts if part.now.inuse_objects * seconds >= KEPT_S * part.since.alloc_objects]
    held = reduce(Held.plus, (part.now for part in kept), Held(parts[0].now.site))
    new = sum(part.since.alloc_objects for part in kept)
    if reads and new:
        return _Lead(held, sum(part.since.inuse_objects for part in kept), held.inuse_objects * seconds / new)
    # Nothing as large was needed since: it stays as it once grew.
    return None if reads or came or held.inuse_objects < 2 else _Lead(held, 0, None)


def _share(lead: _Lead, seen: Heap) -> float:
    return lead.held.inuse_space / max(1, seen.total.now.inuse_space)


def _finding(service: str, lead: _Lead, seen: Heap) -> Finding:
    held = lead.held
    against, would_decide = _doubts(lead)
    return Finding(
        cause="go.mem.retention",
        family="mem",
        service=service,
        confidence=CONFIDENCE,
        evidence="profile",
        because=[
            f"{service}: {held.inuse_objects} arrays of {held.object_bytes / 1024:.0f} KiB allocated at {held.site} are"
            f" alive: {held.inuse_space / 2**20:.1f} MiB, {_share(lead, seen):.0%} of the heap.",
            f"No such array was needed within {seen.seconds_apart:.1f} s, and none was given back."
            if lead.life_s is None
            else f"Each lives {lead.life_s:.0f} s on average, longer than any request: something keeps it.",
        ],
        against=[against],
        would_decide=[would_decide],
        advice=GROWN_ADVICE if lead.life_s is None else READ_ADVICE,
        site=held.site,
        count=held.inuse_objects,
        growth=lead.growth,
    )


def _doubts(lead: _Lead) -> tuple[str, str]:
    """What speaks against it, and what would decide."""
    if lead.life_s is None:
        return (
            "Buffers that will have to be as large again soon are well kept.",
            "A metric of the usual and the largest Len of what goes through these buffers, and of their Cap.",
        )
    return (
        "The profile does not tell how much of each array is used: a cache of whole documents looks alike.",
        f"Look at what is kept of the value that is made at {lead.held.site}: a part of it (a sub-slice, a sub-string,"
        " a match) keeps all of it.",
    )


READ_ADVICE = (
    "Keep a copy of the part that is needed: bytes.Clone or strings.Clone.",
    "Otherwise read with a decoder or a Scanner, which let go of what they have passed.",
)
GROWN_ADVICE = (
    "Do not put buffers back into a pool when their Cap is above what is usual (64 KiB, say); drop them.",
    "Make a new buffer when the need for a large one is over: Reset keeps the array.",
)
