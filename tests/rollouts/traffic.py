"""Traffic to a canary and its baseline, seeded and in the standard library: what the tests and the benchmark judge.

Load and latency wander (AR(1) by the second), lie on a daily slope, and have heavy tails, because plain tests for
independent samples raise many false alarms on exactly that.
"""

from dataclasses import dataclass
from math import exp
from random import Random
from statistics import NormalDist

from sre_platform.rollouts.domain import Request


@dataclass(frozen=True)
class Shape:
    """How a service is used and answers. Rates in requests/s of both versions together, wanderings in logarithms."""

    rps: float
    share: float
    tail: str
    spread: float
    median_ms: float
    load_wander: float
    latency_wander: float
    memory: float
    slope: float
    errors: float
    own_wander: float = 0.0  # of each version alone, second by second
    own_memory: float = 0.0  # of that wandering
    bursts: float = 0.0  # share of seconds in which everything takes three times as long
    seconds: int = 60
    past: int = 0  # seconds before time 0 in which the baseline serves alone

    @property
    def canary_rps(self) -> float:
        return self.rps * self.share


@dataclass(frozen=True)
class Fault:
    """What is wrong with a canary: more 5xx (share), everything slower, or only the slowest (from P95 on) slower."""

    errors: float = 0.0
    slower: float = 1.0
    tail_slower: float = 1.0


HEALTHY = Fault()
_NORMAL = NormalDist()


def shape(random: Random) -> Shape:
    """Any service."""
    tail = random.choice(("lognormal", "pareto"))
    return Shape(
        rps=exp(random.uniform(3.912, 6.215)),  # 50 to 500
        share=random.uniform(0.05, 0.5),
        tail=tail,
        spread=random.uniform(0.3, 1.0) if tail == "lognormal" else random.uniform(2.0, 5.0),
        median_ms=random.uniform(10, 80),
        load_wander=random.uniform(0, 0.3),
        latency_wander=random.uniform(0, 0.3),
        memory=random.uniform(0.5, 0.98),
        slope=random.uniform(-0.5, 0.5),
        errors=random.choice((0.0, random.uniform(0, 0.005))),
        own_wander=random.choice((0.0, 0.0, random.uniform(0, 0.1))),
        bursts=random.choice((0.0, random.uniform(0, 0.1))),
    )


def requests(random: Random, of: Shape, fault: Fault = HEALTHY) -> tuple[list[Request], list[Request]]:
    """The requests of (baseline, canary)."""
    answered: tuple[list[Request], list[Request]] = ([], [])
    load = slow = 0.0
    own = [random.gauss(0, 1) * (of.own_memory > 0) for _ in answered]
    for second in range(-of.past, of.seconds):
        load, slow = (of.memory * x + (1 - of.memory**2) ** 0.5 * random.gauss(0, 1) for x in (load, slow))
        day = of.slope * second / 60
        level = exp(of.latency_wander * (slow + day)) * (3.0 if random.random() < of.bursts else 1.0)
        own = [of.own_memory * x + (1 - of.own_memory**2) ** 0.5 * random.gauss(0, 1) for x in own]
        levels = [level * exp(of.own_wander * x) for x in own]
        for _ in range(_poisson(random, of.rps * exp(of.load_wander * load + 0.3 * day - of.load_wander**2 / 2))):
            canary = random.random() < of.share and second >= 0
            answered[canary].append(_request(random, of, second, levels[canary], fault if canary else HEALTHY))
    return answered


def _request(random: Random, of: Shape, second: int, level: float, fault: Fault) -> Request:
    rank = random.random()
    extra = fault.tail_slower if rank > 0.95 else 1.0
    status = 500 if random.random() < of.errors + fault.errors else 200
    return Request(second + random.random(), status, of.median_ms * level * _quantile(of, rank) * fault.slower * extra)


def _quantile(of: Shape, rank: float) -> float:
    if of.tail == "pareto":
        return (1 - rank) ** (-1 / of.spread)
    return exp(of.spread * _NORMAL.inv_cdf(min(max(rank, 1e-12), 1 - 1e-12)))


def _poisson(random: Random, mean: float) -> int:
    return max(0, round(random.gauss(mean, mean**0.5)))
