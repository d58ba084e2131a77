from collections.abc import Mapping
from dataclasses import replace

from sre_platform.diagnosis.domain import Evidence, Finding
from sre_platform.diagnosis.rca.dependency import BY_STACKS, MIN_CROWD, POOL_USED_RATIO, finding, larger_pool
from sre_platform.diagnosis.rca.waiting_calls import crowd_in
from sre_platform.diagnosis.rca.window import Window

CAUSE = "dep.db-pool-exhausted"

# Seconds waited per second, all callers together: at 1 there is always somebody who waits. database/sql counts a wait
# for every queued caller, also for one of 10 us, so that the number of waits alone says nothing.
ALWAYS_SOMEBODY = 1.0

WAITS = ("database/sql.(*DB).conn",)
WAITING = "wait in database/sql for a connection"


class DbPoolExhausted:
    """Callers queue in database/sql for a connection, because all that the pool may open are in use.

    Reads ``prometheus_window``: queries ``db_pool_size``, ``db_pool_in_use`` (connections), ``db_waits_per_second`` and
    ``db_wait_seconds_per_second``; and the dumps of ``go_goroutines``, which alone are a weaker sign.
    """

    name = "db_pool_exhausted"

    def judge(self, service: str, evidence: Mapping[str, Evidence]) -> Finding | None:
        window = Window(evidence.get("prometheus_window"))
        names = ("db_pool_size", "db_pool_in_use", "db_waits_per_second", "db_wait_seconds_per_second")
        size, used, waits, waited = map(window.recent, names)
        if size is None or used is None or waits is None or waited is None:
            return _by_stacks(service, evidence, window.missing(*names))
        if not size or used <= POOL_USED_RATIO * size or waited < ALWAYS_SOMEBODY:
            return None  # a size of 0 is no limit
        return finding(
            service,
            CAUSE,
            [
                f"{service}: {used:.0f} of {size:.0f} database connections are in use, {waits:.3g} callers a second"
                f" queue for one, {waited / waits * 1e3 if waits else 0:.0f} ms each."
            ],
            _advice(size),
            crowd_in(evidence, WAITS, innermost=True),
            WAITING,
            would_decide=[
                "The database's list of slow queries tells a pool that is too small from queries that hold it."
            ],
        )


def _by_stacks(service: str, evidence: Mapping[str, Evidence], missing: list[str]) -> Finding | None:
    """Without metrics: a crowd in both dumps. One dump alone may have met a moment's queue."""
    before = crowd_in(evidence, WAITS, "earlier", innermost=True)
    crowd = crowd_in(evidence, WAITS, innermost=True)
    if not before or not crowd or min(before.count, crowd.count) < MIN_CROWD:
        return None
    said = [f"{service}: {before.count} goroutines waited for a database connection in the dump before."]
    found = finding(service, CAUSE, said, _advice(None), crowd, WAITING, would_decide=missing)
    return replace(found, confidence=BY_STACKS, evidence="state")


def _advice(size: float | None) -> list[str]:
    larger = f"{size:.0f} to {larger_pool(size)}" if size else "its value to 150% of it"
    return [
        "Close rows and end transactions on every way out, and give slow queries an index or a deadline:"
        " they hold the connections.",
        f"Then raise SetMaxOpenConns from {larger}, as far as the database allows for all replicas together.",
    ]
