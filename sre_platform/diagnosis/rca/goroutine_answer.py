"""The answer of the offline diagnosis, as a JSON-safe dict. Its shape is a contract: docs/reference/goroutines.md."""

from typing import Any

from sre_platform.diagnosis.domain import Site
from sre_platform.diagnosis.parsers.goroutines import Bucket
from sre_platform.diagnosis.rca.code import user_site
from sre_platform.diagnosis.rca.goroutine_advice import FAMILY_OF, advice_for
from sre_platform.diagnosis.rca.goroutine_report import Cause, Report, Victim
from sre_platform.diagnosis.rca.goroutine_words import against, because, confidence, in_dump, would_decide


def answer(id_: str, report: Report) -> dict[str, Any]:
    """``{"id", "total", "truncated", "leak", "findings": [...], "victims": [...]}``, findings best first."""
    return {
        "id": id_,
        "total": report.total,
        "truncated": report.truncated,
        "leak": report.leak,
        "findings": [_finding(cause, report) for cause in report.causes],
        "victims": [_victim(victim) for victim in report.victims],
    }


def _finding(cause: Cause, report: Report) -> dict[str, Any]:
    return {
        "cause": cause.cause,
        "family": FAMILY_OF[cause.cause],
        "confidence": confidence(cause),
        "evidence": _kind(cause),
        "state": cause.bucket.state,
        "site": _site(cause.site or _nearest(cause.bucket)),
        "created_by": _site(cause.bucket.created_by),
        "count": cause.bucket.count,
        "growth": cause.growth,
        "in_dump": in_dump(cause),
        "because": [*because(cause, report)],
        "against": [*against(cause)],
        "would_decide": [*would_decide(cause)],
        "advice": [*advice_for(cause.cause)],
    }


def _kind(cause: Cause) -> str:
    return "signature" if cause.evidence == "growth" and cause.signed else cause.evidence


def _nearest(bucket: Bucket) -> Site | None:
    """The outermost call, when none is the owner's: the contract's site is never empty where there is a stack."""
    frames = bucket.frames
    return Site(frames[-1].function, frames[-1].file, frames[-1].line) if frames else None


def _victim(victim: Victim) -> dict[str, Any]:
    site = user_site(victim.bucket.frames) or _nearest(victim.bucket)
    bucket = victim.bucket
    return {"site": _site(site), "state": bucket.state, "count": bucket.count, "waits_for": victim.waits_for}


def _site(site: Site | None) -> dict[str, Any] | None:
    return {"function": site.function, "file": site.file, "line": site.line} if site else None
