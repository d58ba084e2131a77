"""Envoy's admin port as its clients see it: runtime keys in an admin layer, and cluster statistics for Prometheus.

Shapes as Envoy 1.40 answers; tests/clients/test_envoy.py holds them against the real one where it is installed.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlsplit

from tests.fakes.wire import Answer, Call, serving

BOUNDS = (10.0, 100.0, 850.0, 1000.0)


@dataclass
class Cluster:
    """What a cluster has served: answers by class, and latencies in ms of those that were answered at all."""

    codes: dict[str, int] = field(default_factory=dict)
    latencies: list[float] = field(default_factory=list)

    def serve(self, code: str, number: int, ms: float | None = 5.0) -> None:
        self.codes[code] = self.codes.get(code, 0) + number
        if ms is not None:
            self.latencies += [ms] * number

    def page(self, name: str) -> str:
        label = f'envoy_cluster_name="{name}"'
        lines = [
            f'envoy_cluster_upstream_rq_xx{{envoy_response_code_class="{c}",{label}}} {n}'
            for c, n in self.codes.items()
        ]
        for bound in (*BOUNDS, float("inf")):
            le = "+Inf" if bound == float("inf") else f"{bound:g}"
            count = sum(ms <= bound for ms in self.latencies)
            lines.append(f'envoy_cluster_upstream_rq_time_bucket{{{label},le="{le}"}} {count}')
        return "\n".join(lines)


@dataclass
class FakeEnvoy:
    """The fake's inside: ``effects`` are the runtime changes, in order; ``watch`` is called right before each.

    ``traffic`` is called whenever the statistics are read: what is served between two readings. ``above`` are the keys
    of a layer over the one that the admin port writes: they win. ``asked`` are all calls.
    """

    runtime: dict[str, str] = field(default_factory=dict)
    above: dict[str, str] = field(default_factory=dict)
    clusters: dict[str, Cluster] = field(default_factory=lambda: {"stable": Cluster(), "canary": Cluster()})
    effects: list[dict[str, str]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    watch: Callable[[], None] = lambda: None
    traffic: Callable[[], None] = lambda: None
    admin_layer: bool = True
    down: bool = False
    url: str = ""

    @property
    def weight(self) -> int:
        """The canary's percentage."""
        return int(self.runtime.get("routing.shop.canary", "0"))

    def handle(self) -> dict[str, str]:
        """The catalog's handle for it."""
        labels = {"header_key": "routing.shop.header", "region_key": "routing.shop.region"}
        return {
            "admin_url": self.url,
            "baseline": "stable",
            "canary": "canary",
            "runtime_prefix": "routing.shop",
        } | labels

    def answer(self, call: Call) -> Answer:
        parts = urlsplit(call.path)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        self.asked.append(f"{call.method} {parts.path}")
        if self.down:
            return Answer(503, b"no")
        if (call.method, parts.path) == ("POST", "/runtime_modify"):
            return self._modify(query)
        if (call.method, parts.path) == ("GET", "/runtime"):
            return self._runtime()
        if (call.method, parts.path) == ("GET", "/stats/prometheus"):
            self.traffic()
            return Answer(200, "\n".join(c.page(name) for name, c in self.clusters.items()).encode() + b"\n")
        return Answer(404, b"invalid path")

    def _modify(self, query: dict[str, str]) -> Answer:
        if not self.admin_layer:
            return Answer(503, b"No admin layer specified")
        self.watch()
        self.effects.append(query)
        self.runtime |= query
        return Answer(200, b"OK\n")

    def _runtime(self) -> Answer:
        entries = {
            key: {"final_value": value, "layer_values": [value]} for key, value in (self.runtime | self.above).items()
        }
        return Answer(200, json.dumps({"layers": ["admin"], "entries": entries}).encode())


@contextmanager
def envoy() -> Iterator[FakeEnvoy]:
    """An Envoy whose routes all go to the cluster ``stable``."""
    fake = FakeEnvoy()
    with serving(fake.answer) as wire:
        fake.url = wire.url
        yield fake
