from collections.abc import Mapping

from sre_platform.diagnosis.domain import Evidence, Finding
from sre_platform.diagnosis.parsers.goroutines import Dump, parse
from sre_platform.diagnosis.rca.goroutine_growth import LOCK_WAITS, Suspect, suspects
from sre_platform.diagnosis.rca.goroutine_report import report
from sre_platform.kernel.errors import Malformed

# A dump that shows where requests pile up says more than a health check alone.
WITH_PLACE, WITHOUT_PLACE = 0.9, 0.8


class HungService:
    """The process runs, but its health check does not answer well; a goroutine dump may show where it is stuck."""

    name = "hung_service"

    def judge(self, service: str, evidence: Mapping[str, Evidence]) -> Finding | None:
        process, health = evidence.get("process"), evidence.get("health")
        if process is None or health is None or process.data.get("state") != "RUNNING":
            return None
        probes = health.data.get("probes", ())
        if not probes or any(probe["ok"] for probe in probes):
            return None
        said = probes[-1]["said"] or f"status {probes[-1]['status']}"
        because = [
            f"{service}: process {process.data['pid']} runs, but all of {len(probes)} health checks failed: {said}"
        ]
        stuck, held = _stuck(evidence.get("go_goroutines"))
        if stuck:
            because.append(
                f"{stuck.bucket.count} goroutines wait in {stuck.bucket.state} at {stuck.site},"
                f" {stuck.growth} more than in the dump before."
            )
        because += [held] if held else []
        return Finding(
            cause="hung_service",
            family="lock-wait" if stuck else "process",
            service=service,
            confidence=WITH_PLACE if stuck else WITHOUT_PLACE,
            evidence="growth" if stuck else "probe",
            because=because,
            advice=["Find who holds the lock: a holder that waits for I/O or a channel, or a missing Unlock."]
            if stuck
            else [],
            state=stuck.bucket.state if stuck else "",
            site=stuck.site if stuck else None,
            created_by=stuck.bucket.created_by if stuck else None,
            count=stuck.bucket.count if stuck else None,
            growth=stuck.growth if stuck else None,
        )


def _stuck(seen: Evidence | None) -> tuple[Suspect | None, str]:
    """The lock where goroutines pile up, if a dump shows one, and what is known of who holds it."""
    later, earlier = (_dump(seen, name) for name in ("goroutine", "earlier"))
    if later is None:
        return None, ""
    lock = next((s for s in suspects(earlier, later, None) if s.bucket.state in LOCK_WAITS and s.site), None)
    held = (cause.why for cause in report(later, earlier).causes if cause.why) if lock else iter(())
    return lock, next(held, "")


def _dump(seen: Evidence | None, name: str) -> Dump | None:
    document = seen.document(name) if seen else None
    try:
        return parse(document) if document else None
    except Malformed:
        return None
