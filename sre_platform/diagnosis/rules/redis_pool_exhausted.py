from collections.abc import Mapping
from dataclasses import dataclass

from sre_platform.diagnosis.domain import Evidence, Finding
from sre_platform.diagnosis.parsers.exposition import Page, parse
from sre_platform.diagnosis.rca.dependency import POOL_USED_RATIO, finding, larger_pool
from sre_platform.diagnosis.rca.documents import Documents
from sre_platform.diagnosis.rca.waiting_calls import crowd_in
from sre_platform.diagnosis.rca.window import Window

SLOW_S = 0.2  # P99 above 200 ms, with a full pool: the field's limit for enlarging the pool

# Where go-redis (v8, v9) and redigo wait for a connection of their pool.
WAITS = (
    "github.com/redis/go-redis/v9/internal/pool.(*ConnPool).waitTurn",
    "github.com/go-redis/redis/v8/internal/pool.(*ConnPool).waitTurn",
    "github.com/gomodule/redigo/redis.(*Pool).waitVacantConn",
)


class RedisPoolExhausted:
    """Callers queue for a connection to Redis: nearly all of the pool is in use, and commands take long.

    Reads ``prometheus_window``: queries ``redis_pool_used_ratio`` (0..1), ``redis_p99_seconds``, and where there are
    any ``redis_pool_size`` (connections) and ``redis_pool_timeouts_per_second``; and the dump of ``go_goroutines``.
    Or ``go_runtime``: what the service's own page says of the pool, in the names of go-redis, between two looks.
    """

    name = "redis_pool_exhausted"

    def judge(self, service: str, evidence: Mapping[str, Evidence]) -> Finding | None:
        window = Window(evidence.get("prometheus_window"))
        seen = (_of_window(window), _of_page(Documents(evidence)))  # Prometheus is some scrapes behind the page
        pool = next((pool for pool in seen if pool and pool.used > POOL_USED_RATIO and pool.p99_s > SLOW_S), None)
        if pool is None:
            return None
        because = [
            f"{service}: {pool.used:.0%} of the Redis pool is in use, and the P99 of its commands is"
            f" {pool.p99_s * 1e3:.0f} ms."
        ]
        if pool.given_up:
            because.append(f"{pool.given_up:.3g} callers a second give up waiting for a connection.")
        return finding(
            service,
            "dep.redis-pool-exhausted",
            because,
            _advice(pool.size),
            crowd_in(evidence, WAITS),
            "wait for a connection of the pool",
            would_decide=[
                "If the server's own latency (redis-cli --latency, SLOWLOG) is as long, Redis is slow and the pool"
                " only fills up.",
                *([] if pool.size else window.missing("redis_pool_size")),
            ],
        )


@dataclass(frozen=True)
class Pool:
    """The used share (0..1), the P99 of commands in seconds, connections, and callers that give up, a second."""

    used: float
    p99_s: float
    size: float | None
    given_up: float | None


def _of_window(window: Window) -> Pool | None:
    used, p99_s = window.recent("redis_pool_used_ratio"), window.recent("redis_p99_seconds")
    if used is None or p99_s is None:
        return None
    return Pool(used, p99_s, window.recent("redis_pool_size"), window.recent("redis_pool_timeouts_per_second"))


def _of_page(documents: Documents) -> Pool | None:
    """By two looks: of the shares the smaller one counts, so that one crowded moment does not."""
    looks = documents.looks("go_runtime", "metrics", "earlier", _redis)
    if looks is None or looks.earlier is None:
        return None
    shares = [share for page in (looks.earlier, looks.now) if (share := _used(page)) is not None]
    seen = looks.now.histogram("redis_command_duration_seconds")
    between = seen.since(looks.earlier.histogram("redis_command_duration_seconds")) if seen else None
    p99_s = between.quantile(0.99) if between else None
    if len(shares) < 2 or p99_s is None:
        return None
    return Pool(min(shares), p99_s, looks.now.value("redis_pool_size"), _given_up(documents, looks.earlier, looks.now))


def _redis(text: str) -> Page:
    return parse(text, prefix="redis_")


def _used(page: Page) -> float | None:
    idle, size = page.value("redis_pool_conn_idle_current"), page.value("redis_pool_size")
    return None if idle is None or not size or not 0 <= idle <= size else 1 - idle / size


def _given_up(documents: Documents, earlier: Page, now: Page) -> float | None:
    before, after = earlier.value("redis_pool_timeout_total"), now.value("redis_pool_timeout_total")
    seconds = documents.number("go_runtime", "seconds_apart")
    return None if before is None or after is None or not seconds else max(0.0, after - before) / seconds


def _advice(size: float | None) -> list[str]:
    to = f"from {size:.0f} to {larger_pool(size)} connections" if size else "to 150% of its size"
    return [
        f"Enlarge the Redis pool {to}.",
        "If that does not help, look at the client's time-outs (dial, read, write, pool): a caller has to give up"
        " before its own caller does.",
    ]
