"""Envoy's admin port: against a fake that answers as Envoy does, and against the real one where it is installed."""

import json
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep

import pytest

from sre_platform.clients import http
from sre_platform.clients.envoy import Envoy
from sre_platform.clients.traffic import Counts
from sre_platform.embedded import envoy as lab
from sre_platform.embedded.parts import free_ports
from sre_platform.kernel.errors import Malformed, Rejected, SreError, Unavailable
from tests.fakes.envoy import envoy
from tests.fakes.wire import Answer, serving

PORTS = ("PAYMENTS", "PAYMENTS_CANARY", "PAYMENTS_ROUTE", "ENVOY_ADMIN")
REAL = lab.executable()


def test_runtime_values_are_set_and_read():
    with envoy() as fake:
        client = Envoy(fake.url)
        assert client.runtime() == {}
        client.set_runtime({"a.b": 5, "a.c": 95})
        assert client.runtime() == {"a.b": "5", "a.c": "95"}
        assert fake.effects == [{"a.b": "5", "a.c": "95"}]


def test_counts_of_clusters():
    with envoy() as fake:
        fake.clusters["stable"].serve("2", 3, 5.0)
        fake.clusters["stable"].serve("5", 1, None)
        stable, canary = Envoy(fake.url).counts(["stable", "canary"])
        assert stable.codes == {"2": 3, "5": 1}
        assert stable.buckets[0] == (10.0, 3)
        assert stable.buckets[-1] == (float("inf"), 3)
        assert (canary.total, stable.total) == (0, 4)


def test_one_without_an_admin_layer_is_said():
    with envoy() as fake:
        fake.admin_layer = False
        with pytest.raises((Rejected, Unavailable), match="admin"):
            Envoy(fake.url).set_runtime({"a": 1})
        assert fake.effects == []


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"entries": []}', b'{"entries": {"a": 1}}', b"\xff"])
def test_an_answer_that_is_not_envoys_is_malformed(body):
    with serving(Answer(200, body)) as wire, pytest.raises(Malformed) as error:
        Envoy(wire.url).runtime()
    assert str(error.value)


@pytest.mark.parametrize(
    "page",
    [
        'envoy_cluster_upstream_rq_time_bucket{envoy_cluster_name="a",le="x"} 1',
        'envoy_cluster_upstream_rq_time_bucket{envoy_cluster_name="a",le="1"} 2\n'
        'envoy_cluster_upstream_rq_time_bucket{envoy_cluster_name="a",le="2"} 1',
        'envoy_cluster_upstream_rq_xx{envoy_cluster_name="a",envoy_response_code_class="2"} NaN',
        'envoy_cluster_upstream_rq_xx{envoy_cluster_name="a",envoy_response_code_class="2"} -1',
        'envoy_cluster_upstream_rq_time_bucket{envoy_cluster_name="a",le="1"} +Inf',
        'envoy_cluster_upstream_rq_time_bucket{envoy_cluster_name="a",le="NaN"} 1',
        "<html>",
        "\n".join(f'envoy_cluster_upstream_rq_time_bucket{{envoy_cluster_name="a",le="{n}"}} 1' for n in range(900)),
    ],
)
def test_statistics_that_cannot_be_are_malformed(page):
    with serving(Answer(200, page.encode())) as wire, pytest.raises(Malformed) as error:
        Envoy(wire.url).counts(["a"])
    assert str(error.value)


def test_an_envoy_that_hangs_is_given_up_within_three_seconds():
    began = monotonic()
    with serving(Answer(200, b"OK" * 40, drip=0.2)) as wire, pytest.raises(Unavailable):
        Envoy(wire.url).set_runtime({"a": 1})
    assert monotonic() - began < 3.5


@contextmanager
def real(folder: Path, answers):
    """A real Envoy with the lab's bootstrap, and what stands behind its two clusters."""
    with serving(answers["stable"]) as stable, serving(answers["canary"]) as canary:
        ports = free_ports(dict.fromkeys(PORTS, 0))
        ports |= {"PAYMENTS": int(stable.url.rpartition(":")[2]), "PAYMENTS_CANARY": int(canary.url.rpartition(":")[2])}
        program = lab.program(REAL, folder, ports)
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(program.command, stdout=log, stderr=log)
        try:
            admin = Envoy(f"http://127.0.0.1:{ports['ENVOY_ADMIN']}")
            _wait(lambda: admin.runtime() is not None)
            yield admin, f"http://127.0.0.1:{ports['PAYMENTS_ROUTE']}"
        finally:
            process.kill()
            process.wait()


def _wait(ready, within_s=20.0):
    deadline = monotonic() + within_s
    while True:
        try:
            if ready():
                return
        except SreError:
            pass  # not yet
        assert monotonic() < deadline, "it did not come in time"
        sleep(0.1)


def weigh(admin, canary, **labels):
    keys = {f"{lab.PREFIX}.{lab.STABLE}": 100 - canary, f"{lab.PREFIX}.{lab.CANARY}": canary}
    admin.set_runtime(keys | labels)


def ask(url, **headers):
    answer = http.request("GET", url, headers=headers, raise_for_status=False)
    return answer.text if answer.status == 200 else str(answer.status)


@pytest.mark.skipif(REAL is None, reason="there is no Envoy on this machine")
def test_the_real_envoy_weighs_and_counts_as_the_fake_does(tmp_path):
    answers = {"stable": Answer(200, b"stable"), "canary": Answer(200, b"canary")}
    with real(tmp_path, answers) as (admin, url):
        assert {ask(url) for _ in range(20)} == {"stable"}
        assert ask(url, **{"x-canary": "1"}) == "stable", "its runtime key does not allow it yet"
        weigh(admin, 0, **{lab.HEADER_KEY: 100, lab.REGION_KEY: 0})
        _wait(lambda: ask(url, **{"x-canary": "1"}) == "canary")
        assert (ask(url), ask(url, **{"x-region": lab.TEST_REGION})) == ("stable", "stable")
        weigh(admin, 0, **{lab.HEADER_KEY: 0, lab.REGION_KEY: 100})
        assert (ask(url, **{"x-region": lab.TEST_REGION}), ask(url, **{"x-canary": "1"})) == ("canary", "stable")
        weigh(admin, 50, **{lab.HEADER_KEY: 0, lab.REGION_KEY: 0})
        assert {ask(url) for _ in range(60)} == {"stable", "canary"}
        weigh(admin, 100)
        assert {ask(url) for _ in range(20)} == {"canary"}
        assert admin.runtime()[f"{lab.PREFIX}.{lab.CANARY}"] == "100"
        _wait(lambda: sum(map(answered, _counts(admin))) == sum(c.total for c in _counts(admin)))
        stable, canary = _counts(admin)
        assert stable.total + canary.total >= 106
        assert [bound for bound, _ in canary.buckets[:-1]] == list(lab.bounds())


@pytest.mark.skipif(REAL is None, reason="there is no Envoy on this machine")
def test_what_the_real_envoy_could_not_reach_is_a_5xx_without_a_latency(tmp_path):
    answers = {"stable": Answer(200, b"stable"), "canary": Answer(500, b"bad")}
    with real(tmp_path, answers) as (admin, url):
        weigh(admin, 100)
        assert [ask(url) for _ in range(3)] == ["500"] * 3
        _wait(lambda: answered(_counts(admin)[1]) == 3)
        assert _counts(admin)[1].codes == {"5": 3}
    closed = free_ports(dict.fromkeys(PORTS, 0))
    with _alone(tmp_path, closed) as (admin, url):
        assert [ask(url) for _ in range(3)] == ["503"] * 3
        stable = _counts(admin)[0]
        assert (stable.codes, list(stable.buckets)) == ({"5": 3}, [])


@contextmanager
def _alone(folder, ports):
    program = lab.program(REAL, folder, ports)
    process = subprocess.Popen(program.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        admin = Envoy(f"http://127.0.0.1:{ports['ENVOY_ADMIN']}")
        _wait(lambda: admin.runtime() is not None)
        yield admin, f"http://127.0.0.1:{ports['PAYMENTS_ROUTE']}"
    finally:
        process.kill()
        process.wait()


def answered(counts) -> int:
    """Requests in the histogram, which Envoy brings up to date once a second."""
    return counts.buckets[-1][1] if counts.buckets else 0


def _counts(admin) -> list[Counts]:
    return admin.counts([lab.STABLE, lab.CANARY])


def test_the_bootstrap_is_json_and_listens_on_loopback_only(tmp_path):
    program = lab.program("/usr/bin/envoy", tmp_path, dict.fromkeys(PORTS, 1))
    text = Path(program.command[2]).read_text()
    assert json.loads(text)["admin"]["address"]["socket_address"]["address"] == "127.0.0.1"
    assert "0.0.0.0" not in text  # noqa: S104 it must not be there
    assert lab.LIMIT_MS in lab.bounds()


def test_it_is_found_beside_the_python_that_runs(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name, path=None: f"{path}/{name}" if path else None)
    assert lab.executable() == str(Path(sys.executable).parent / "envoy")
