"""The routers behind their port: what the catalog names, and what they count."""

from math import inf

import pytest

from sre_platform.catalog.domain import Target
from sre_platform.clients.traffic import Weights
from sre_platform.kernel.errors import Malformed, Rejected
from sre_platform.rollouts.routing import ROUTERS, router_of
from tests.fakes.envoy import envoy
from tests.fakes.wire import Answer, serving

PAGE = b"""# TYPE http_requests_total counter
http_requests_total{code="200",path="/a"} 7
http_requests_total{code="200",path="/b"} 3
http_requests_total{code="503",path="/a"} 2
http_request_duration_seconds_bucket{path="/a",le="0.1"} 5
http_request_duration_seconds_bucket{path="/a",le="+Inf"} 9
http_request_duration_seconds_bucket{path="/b",le="0.1"} 3
http_request_duration_seconds_bucket{path="/b",le="+Inf"} 3
"""


def by_nginx(folder, baseline="", canary=""):
    (folder / "pid").write_text("1")
    handle = {
        "include": str(folder / "canary.conf"),
        "pid_file": str(folder / "pid"),
        "test": ["false"],
        "variable": "shop",
        "baseline": "stable",
        "canary": "canary",
    }
    process = {"process": "canary", "release_link": "/srv/canary", "metrics_url": canary}
    return Target("payments", metrics_url=baseline, handles={"nginx": handle, "canary": process})


def test_the_router_is_the_one_that_the_catalog_names(tmp_path):
    assert router_of(by_nginx(tmp_path)).name == "nginx"
    with envoy() as fake:
        assert router_of(Target("payments", handles={"envoy": fake.handle()})).name == "envoy"
    with pytest.raises(Rejected, match="no router for payments"):
        router_of(Target("payments"))
    with pytest.raises(Rejected, match="more than one router"):
        router_of(Target("payments", handles={"envoy": {}, "nginx": {}}))


def test_envoy_is_read_set_and_observed():
    with envoy() as fake:
        router, target = ROUTERS.get("envoy"), Target("payments", handles={"envoy": fake.handle()})
        assert router.read(target) == Weights()
        router.set(target, Weights(25, header=True))
        assert router.read(target) == Weights(25, header=True)
        fake.clusters["canary"].serve("5", 2)
        observed = router.observe(target)
        assert (observed.baseline.total, observed.canary.codes) == (0, {"5": 2})


def test_nginx_counts_by_the_versions_own_metrics(tmp_path):
    with serving(Answer(200, PAGE)) as wire, serving(Answer(200, b"")) as empty:
        observed = ROUTERS.get("nginx").observe(by_nginx(tmp_path, wire.url, empty.url))
    assert observed.baseline.codes == {"2": 10, "5": 2}
    assert list(observed.baseline.buckets) == [(100.0, 8), (inf, 12)]
    assert observed.canary.total == 0


@pytest.mark.parametrize(
    "line", ['http_requests_total{code="200"} NaN', 'http_request_duration_seconds_bucket{le="+Inf"} NaN']
)
def test_what_counts_nothing_is_malformed_however_the_release_shows_it(tmp_path, line):
    pages = {"/a": PAGE, "/b": f"{line}\n".encode()}
    with serving(lambda call: Answer(200, pages[call.path])) as wire, pytest.raises(Malformed, match="shows nan"):
        ROUTERS.get("nginx").observe(by_nginx(tmp_path, f"{wire.url}/a", f"{wire.url}/b"))


def test_nginx_has_no_labels_and_no_metrics_without_an_address(tmp_path):
    router = ROUTERS.get("nginx")
    with pytest.raises(Rejected, match="by percentage only"):
        router.set(by_nginx(tmp_path), Weights(0, header=True))
    with pytest.raises(Malformed):
        router.observe(by_nginx(tmp_path))
