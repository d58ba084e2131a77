"""Which replicas of a service to look at: never all of them, but the worst, the median and the best."""

import math
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor, wait

from sre_platform.catalog.domain import Replica, Target
from sre_platform.clients import http
from sre_platform.kernel.errors import SreError

LOOKED_AT = 3
ASKED_AT_MOST = 64  # replicas; of more, evenly spaced ones
ANSWER_S = 1.0
ALL_ANSWERS_S = 1.5
MAX_BYTES = 4 * 1024 * 1024
# The Go collector of Prometheus' client library: https://pkg.go.dev/github.com/prometheus/client_golang
_GOROUTINES = re.compile(rb"^go_goroutines(?:\{[^\n]*\})? ([0-9.eE+]+)", re.MULTILINE)


def samples(targets: Sequence[Target], pool: Executor) -> dict[str, list[Target]]:
    """By service the replicas to look at, worst first; the service itself when it has none.

    Asks every replica for its /metrics once, those of all services at the same time.
    """
    asked = {target.service: target.replicas[:: _every(target)] for target in targets}
    futures = {
        (service, replica.name): pool.submit(goroutines, replica.metrics_url)
        for service, replicas in asked.items()
        for replica in replicas
    }
    wait(futures.values(), timeout=ALL_ANSWERS_S)
    values = {
        key: math.inf if future.cancel() or not future.done() else future.result() for key, future in futures.items()
    }
    return {
        target.service: [target.at(one) for one in choose(asked[target.service], target.service, values)] or [target]
        for target in targets
    }


def _every(target: Target) -> int:
    return max(1, math.ceil(len(target.replicas) / ASKED_AT_MOST))


def goroutines(metrics_url: str) -> float:
    """How many goroutines a page of metrics tells of; infinitely many when nobody answers, none when it does not say.

    The cheapest signal of trouble that every Go service has: what piles up or hangs holds goroutines.
    """
    if not metrics_url:
        return 0.0
    try:
        page = http.request("GET", metrics_url, timeout=(ANSWER_S, ANSWER_S), deadline_s=ANSWER_S, max_bytes=MAX_BYTES)
    except SreError:
        return math.inf
    return counted(page.body) or 0.0


def counted(page: bytes) -> float | None:
    """The value of ``go_goroutines`` in a page of metrics, None when it is not there or no number."""
    match = _GOROUTINES.search(page)
    try:
        return float(match[1]) if match else None
    except ValueError:
        return None


def choose(replicas: Sequence[Replica], service: str, values: Mapping[tuple[str, str], float]) -> list[Replica]:
    """The worst, the median and the best of them, by descending value and then by name; all of three or fewer.

    ``values`` are by service and replica; the larger, the worse.
    """
    ranked = sorted(replicas, key=lambda replica: (-values[service, replica.name], replica.name))
    if len(ranked) <= LOOKED_AT:
        return ranked
    return [ranked[0], ranked[len(ranked) // 2], ranked[-1]]
