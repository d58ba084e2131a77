from collections.abc import Mapping

from sre_platform.diagnosis.domain import Evidence, Finding
from sre_platform.diagnosis.rca.dependency import POOL_USED_RATIO, finding, larger_pool
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
    """

    name = "redis_pool_exhausted"

    def judge(self, service: str, evidence: Mapping[str, Evidence]) -> Finding | None:
        window = Window(evidence.get("prometheus_window"))
        used, p99 = window.recent("redis_pool_used_ratio"), window.recent("redis_p99_seconds")
        if used is None or p99 is None or used <= POOL_USED_RATIO or p99 <= SLOW_S:
            return None
        size, given_up = window.recent("redis_pool_size"), window.recent("redis_pool_timeouts_per_second")
        because = [
            f"{service}: {used:.0%} of the Redis pool is in use, and the P99 of its commands is {p99 * 1e3:.0f} ms."
        ]
        if given_up:
            because.append(f"{given_up:.3g} callers a second give up waiting for a connection.")
        return finding(
            service,
            "dep.redis-pool-exhausted",
            because,
            _advice(size),
            crowd_in(evidence, WAITS),
            "wait for a connection of the pool",
            would_decide=[
                "If the server's own latency (redis-cli --latency, SLOWLOG) is as long, Redis is slow and the pool"
                " only fills up.",
                *window.missing("redis_pool_size"),
            ],
        )


def _advice(size: float | None) -> list[str]:
    to = f"from {size:.0f} to {larger_pool(size)} connections" if size else "to 150% of its size"
    return [
        f"Enlarge the Redis pool {to}.",
        "If that does not help, look at the client's time-outs (dial, read, write, pool): a caller has to give up"
        " before its own caller does.",
    ]
