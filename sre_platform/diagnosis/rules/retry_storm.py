from collections.abc import Mapping

from sre_platform.diagnosis.domain import Evidence, Finding
from sre_platform.diagnosis.rca.dependency import finding
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
    """

    name = "retry_storm"

    def judge(self, service: str, evidence: Mapping[str, Evidence]) -> Finding | None:
        window = Window(evidence.get("prometheus_window"))
        now, before = (
            _fan_out(window.recent(NAMES[0]), window.recent(NAMES[1])),
            _fan_out(*map(window.first, NAMES[:2])),
        )
        failed = window.recent(NAMES[2])
        if now is None or before is None or failed is None or now < RISES_BY * before or failed < FAILED_RATIO:
            return None
        return finding(
            service,
            "dep.retry-storm",
            [
                f"{service}: it sends {now:.2f} requests for each that it gets, {before:.2f} when the window began.",
                f"{failed:.0%} of the requests that it sends fail.",
            ],
            _advice(failed),
            crowd_in(evidence, (ROUND_TRIP,)),
            "wait for an answer to a call",
            would_decide=[
                "The callee's own count of requests, against what its users asked for, tells a storm from real demand."
            ],
        )


def _fan_out(incoming: float | None, outgoing: float | None) -> float | None:
    return outgoing / incoming if incoming and outgoing and incoming > 0 else None


def _advice(failed: float) -> list[str]:
    trip = f"Trip the circuit breaker: {failed:.0%} of the calls fail, its limit is {BREAKER_RATIO:.0%}."
    return [
        *([trip] if failed > BREAKER_RATIO else []),
        "Wait 1, 2 and 4 s (with jitter) before a retry, and let retries be a tenth of all calls at most.",
        "Shed what cannot be served with status 429 and Retry-After, and do not retry a 429 at once.",
    ]
