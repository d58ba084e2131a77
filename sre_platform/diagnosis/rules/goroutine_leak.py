"""From goroutine dumps to a named cause: what they wait for, who holds them up, what helps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sre_platform.diagnosis.domain import Evidence, Finding
from sre_platform.diagnosis.parsers.goroutines import Dump, parse
from sre_platform.diagnosis.rca.goroutine_advice import FAMILY_OF, advice_for
from sre_platform.diagnosis.rca.goroutine_report import Cause, Report, report
from sre_platform.diagnosis.rca.goroutine_words import against, because, confidence, in_dump, would_decide
from sre_platform.kernel.errors import Malformed


@dataclass(frozen=True)
class _Seen:
    """The three profiles as far as they could be read, and a sentence for each that could not."""

    later: Dump
    earlier: Dump | None
    leaked: Dump | None
    seconds_apart: float | None
    unread: Sequence[str]


class GoroutineLeak:
    """Goroutines pile up at one line, hold each other up with locks, or can never go on (the garbage collector's word).

    Reads ``go_goroutines``: texts or profiles ``goroutine``, and where there are any ``earlier`` and ``goroutineleak``;
    data ``seconds_apart`` (seconds). Says nothing when the later dump is missing or cannot be read, or when nothing but
    the state of some goroutines speaks for a cause.
    """

    name = "goroutine_leak"

    def judge(self, service: str, evidence: Mapping[str, Evidence]) -> Finding | None:
        seen = _seen(evidence.get("go_goroutines"))
        if seen is None:
            return None
        told = report(seen.later, seen.earlier, seen.leaked)
        return _finding(service, told.causes[0], told, seen) if told.leak else None


def _seen(evidence: Evidence | None) -> _Seen | None:
    dumps: dict[str, Dump] = {}
    unread: list[str] = []
    for name in ("goroutine", "earlier", "goroutineleak"):
        document = evidence.document(name) if evidence else None
        try:
            if document is not None:
                dumps[name] = parse(document)
        except Malformed as error:
            unread.append(f"The {name} profile could not be used: {error}")
    if evidence is None or "goroutine" not in dumps:
        return None
    apart = evidence.data.get("seconds_apart")
    return _Seen(dumps["goroutine"], dumps.get("earlier"), dumps.get("goroutineleak"), apart, sorted(unread))


def _finding(service: str, cause: Cause, told: Report, seen: _Seen) -> Finding:
    first, *more = because(cause, told, seen.seconds_apart)
    return Finding(
        cause=cause.cause,
        family=FAMILY_OF[cause.cause],
        service=service,
        confidence=confidence(cause),
        evidence=cause.evidence,
        because=[f"{service}: {first}", *more, *seen.unread],
        against=[*against(cause)],
        would_decide=[*would_decide(cause)],
        advice=advice_for(cause.cause),
        state=cause.bucket.state,
        site=cause.site,
        created_by=cause.bucket.created_by,
        count=cause.bucket.count,
        growth=cause.growth,
        in_dump=in_dump(cause),
    )
