import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sre_platform.diagnosis.domain import Evidence, Finding
from sre_platform.diagnosis.parsers.exposition import Page, parse
from sre_platform.diagnosis.rca.dependency import finding
from sre_platform.diagnosis.rca.documents import Documents
from sre_platform.diagnosis.rca.goroutine_growth import ROUND_TRIP
from sre_platform.diagnosis.rca.waiting_calls import crowd_in
from sre_platform.diagnosis.rca.window import Window

# Requests out per request in, against the beginning of the window. One retry of every second call makes it 1.5; the mix
# of requests moves it by less (measured: 0.99 to 1.01 in a healthy service of the recordings).
RISES_BY = 1.5
FAILED_RATIO = 0.1  # with fewer failures, retries cannot be what makes half as many calls again
BREAKER_RATIO = 0.5  # more than half of the calls fail: a circuit breaker has to open
NAMES = ("requests_in_per_second", "requests_out_per_second", "requests_out_failed_ratio")


class RetryStorm:
    """Failing calls are repeated at once, so that a slow dependency gets more to do the less it can do.

    Reads ``prometheus_window``: queries ``requests_in_per_second``, ``requests_out_per_second`` (every try counts) and
    ``requests_out_failed_ratio`` (0..1) over a window that begins before the storm; and the dump of ``go_goroutines``.
    Or ``go_runtime``: ``http_requests_total`` and ``http_client_requests_total`` (by ``code``) on the service's page
    between two looks, against the window's beginning or, without one, against all since the process began.
    """

    name = "retry_storm"

    def judge(self, service: str, evidence: Mapping[str, Evidence]) -> Finding | None:
        storm = next((seen for seen in _traffic(evidence) if seen.is_storm), None)
        if storm is None:
            return None
        return finding(
            service,
            "dep.retry-storm",
            [
                f"{service}: it sends {storm.now:.2f} requests for each that it gets, {storm.before:.2f} {storm.when}.",
                f"{storm.failed:.0%} of the requests that it sends fail.",
            ],
            _advice(storm.failed),
            crowd_in(evidence, (ROUND_TRIP,)),
            "wait for an answer to a call",
            would_decide=[
                "The callee's own count of requests, against what its users asked for, tells a storm from real demand."
            ],
        )


@dataclass(frozen=True)
class Traffic:
    """Requests out for each one in, now and ``before`` (which ``when`` says), and the share of them that fails."""

    now: float
    before: float
    when: str
    failed: float

    @property
    def is_storm(self) -> bool:
        return self.now >= RISES_BY * self.before and self.failed >= FAILED_RATIO


def _traffic(evidence: Mapping[str, Evidence]) -> Iterator[Traffic]:
    """As Prometheus saw it, and as the page shows it, which is some scrapes ahead."""
    window = Window(evidence.get("prometheus_window"))
    before, when = _fan_out(*map(window.first, NAMES[:2])), "when the window began"
    now, failed = _fan_out(*map(window.recent, NAMES[:2])), window.recent(NAMES[2])
    if now is not None and before is not None and failed is not None:
        yield Traffic(now, before, when, failed)
    looks = Documents(evidence).looks("go_runtime", "metrics", "earlier", _requests)
    if looks is None or looks.earlier is None:
        return
    if before is None:
        before, when = _fan_out(*_counts(looks.earlier)[:2]), "on average before"
    came, sent, bad = (after - first for after, first in zip(_counts(looks.now), _counts(looks.earlier), strict=True))
    now = _fan_out(came, sent)
    if now is not None and before is not None and 0 <= bad <= sent:
        yield Traffic(now, before, when, bad / sent)


def _requests(text: str) -> Page:
    return parse(text, prefix="http_")


def _counts(page: Page) -> tuple[float, float, float]:
    """Requests in, requests out, and those out that failed, since the process began."""
    out = page.samples.get("http_client_requests_total", ())
    failed = [sample.value for sample in out if dict(sample.labels).get("code", "").startswith("5")]
    came, sent = (sum(page.values(f"http_{kind}requests_total")) for kind in ("", "client_"))
    return came, sent, sum(value for value in failed if math.isfinite(value))


def _fan_out(incoming: float | None, outgoing: float | None) -> float | None:
    return outgoing / incoming if incoming and outgoing and incoming > 0 and outgoing > 0 else None


def _advice(failed: float) -> list[str]:
    trip = f"Trip the circuit breaker: {failed:.0%} of the calls fail, its limit is {BREAKER_RATIO:.0%}."
    return [
        *([trip] if failed > BREAKER_RATIO else []),
        "Wait 1, 2 and 4 s (with jitter) before a retry, and let retries be a tenth of all calls at most.",
        "Shed what cannot be served with status 429 and Retry-After, and do not retry a 429 at once.",
    ]
