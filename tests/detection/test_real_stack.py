"""The real Prometheus and Alertmanager, led by our configurations, against our own evaluator on the same exporter."""

import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime

import pytest

from sre_platform.clients import http, prometheus
from sre_platform.detection.courier import Courier, webhook
from sre_platform.detection.delivery import Alert, webhook_body
from sre_platform.detection.domain import AlertRule
from sre_platform.detection.evaluator import Evaluator
from sre_platform.detection.export import alertmanager_config, prometheus_config, rule_file
from sre_platform.detection.measure import PrometheusMeasurer, ScrapeMeasurer
from sre_platform.detection.scraping import Scraper, Target
from sre_platform.kernel.errors import SreError
from sre_platform.kernel.sli import Sli
from tests.fakes.wire import Answer, serving

DEPTH = Sli("gauge", "depth", labels={"job": "shop"})
RULE = AlertRule("Queue", "orders", DEPTH, ">", 10, for_s=1, summary="{{ deep }}", labels={"team": "mail"})


class MemoryLedger:
    def __init__(self):
        self.alerts = []

    def load(self):
        return self.alerts

    def save(self, alerts):
        self.alerts = list(alerts)


class Shop:
    """An exporter whose queue a test can fill; it answers 1000 requests per second, one in ten badly."""

    def __init__(self):
        self.depth = 1.0
        self.began = time.monotonic()

    def __call__(self, _call):
        total = int((time.monotonic() - self.began) * 1000)
        page = f'depth {self.depth}\nn_total{{code="200"}} {total - total // 10}\nn_total{{code="500"}} {total // 10}\n'
        return Answer(200, page.encode())


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@contextmanager
def _process(folder, *command: str) -> Iterator[None]:
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed (Debian: apt-get install prometheus prometheus-alertmanager)")
    with (folder / f"{command[0]}.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
    try:
        yield
    finally:
        process.terminate()
        process.wait(10)


def _eventually(condition, seconds=15.0):
    until = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.02)
    return result


def _answers(url: str) -> bool:
    try:
        return http.request("GET", url).status == 200
    except SreError:
        return False


@contextmanager
def _alertmanager(folder, hook_url: str) -> Iterator[str]:
    (folder / "token").write_text("secret")
    (folder / "alertmanager.yml").write_text(alertmanager_config(hook_url, str(folder / "token")))
    address = f"127.0.0.1:{_free_port()}"
    options = ["--config.file=alertmanager.yml", "--storage.path=am", "--cluster.listen-address="]
    with _process(folder, "prometheus-alertmanager", *options, f"--web.listen-address={address}"):
        _eventually(lambda: _answers(f"http://{address}/-/ready"))
        yield address


@contextmanager
def _prometheus(folder, exporter: str, alertmanager: str) -> Iterator[str]:
    (folder / "rules.yml").write_text(rule_file([RULE]))
    (folder / "prometheus.yml").write_text(prometheus_config({"shop": exporter}, "rules.yml", alertmanager))
    address = f"127.0.0.1:{_free_port()}"
    options = ["--config.file=prometheus.yml", "--storage.tsdb.path=tsdb", "--log.level=warn"]
    with _process(folder, "prometheus", *options, f"--web.listen-address={address}"):
        _eventually(lambda: prometheus.ready(f"http://{address}"))
        yield f"http://{address}"


@contextmanager
def _embedded(exporter_url: str, hook_url: str) -> Iterator[None]:
    scraper, courier = Scraper([Target("shop", f"{exporter_url}/metrics")]), Courier(webhook(hook_url, "secret"))
    evaluator, stop = Evaluator(scraper, courier, lambda: [RULE], MemoryLedger()), threading.Event()
    thread = threading.Thread(target=evaluator.run, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(10)


WEIRD = [
    {"alertname": "A", "service": "s", "severity": "warning"},
    {"alertname": "Ä\n", "service": 'q"\\'},
    {"alertname": "☃\u2028\u00a0\U0001f600", "service": "\t\x01\x7f\u200b"},
]


def test_alertmanager_sends_the_same_body(tmp_path):
    """Fingerprints, group keys, times and the common parts, for labels that need quoting."""
    started = 1700000000.123
    with serving(Answer()) as hook, _alertmanager(tmp_path, hook.url) as address:
        for labels in WEIRD:
            for end in (None, started + 1):
                alert = Alert(tuple(sorted(labels.items())), {"summary": "s"}, started, end)
                _post(address, alert)
                call = _eventually(lambda: hook.calls and hook.calls.pop())
                theirs = call.json()
                ours = webhook_body([alert], external_url=theirs["externalURL"]).json
                assert theirs == ours
                assert call.headers["authorization"] == "Bearer secret"


def _post(address: str, alert: Alert) -> None:
    def rfc3339(at):
        return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")

    content = {"labels": dict(alert.labels), "annotations": alert.annotations, "startsAt": rfc3339(alert.starts_at)}
    content |= {} if alert.ends_at is None else {"endsAt": rfc3339(alert.ends_at)}
    http.request("POST", f"http://{address}/api/v2/alerts", json=[content])


def test_both_ways_tell_the_same_story(tmp_path):
    shop = Shop()
    with ExitStack() as stack:
        exporter = stack.enter_context(serving(shop))
        theirs, ours = stack.enter_context(serving(Answer())), stack.enter_context(serving(Answer()))
        alertmanager = stack.enter_context(_alertmanager(tmp_path, theirs.url))
        server = stack.enter_context(_prometheus(tmp_path, exporter.address, alertmanager))
        stack.enter_context(_embedded(exporter.url, ours.url))
        _eventually(lambda: prometheus.query(server, "count_over_time(up[1m]) > 6"))
        _measures_agree(server, exporter)
        for depth in (12.5, 1.0):
            before = len(theirs.calls), len(ours.calls)
            shop.depth = depth
            _eventually(lambda b=before: len(theirs.calls) > b[0] and len(ours.calls) > b[1])
            assert _story(theirs.calls[-1].json()) == _story(ours.calls[-1].json())


def _measures_agree(server: str, exporter) -> None:
    slis = [DEPTH, Sli("rate", "n_total"), Sli("error_ratio", "n_total", bad={"code": "~5.."})]
    for theirs, ours in zip(
        PrometheusMeasurer(server).measure(slis), ScrapeMeasurer({"shop": exporter.url}).measure(slis), strict=True
    ):
        assert ours.value == pytest.approx(theirs.value, rel=0.3), "the windows differ, the magnitude must not"


def _story(body: dict) -> dict:
    """A body without the times and addresses in which two observers must differ."""
    alerts = [
        {key: alert[key] for key in ("status", "labels", "annotations", "fingerprint")} for alert in body["alerts"]
    ]
    return body | {"alerts": alerts, "externalURL": ""}
