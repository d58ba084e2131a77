from collections.abc import Mapping

from sre_platform.diagnosis.domain import Evidence, Finding, Kind, Site
from sre_platform.diagnosis.parsers import goroutines, schedtrace
from sre_platform.diagnosis.rca import cross_check as matrix
from sre_platform.diagnosis.rca.contention import contended
from sre_platform.diagnosis.rca.cross_check import Signal
from sre_platform.diagnosis.rca.goroutine_growth import LOCK_WAITS, suspects
from sre_platform.diagnosis.rca.stacks import Profiles
from sre_platform.kernel.errors import Malformed

# Lines of the scheduler's trace, and the share of them that has to show no idle processor and a queue: "stays".
MIN_SAMPLES = 3
STAYS = 0.8

Seen = Mapping[str, Evidence]


class CrossCheck:
    """Goroutines that pile up, a contended lock and starved threads: which of them is the cause of the others.

    Reads ``go_goroutines`` (``earlier``, ``goroutine``), ``go_profiles`` (``mutex.earlier``, ``mutex``) and
    ``go_trace`` (``schedtrace``). A signal that could not be looked at is told apart from one that is not there.
    """

    name = "cross_check"

    def judge(self, service: str, evidence: Seen) -> Finding | None:
        pile_up, waits_at = _pile_up(evidence.get("go_goroutines"))
        contention, unlocked_at = _contention(evidence.get("go_profiles"))
        verdict = matrix.cross_check(pile_up, contention, _starvation(evidence.get("go_trace")))
        if verdict is None:
            return None
        cause = verdict.cause
        return Finding(
            cause=cause,
            family=cause.split(".")[1],
            service=service,
            confidence=verdict.confidence,
            evidence=KINDS.get(cause, "runtime"),
            because=[f"{service}: {verdict.means}", *verdict.because],
            against=verdict.against,
            would_decide=[f"A signal is missing, which is not the same as absent: {said}" for said in verdict.missing],
            advice=ADVICE.get(cause, ()),
            # Nobody's line is to blame for too few processors.
            site={matrix.LOCK: unlocked_at, CONTENTION: unlocked_at, PILE_UP: waits_at}.get(cause),
        )


PILE_UP, CONTENTION = "go.symptom.pile-up", "go.symptom.lock-contention"
KINDS: Mapping[str, Kind] = {matrix.LOCK: "profile", CONTENTION: "profile", PILE_UP: "growth"}
ADVICE = {
    matrix.LOCK: ("Hold the lock for less, or shard it; more processors or threads do not help while it is the root.",),
    matrix.SATURATION: (
        "Give the service more processors (GOMAXPROCS, the container's CPU quota), or less to do at once.",
        "Look at the CPU profile for what takes them.",
    ),
}


def _pile_up(seen: Evidence | None) -> tuple[Signal, Site | None]:
    try:
        earlier, later = (goroutines.parse(_document(seen, name)) for name in ("earlier", "goroutine"))
    except Malformed as error:
        return Signal(None, f"goroutine pile-up: {error}"), None
    leads = [lead for lead in suspects(earlier, later, None) if lead.site]
    if not leads:
        return Signal(False, "No goroutines pile up between the two dumps."), None
    # What waits for a lock speaks first: in front of it, roots and victims are alike.
    lead = next((lead for lead in leads if lead.bucket.state in LOCK_WAITS), leads[0])
    said = f"{lead.bucket.count} goroutines wait in {lead.bucket.state} at {lead.site}, {lead.growth} more than before."
    return Signal(True, said, lead.bucket.state in LOCK_WAITS), lead.site


def _contention(seen: Evidence | None) -> tuple[Signal, Site | None]:
    profiles = Profiles(seen)
    sites = contended(profiles)
    if sites is None:
        refused = profiles.data.get("refused")
        why = refused.get("mutex") if isinstance(refused, Mapping) else None
        unread = next(iter(profiles.unread), "")
        told = (
            unread
            or why
            or "two mutex profiles are needed; an empty one means that SetMutexProfileFraction is not set."
        )
        return Signal(None, f"lock contention: {seen.missing if seen and seen.missing else told}"), None
    if not sites:
        return Signal(False, "No lock makes others wait for more than 1 ms on average (mutex profile)."), None
    worst = sites[0]
    said = f"{worst.waits} waits of {worst.mean_s * 1e3:.1f} ms on average ended at {worst.site} (mutex profile)."
    return Signal(True, said), worst.site


def _starvation(seen: Evidence | None) -> Signal:
    try:
        samples = schedtrace.parse(str(_document(seen, "schedtrace"))).samples
    except Malformed as error:
        return Signal(None, f"thread starvation: {error}")
    if len(samples) < MIN_SAMPLES:
        return Signal(None, f"thread starvation: the trace has {len(samples)} samples, {MIN_SAMPLES} are needed.")
    starved = sum(sample.idleprocs == 0 and sample.queued > 0 for sample in samples)
    queued = max(sample.queued for sample in samples)
    said = (
        f"In {starved} of {len(samples)} samples no processor was idle and goroutines queued, up to {queued} of them."
    )
    return Signal(starved >= STAYS * len(samples), said)


def _document(seen: Evidence | None, name: str) -> str | bytes:
    """Raises Malformed with the reason when it was not seen."""
    if seen is None:
        raise Malformed(f"nobody looked for {name}.")
    document = seen.document(name)
    if not document:
        raise Malformed(seen.missing or f"there is no {name}.")
    return document
