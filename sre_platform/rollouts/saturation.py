"""Is the canary fuller than the baseline? Compares what both show of themselves, by the catalog's limits. Pure."""

from collections.abc import Mapping, Sequence

from sre_platform.catalog.routes import Saturation
from sre_platform.rollouts.domain import Check, Verdict

# Requests without which a share of one request's cost is mostly what the process costs when idle.
FEWEST_REQUESTS = 100

Values = Mapping[str, float]


def checks(
    limits: Sequence[Saturation], before: tuple[Values, Values], now: tuple[Values, Values], served: tuple[int, int]
) -> list[Check]:
    """A check for each limit. Pairs are of baseline and canary: metrics at the step's start and now, requests since."""
    return [_check(limit, before, now, served) for limit in limits]


def _check(
    limit: Saturation, before: tuple[Values, Values], now: tuple[Values, Values], served: tuple[int, int]
) -> Check:
    older, newer = (_value(limit, before[side], now[side], served[side]) for side in (0, 1))
    most = _most(limit, older)
    if newer is None or most is None:
        return Check(
            limit.metric, older, newer, most or 0.0, Verdict.INCONCLUSIVE, "It could not be measured of both versions."
        )
    if newer > most:
        return Check(limit.metric, older, newer, most, Verdict.FAIL, "The canary is fuller than the limit allows.")
    return Check(limit.metric, older, newer, most, Verdict.PASS, "Within the limit.")


def _most(limit: Saturation, older: float | None) -> float | None:
    """The lower of the absolute limit and the one above the baseline; None when neither can be told."""
    if limit.rise is not None and older is None:
        return None
    bounds = [limit.most] if limit.most is not None else []
    if limit.rise is not None and older is not None:
        bounds.append(older * (1 + limit.rise))
    return min(bounds, default=None)


def _value(limit: Saturation, before: Values, now: Values, served: int) -> float | None:
    if limit.metric not in now:
        return None
    if limit.kind == "gauge":
        return now[limit.metric]
    grown = now[limit.metric] - before.get(limit.metric, float("inf"))
    return grown / served if served >= FEWEST_REQUESTS and grown >= 0 else None
