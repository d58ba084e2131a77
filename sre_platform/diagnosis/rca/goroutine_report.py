"""From goroutine dumps to named causes: what leaks or hangs, since when it is known, who only waits for whom.

``report`` is the whole way. Suspicion comes from growth, from the garbage collector's proof, or, with one dump only,
from the state (``goroutine_growth``, ``goroutine_states``); locks are followed to their holders (``entanglements``) and
parents to their children; what is left over at the end of these chains is a root, and gets a cause.
"""

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sre_platform.diagnosis.domain import Kind, Site
from sre_platform.diagnosis.parsers.goroutines import CHAN_OPERATION, Bucket, Dump
from sre_platform.diagnosis.rca.code import user_site
from sre_platform.diagnosis.rca.entanglements import Entanglement, entanglements
from sre_platform.diagnosis.rca.go_source import cause_in_source
from sre_platform.diagnosis.rca.goroutine_growth import Suspect, suspects
from sre_platform.diagnosis.rca.goroutine_names import context_cause, named_cause
from sre_platform.diagnosis.rca.goroutine_signatures import CAUSES_BY_STATE, signature
from sre_platform.diagnosis.rca.goroutine_states import RARITY, state_suspects

# Leaks of one operation grow together, give or take what is just on its way.
TOGETHER = 0.8
MOST_CAUSES = 20


@dataclass(frozen=True)
class Cause:
    """One finding: a bucket that is to blame and what for. ``growth`` is in goroutines, None when not known.

    ``site`` is None when the guilty call is on no stack; ``why`` is what the locks say, or "".
    """

    bucket: Bucket
    cause: str
    evidence: Kind
    site: Site | None
    growth: int | None
    signed: bool = False
    why: str = ""


@dataclass(frozen=True)
class Victim:
    """A bucket that waits for the cause of number ``waits_for``, counted from 0."""

    bucket: Bucket
    waits_for: int


@dataclass(frozen=True)
class Report:
    """What one process' goroutines say. ``leak`` is None when these dumps cannot tell."""

    total: int
    truncated: bool
    leak: bool | None
    causes: tuple[Cause, ...]
    victims: tuple[Victim, ...]


Source = Callable[[str], Sequence[str]]


def no_source(file: str) -> Sequence[str]:  # noqa: ARG001
    """The lines of every file when there is no checkout: none."""
    return ()


def report(later: Dump, earlier: Dump | None = None, leaked: Dump | None = None, source: Source = no_source) -> Report:
    """The causes, best first. ``earlier`` is a dump of the same process, ``leaked`` its goroutineleak profile.

    ``source`` gives the lines of a file that a frame names, none when it does not know it.
    """
    leads = suspects(earlier, later, leaked)
    if not leads and earlier is None:
        leads = state_suspects(later)
    tangles = _relevant(entanglements(later, {lead.bucket.key for lead in leads}), leads, earlier)
    held = {bucket.key for tangle in tangles for bucket in tangle.victims}
    roots = [_tangled(bucket, tangle, leads) for tangle in tangles for bucket in tangle.roots]
    known = {root.bucket.key for root in roots} | held
    free = [lead for lead in leads if lead.bucket.key not in known]
    roots += [_cause(lead, later, source) for lead in free if not lead.victim]
    causes = _told_once(sorted(roots, key=_order(roots)))[:MOST_CAUSES]
    victims = [lead.bucket for lead in free if lead.victim]
    victims += [bucket for tangle in tangles for bucket in tangle.victims]
    told = tuple(Victim(bucket, _waits_for(bucket, causes, tangles)) for bucket in victims if causes)
    return Report(later.total, later.truncated, _verdict(causes, earlier), causes, told)


def _told_once(causes: Iterable[Cause]) -> tuple[Cause, ...]:
    """Without what says the same of the same line, or of the same goroutines, again; the first is the better one."""
    places: dict[Hashable, Cause] = {}
    for cause in causes:
        places.setdefault((cause.cause, str(cause.site)), cause)
    buckets: dict[Hashable, Cause] = {}
    for cause in places.values():
        buckets.setdefault(cause.bucket.key, cause)
    return tuple(buckets.values())


def _relevant(tangles: Iterable[Entanglement], leads: Sequence[Suspect], earlier: Dump | None) -> list[Entanglement]:
    """Those that suspected goroutines are part of, or that are certain and were there in the earlier dump as well."""
    suspected = {lead.bucket.key for lead in leads}
    before = {bucket.key: {g.id for g in bucket.samples} for bucket in earlier.buckets} if earlier else None

    def stays(bucket: Bucket) -> bool:
        return before is None or not before.get(bucket.key, set()).isdisjoint(g.id for g in bucket.samples)

    return [
        tangle
        for tangle in tangles
        if not suspected.isdisjoint(bucket.key for bucket in (*tangle.roots, *tangle.victims))
        or (tangle.certain and all(map(stays, tangle.roots)))
    ]


def _tangled(bucket: Bucket, tangle: Entanglement, leads: Sequence[Suspect]) -> Cause:
    lead = next((lead for lead in leads if lead.bucket.key == bucket.key), None)
    proven = lead is not None and lead.evidence == "gc-proof"
    evidence: Kind = "gc-proof" if proven else "lock-cycle" if tangle.certain else lead.evidence if lead else "state"
    seen = lead.bucket if lead else bucket
    growth = lead.growth if lead else None
    return Cause(seen, tangle.cause, evidence, user_site(bucket.frames), growth, tangle.named, tangle.because)


def _cause(lead: Suspect, later: Dump, source: Source) -> Cause:
    signed = signature(lead.bucket, later.buckets) or _in_source(lead, source)
    cause = signed or _by_wait(lead.bucket, later) or CAUSES_BY_STATE[lead.bucket.state or CHAN_OPERATION]
    return Cause(lead.bucket, cause, lead.evidence, lead.site, lead.growth, bool(signed))


def _in_source(lead: Suspect, source: Source) -> str:
    site = lead.site
    return cause_in_source(source(site.file), site.line, lead.bucket.state or CHAN_OPERATION) if site else ""


def _by_wait(bucket: Bucket, later: Dump) -> str:
    """What the names, the context and the runtime's minutes say about a channel wait."""
    named = named_cause(bucket)
    if bucket.state == "select":
        return named or context_cause(bucket) or ("ticker_never_stopped" if _wakes(bucket, later) else "")
    return named or ("ticker_never_stopped" if bucket.state == "chan receive" and _wakes(bucket, later) else "")


def _wakes(bucket: Bucket, later: Dump) -> bool:
    """Whether it goes round: somebody who was started after it has waited for a minute already, and it has not."""
    if bucket.minutes is not None or bucket.sample_id is None:
        return False
    return any(b.minutes and b.sample_id is not None and b.sample_id > bucket.sample_id for b in later.buckets)


def _order(roots: Sequence[Cause]) -> Any:
    most = max((root.growth or 0 for root in roots), default=0)

    def key(root: Cause) -> tuple[Hashable, ...]:
        bucket = root.bucket
        return (
            root.evidence == "state",
            root.evidence == "growth",
            not (root.why and root.signed),
            (root.growth or 0) < TOGETHER * most,
            root.site is None,
            not root.signed,
            -(root.growth or 0) if (root.growth or 0) < TOGETHER * most else 0,
            -RARITY.get(bucket.state, 0),
            -bucket.count,
            -(bucket.sample_id or 0),
            str(root.site),
        )

    return key


def _waits_for(bucket: Bucket, causes: Sequence[Cause], tangles: Iterable[Entanglement]) -> int:
    """The number of the cause that keeps ``bucket``: its lock's, its child's, else the first."""
    keys = [cause.bucket.key for cause in causes]
    for tangle in tangles:
        if bucket.key in {victim.key for victim in tangle.victims}:
            return next((keys.index(root.key) for root in tangle.roots if root.key in keys), 0)
    functions = {frame.function for frame in bucket.frames}
    children = (n for n, c in enumerate(causes) if c.bucket.created_by and c.bucket.created_by.function in functions)
    return next(children, 0)


def _verdict(causes: Sequence[Cause], earlier: Dump | None) -> bool | None:
    if any(cause.evidence != "state" for cause in causes):
        return True
    return None if causes or earlier is None or earlier.truncated else False
