"""From goroutine dumps to named causes: what leaks or hangs, since when it is known, who only waits for whom.

``report`` is the whole way. Suspicion comes from growth, from the garbage collector's proof, or, with one dump only,
from the state (``goroutine_growth``, ``goroutine_states``); locks are followed to their holders (``entanglements``) and
parents to their children; what is left over at the end of these chains is a root, and gets a cause.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sre_platform.diagnosis.domain import Kind, Site
from sre_platform.diagnosis.parsers.goroutines import CHAN_OPERATION, Bucket, Dump
from sre_platform.diagnosis.rca.code import receiver_of, user_site
from sre_platform.diagnosis.rca.entanglements import Entanglement, entanglements
from sre_platform.diagnosis.rca.go_source import cause_in_source
from sre_platform.diagnosis.rca.goroutine_growth import MIN_GROWTH, Suspect, suspects
from sre_platform.diagnosis.rca.goroutine_names import context_cause, named_cause
from sre_platform.diagnosis.rca.goroutine_signatures import CAUSES_BY_STATE, signature
from sre_platform.diagnosis.rca.goroutine_states import RARITY, state_suspects
from sre_platform.diagnosis.rca.parents import MAIN, awaited

# Leaks of one operation grow together, give or take what is just on its way.
TOGETHER = 0.8
MOST_CAUSES = 20
NOBODY_WAITS = 1000
UNKNOWN_WAIT = CAUSES_BY_STATE[CHAN_OPERATION]  # what can never go on and does not say why waits for a channel
NO_WAY_OUT = "select_no_ctx_done"  # what the source says of a select when it says nothing more of it


@dataclass(frozen=True)
class Cause:
    """One finding: a bucket that is to blame and what for. ``growth`` is in goroutines, None when not known.

    ``site`` is None when the guilty call is on no stack; ``why`` is what the locks say, or ""; ``rank`` orders what is
    else alike: those who share a blame, the likeliest is 0, and behind them those whom nobody waits for. ``knot`` is
    equal for those who share a blame and for nobody else.
    """

    bucket: Bucket
    cause: str
    evidence: Kind
    site: Site | None
    growth: int | None
    signed: bool = False
    why: str = ""
    rank: int = 0
    knot: Hashable = None


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
    by_key: dict[Hashable, Suspect] = {lead.bucket.key: lead for lead in reversed(leads)}
    roots = [_tangled(n, k, tangle, by_key) for k, tangle in enumerate(tangles) for n in range(len(tangle.roots))]
    known = {root.bucket.key for root in roots} | held
    free = [lead for lead in leads if lead.bucket.key not in known]
    waiting = [lead.bucket for lead in free if lead.victim]
    blamed = [lead for lead in free if not lead.victim]
    if not roots and not blamed:
        waiting, blamed = [], free  # each waits for another one: then none of them is only a victim
    wanted = awaited([lead.bucket for lead in blamed], waiting)
    scene = _Scene(later, earlier, source)
    roots = _in_pairs([*roots, *(_cause(lead, scene, place in wanted) for place, lead in enumerate(blamed))])
    causes = _told_once(sorted(roots, key=_order(roots)))[:MOST_CAUSES]
    victims = waiting + [bucket for tangle in tangles for bucket in tangle.victims]
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


def _tangled(rank: int, knot: int, tangle: Entanglement, leads: Mapping[Hashable, Suspect]) -> Cause:
    bucket = tangle.roots[rank]
    lead = leads.get(bucket.key)
    proven = lead is not None and lead.evidence == "gc-proof"
    evidence: Kind = "gc-proof" if proven else "lock-cycle" if tangle.certain else lead.evidence if lead else "state"
    seen = lead.bucket if lead else bucket
    growth = lead.growth if lead else None
    return Cause(
        seen, tangle.cause, evidence, user_site(bucket.frames), growth, tangle.named, tangle.because, rank, knot
    )


@dataclass(frozen=True)
class _Scene:
    """What the cause of a wait is judged by besides its own stack."""

    later: Dump
    earlier: Dump | None
    source: Source


def _cause(lead: Suspect, scene: _Scene, is_awaited: bool) -> Cause:
    signed = signature(lead.bucket, scene.later.buckets)
    read = "" if signed else _in_source(lead, scene.source)
    cause = signed or _by_wait(lead, scene, read) or CAUSES_BY_STATE.get(lead.bucket.state, UNKNOWN_WAIT)
    told = bool(signed or read) and read != NO_WAY_OUT
    rank = 0 if is_awaited else NOBODY_WAITS
    return Cause(lead.bucket, cause, lead.evidence, lead.site, lead.growth, told, rank=rank)


def _in_source(lead: Suspect, source: Source) -> str:
    site = lead.site
    return cause_in_source(source(site.file), site.line, lead.bucket.state or CHAN_OPERATION) if site else ""


def _by_wait(lead: Suspect, scene: _Scene, read: str) -> str:
    """What source, names, context and the runtime's minutes say about a channel wait."""
    bucket = lead.bucket
    grew = lead.evidence == "growth"
    named = named_cause(bucket, grew)
    if read == NO_WAY_OUT:
        return named or read
    if read:
        background = read == "ctx_never_cancelled" and context_cause(bucket) == "context_not_propagated"
        return "context_not_propagated" if background else read
    if bucket.state not in ("select", "chan receive"):
        return named
    woken = "ticker_never_stopped" if grew and _wakes(bucket, scene) else ""
    return named or (context_cause(bucket) if bucket.state == "select" else "") or woken


def _wakes(bucket: Bucket, scene: _Scene) -> bool:
    """Whether it goes round, as on a ticker: it never waits for a minute, though others that were there before do."""
    there_before = scene.earlier is not None and any(b.key == bucket.key for b in scene.earlier.buckets)
    return bucket.minutes is None and there_before and any(b.minutes for b in scene.later.buckets)


def _in_pairs(roots: Sequence[Cause]) -> list[Cause]:
    """Goroutines that were started together and all send, or all receive: they wait for each other."""
    groups: dict[Hashable, list[Cause]] = defaultdict(list)
    for root in roots:
        groups[_fellowship(root)].append(root)
    pairs = {id(root) for key, group in groups.items() if key and len(group) > 1 for root in group}
    why = "They were started together and all wait in the same direction: for each other."
    return [
        replace(root, cause="chan_wait_cycle", why=why, knot=_fellowship(root)) if id(root) in pairs else root
        for root in roots
    ]


def _fellowship(root: Cause) -> Hashable:
    """What fellows have in common, None for one who can have none.

    Receivers of one parent, or methods of one type: functions that send may as well be stages of one pipeline.
    """
    bucket = root.bucket
    type_ = receiver_of(root.site.function) if root.site else ""
    parents = frozenset(goroutine.parent for goroutine in bucket.samples)
    if root.why or bucket.state not in ("chan send", "chan receive") or parents <= {None}:
        return None
    if not type_ and (bucket.state == "chan send" or MAIN in parents):
        return None
    return type_, bucket.state, parents, bucket.count


def _order(roots: Sequence[Cause]) -> Any:
    most = max((root.growth or 0 for root in roots), default=0)

    def key(root: Cause) -> tuple[Hashable, ...]:
        bucket = root.bucket
        return (
            root.evidence == "state",
            root.growth is not None and root.growth < MIN_GROWTH and not root.why,
            root.evidence == "growth",
            not (root.why and root.signed),
            (root.growth or 0) < TOGETHER * most,
            root.site is None,
            not root.signed,
            -(root.growth or 0) if (root.growth or 0) < TOGETHER * most else 0,
            root.rank,
            -RARITY.get(bucket.state, 0),
            -bucket.count if root.evidence != "state" else 0,
            # Of what may be idle, the last started is no furniture; of what is stuck, the first keeps the others.
            (bucket.sample_id or 0) * (-1 if root.evidence == "state" else 1),
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
