"""How often a canary is judged wrongly: healthy ones that fail, broken ones that are not found within a minute.

``python -m tests.benchmarks.canary`` prints it alone. The traffic is that of tests/rollouts/traffic.py, with a seed.
"""

from collections.abc import Callable
from random import Random
from time import perf_counter
from typing import Any

from rich.console import Console
from rich.table import Table

from sre_platform.rollouts.canary import judge
from sre_platform.rollouts.domain import Verdict
from tests.benchmarks.senders import percentile
from tests.rollouts.traffic import HEALTHY, Fault, Shape, requests, shape

SEED = 300
WITHIN_S = 60.0
LEAST_RPS = 50.0  # of the canary, from which on a breach has to be found
MOST_FALSE, LEAST_FOUND = 0.01, 0.99


def _any(_: Shape) -> bool:
    return True


def _busy(of: Shape) -> bool:
    return of.canary_rps >= LEAST_RPS


def _scarce(of: Shape) -> bool:
    return LEAST_RPS <= of.canary_rps < 60


Case = tuple[int, Fault, Callable[[Shape], bool]]
CASES: dict[str, Case] = {
    "healthy": (1000, HEALTHY, _any),
    "5xx +1 point": (500, Fault(errors=0.01), _busy),
    "P99 +20 %": (500, Fault(slower=1.2), _busy),
    # Not bounded: the hardest of the above, and what a minute's requests cannot always show.
    "5xx +1 point at 50-60 rps": (200, Fault(errors=0.01), _scarce),
    "P99 +20 % at 50-60 rps": (200, Fault(slower=1.2), _scarce),
    "only above P95 +20 %": (200, Fault(tail_slower=1.2), _busy),
    "only above P95 +50 %": (200, Fault(tail_slower=1.5), _busy),
}
FOUND = ("5xx +1 point", "P99 +20 %")


def measure() -> dict[str, dict[str, Any]]:
    """By the kind of canary: the shares of verdicts, the seconds until a failure, and ms of the judging itself."""
    return {name: _measured(name, *case) for name, case in CASES.items()}


def within_bounds(found: dict[str, dict[str, Any]]) -> bool:
    """Few healthy canaries fail, and nearly all broken ones do, in time."""
    return found["healthy"]["fail"] <= MOST_FALSE and all(found[name]["fail"] >= LEAST_FOUND for name in FOUND)


def _measured(name: str, count: int, fault: Fault, wanted: Callable[[Shape], bool]) -> dict[str, Any]:
    random = Random(f"{SEED} {name}")
    verdicts, seconds, took = [], [], []
    while len(verdicts) < count:
        if not wanted(of := shape(random)):
            continue
        baseline, canary = requests(random, of, fault)
        begin = perf_counter()
        judged = judge(baseline, canary)
        took.append(1000 * (perf_counter() - begin))
        late = judged.at > WITHIN_S
        verdicts.append(Verdict.INCONCLUSIVE if late else judged.verdict)
        seconds.append(judged.at)
    shares = {str(verdict): verdicts.count(verdict) / count for verdict in Verdict}
    times = {"at_s_p50": percentile(seconds, 0.5), "ms_p50": percentile(took, 0.5), "ms_p99": percentile(took, 0.99)}
    return {"canaries": count, **shares, **times}


def table(found: dict[str, dict[str, Any]]) -> Table:
    shown = Table("canary", *next(iter(found.values())), title="judging canaries")
    for name, row in found.items():
        shown.add_row(name, *(f"{value:.4g}" for value in row.values()))
    return shown


if __name__ == "__main__":
    Console().print(table(measure()))
