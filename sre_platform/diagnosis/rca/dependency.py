"""The finding about a dependency: metrics prove it, goroutines that wait for it make it surer and name the line."""

from collections.abc import Sequence
from math import ceil

from sre_platform.diagnosis.domain import Finding
from sre_platform.diagnosis.rca.waiting_calls import Crowd

# Two kinds of evidence that agree are surer than one; metrics tell of the service, stacks of a moment.
BY_METRICS_AND_STACKS, BY_METRICS, BY_STACKS = 0.9, 0.8, 0.7

# Goroutines. As in goroutine_growth: healthy services differ by 3 or less between two looks, sick ones by 7 or more.
MIN_CROWD = 7

# Of 17 incidents with exhausted pools, 12 were solved by half as many connections again, 5 by client time-outs.
POOL_GROWS = 1.5
POOL_USED_RATIO = 0.9  # above this share of the connections in use, callers queue for them


def larger_pool(size: float) -> int:
    """Connections to ask for in place of ``size``."""
    return ceil(size * POOL_GROWS)


def finding(
    service: str,
    cause: str,
    because: Sequence[str],
    advice: Sequence[str],
    crowd: Crowd | None,
    waits: str,
    *,
    would_decide: Sequence[str] = (),
) -> Finding:
    """``waits`` says in words what the goroutines of ``crowd`` do, such as "wait for a connection"."""
    many = crowd if crowd and crowd.count >= MIN_CROWD else None
    return Finding(
        cause=cause,
        family="dep",
        service=service,
        confidence=BY_METRICS_AND_STACKS if many else BY_METRICS,
        evidence="metrics",
        because=[*because, *([_crowd(many, waits)] if many else [])],
        against=[f"Only {crowd.count} goroutines {waits}."] if crowd and not many else [],
        would_decide=[*would_decide, *([] if crowd else [f"A goroutine dump would show how many {waits}, and where."])],
        advice=advice,
        site=many.site if many else None,
        count=many.count if many else None,
    )


def _crowd(crowd: Crowd, waits: str) -> str:
    return f"{crowd.count} goroutines {waits}{f', most of them at {crowd.site}' if crowd.site else ''}."
