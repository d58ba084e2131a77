"""How often a canary is judged wrongly: healthy ones that fail, broken ones that are not found within a minute.

``python -m tests.benchmarks.canary`` prints it alone. The traffic is that of tests/rollouts/traffic.py, with a seed.
"""

from collections.abc import Callable
from dataclasses import replace
from random import Random
from time import process_time
from typing import Any

from rich.console import Console
from rich.table import Table

from sre_platform.rollouts.canary import judge
from sre_platform.rollouts.domain import Request, Verdict
from tests.benchmarks.senders import percentile
from tests.rollouts.odd_traffic import odd, odd_requests
from tests.rollouts.traffic import HEALTHY, Fault, Shape, requests, shape

SEED = 2027
WITHIN_S = 60.0
LEAST_RPS = 50.0  # of the canary, from which on a breach has to be found
MOST_FALSE, LEAST_FOUND = 0.01, 0.99


def _any(_: Shape) -> bool:
    return True


def _busy(of: Shape) -> bool:
    return of.canary_rps >= LEAST_RPS


def _scarce(of: Shape) -> bool:
    return LEAST_RPS <= of.canary_rps < 60


def _wandering(deviation: float) -> Callable[[Random], Shape]:
    def made(random: Random) -> Shape:
        return replace(shape(random), own_wander=deviation, own_memory=random.uniform(0.5, 0.98))

    return made


Traffic = Callable[[Random], tuple[list[Request], list[Request]]]
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
# Healthy ones whose versions' latencies wander each on its own, by so much (standard deviation): not bounded either.
WANDERING = {f"healthy, each wanders by {deviation:.0%}": deviation for deviation in (0.05, 0.1, 0.2)}
WANDERING_COUNT, ODD_COUNT = 250, 2000
ODD = "healthy, odd shapes"
FOUND = ("5xx +1 point", "P99 +20 %")


def measure() -> dict[str, dict[str, Any]]:
    """By the kind of canary: the shares of verdicts, the seconds until a failure, and the judging in ms of CPU time."""
    found = {name: _measured(name, count, _of(shape, fault, wanted)) for name, (count, fault, wanted) in CASES.items()}
    for name, deviation in WANDERING.items():
        found[name] = _measured(name, WANDERING_COUNT, _of(_wandering(deviation), HEALTHY, _any))
    return found | {ODD: _measured(ODD, ODD_COUNT, lambda random: odd_requests(random, odd(random)))}


def within_bounds(found: dict[str, dict[str, Any]]) -> bool:
    """Few healthy canaries fail, and nearly all broken ones do, in time."""
    few = all(found[name]["fail"] <= MOST_FALSE for name in ("healthy", ODD))
    return few and all(found[name]["fail"] >= LEAST_FOUND for name in FOUND)


def _of(made: Callable[[Random], Shape], fault: Fault, wanted: Callable[[Shape], bool]) -> Traffic:
    def traffic(random: Random) -> tuple[list[Request], list[Request]]:
        while not wanted(of := made(random)):
            pass
        return requests(random, of, fault)

    return traffic


def _measured(name: str, count: int, traffic: Traffic) -> dict[str, Any]:
    random = Random(f"{SEED} {name}")
    verdicts, seconds, took = [], [], []
    for _ in range(count):
        baseline, canary = traffic(random)
        begin = process_time()
        judged = judge(baseline, canary)
        took.append(1000 * (process_time() - begin))
        late = judged.verdict is Verdict.FAIL and name in FOUND and judged.at > WITHIN_S
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
