"""Traffic of shapes that a method made for smooth latencies may stumble over; baseline and canary are alike in all."""

from collections.abc import Callable
from dataclasses import dataclass
from math import exp
from random import Random

from sre_platform.rollouts.domain import Request

TIMEOUT_MS = 5000.0
BUCKETS_MS = (5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 2500.0, 5000.0, 10000.0)

Latency = Callable[[Random, float], float]  # of a request at the second


def _hit_or_miss(random: Random, _: float) -> float:
    return random.lognormvariate(0.5, 0.3) if random.random() < 0.8 else random.lognormvariate(4.5, 0.5)


def _timing_out(random: Random, _: float) -> float:
    return TIMEOUT_MS if random.random() < 0.02 else min(TIMEOUT_MS, random.lognormvariate(3, 0.8))


def _whole_ms(random: Random, _: float) -> float:
    return float(int(random.lognormvariate(0.3, 0.7)))  # many zeros


def _steep_day(random: Random, second: float) -> float:
    return random.lognormvariate(3 + second / 20, 0.6)


def _constant(_: Random, __: float) -> float:
    return 12.0


def _very_heavy(random: Random, _: float) -> float:
    return 10 * float(random.paretovariate(1.1))


def _bucketed(random: Random, _: float) -> float:
    ms = random.lognormvariate(3.5, 0.9)
    return next((bound for bound in BUCKETS_MS if ms <= bound), BUCKETS_MS[-1])


def _spiking(random: Random, second: float) -> float:
    """A pause of 200 ms for all once in ten seconds, of a garbage collector that both share."""
    return random.lognormvariate(2, 0.4) + (200.0 if second % 10 < 0.3 else 0.0)


KINDS: tuple[Latency, ...] = (
    _hit_or_miss,
    _timing_out,
    _whole_ms,
    _steep_day,
    _constant,
    _very_heavy,
    _bucketed,
    _spiking,
)


@dataclass(frozen=True)
class Odd:
    """A kind of latency, and how much traffic. ``clustered``: each request resembles its version's one before."""

    latency: Latency
    rps: float
    share: float
    seconds: float
    errors: float
    clustered: float

    @property
    def canary_rps(self) -> float:
        return self.rps * self.share


def odd(random: Random) -> Odd:
    return Odd(
        latency=random.choice(KINDS),
        rps=exp(random.uniform(2.3, 5.7)),  # 10 to 300
        share=random.choice((0.05, 0.05, random.uniform(0.05, 0.5))),
        seconds=random.choice((10.0, 30.0, 60.0, random.uniform(5, 90))),
        errors=random.choice((0.0, 0.001, 0.005, 0.03)),
        clustered=random.choice((0.0, 0.0, 0.9)),
    )


def odd_requests(random: Random, of: Odd) -> tuple[list[Request], list[Request]]:
    """The requests of (baseline, canary)."""
    answered: tuple[list[Request], list[Request]] = ([], [])
    resembling = [0.0, 0.0]
    now = 0.0
    while (now := now + random.expovariate(of.rps)) < of.seconds:
        canary = random.random() < of.share
        resembling[canary] = of.clustered * resembling[canary] + (1 - of.clustered**2) ** 0.5 * random.gauss(0, 0.3)
        ms = of.latency(random, now) * (exp(resembling[canary]) if of.clustered else 1.0)
        answered[canary].append(Request(now, 503 if random.random() < of.errors else 200, ms))
    return answered
