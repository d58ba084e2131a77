import json
import shutil
import socket
import subprocess
import time
from datetime import UTC, datetime, timedelta

import pytest

from sre_platform.clients import http
from sre_platform.clients.alertmanager import Alertmanager
from sre_platform.kernel.errors import Malformed, Rejected, SreError, Unavailable
from tests.fakes.manager import firing, managing
from tests.fakes.wire import Answer, serving

MATCHERS = [{"name": "alertname", "value": "A", "isRegex": False, "isEqual": True}]
HOUR = timedelta(hours=1)


def test_alerts_are_read():
    with managing() as fake:
        fake.alerts = [firing(since=datetime(2026, 11, 21, 12, 0, 0, 123456, tzinfo=UTC))]
        [alert] = Alertmanager(fake.url).alerts()
    assert (alert.fingerprint, alert.state, alert.receivers) == ("f1", "active", ("sre-platform",))
    assert alert.starts_at == datetime(2026, 11, 21, 12, 0, 0, 123000, tzinfo=UTC)
    assert (alert.labels["service"], alert.annotations["summary"]) == ("payments", "Requests fail")


def test_the_kinds_of_alerts_are_asked_for():
    with managing() as fake:
        Alertmanager(fake.url).alerts(silenced=False)
        assert fake.calls == ["GET alerts?active=true&silenced=false&inhibited=true&unprocessed=true"]


def test_user_password_and_path_of_the_url_are_used_and_not_shown():
    with serving(Answer(body=b"[]")) as wire:
        manager = Alertmanager(wire.url.replace("http://", "http://ann:s%20t@") + "/am/")
        manager.silences()
        assert wire.calls[0].path == "/am/api/v2/silences"
        assert wire.calls[0].headers["authorization"] == "Basic YW5uOnMgdA=="
        assert manager.url == f"{wire.url}/am"


def test_silences_are_made_listed_and_expired():
    with managing() as fake:
        manager, begin = Alertmanager(fake.url), datetime.now(UTC)
        key = manager.put_silence(MATCHERS, begin, begin + HOUR, "ann", "disk")
        [silence] = manager.silences()
        assert (silence.id, silence.state, silence.created_by, silence.comment) == (key, "active", "ann", "disk")
        assert (silence.ends_at, list(silence.matchers)) == (begin + HOUR, MATCHERS)
        manager.expire_silence(key)
        assert manager.silences()[0].state == "expired"


def test_its_age_is_by_its_own_clock():
    body, headers = b'{"uptime": "2020-01-01T00:00:00.000Z"}', {"Date": "Wed, 01 Jan 2020 00:01:00 GMT"}
    with serving(Answer(body=body, headers=headers)) as wire:
        assert Alertmanager(wire.url).up_for_s() == 60
    with serving(Answer(body=body, headers={"Date": "noon"})) as wire:
        assert Alertmanager(wire.url).up_for_s() > 86400, "by ours, where it tells none"


@pytest.mark.parametrize(
    "body", [b"{}", b"[1]", b"null", b"nothing", b'[{"id": 1}]', json.dumps([firing(labels={"a": 1})]).encode()]
)
@pytest.mark.parametrize("ask", [Alertmanager.alerts, Alertmanager.silences])
def test_what_is_no_answer_of_alertmanager(body, ask):
    with serving(Answer(body=body)) as wire, pytest.raises(Malformed):
        ask(Alertmanager(wire.url))


@pytest.mark.parametrize("body", [b"[]", b"{}", b'{"uptime": "yesterday"}'])
def test_a_status_without_an_age(body):
    with serving(Answer(body=body)) as wire, pytest.raises(Malformed):
        Alertmanager(wire.url).up_for_s()


@pytest.mark.parametrize(
    ("status", "error"), [(503, Unavailable), (500, Unavailable), (400, Rejected), (404, Rejected)]
)
def test_errors_are_typed(status, error):
    with serving(Answer(status)) as wire:
        manager = Alertmanager(wire.url)
        for call in (manager.alerts, manager.silences, manager.up_for_s, lambda: manager.expire_silence("x")):
            with pytest.raises(error):
                call()
        with pytest.raises(error):
            manager.put_silence(MATCHERS, datetime.now(UTC), datetime.now(UTC), "a", "b")


def test_an_url_that_is_none_and_an_id_that_is_a_path():
    with pytest.raises(Malformed):
        Alertmanager("alertmanager:9093")
    with managing() as fake, pytest.raises(Rejected):
        Alertmanager(fake.url).expire_silence("../status")
    assert fake.calls == ["DELETE silence/..%2Fstatus"]


@pytest.fixture
def real(tmp_path):
    """The real Alertmanager on a free port."""
    if shutil.which("prometheus-alertmanager") is None:
        pytest.skip("prometheus-alertmanager is not installed (Debian: apt-get install prometheus-alertmanager)")
    (tmp_path / "am.yml").write_text("route: {receiver: x}\nreceivers: [{name: x}]\n")
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
    options = ["--config.file=am.yml", "--storage.path=am", "--cluster.listen-address="]
    with (tmp_path / "log").open("w") as log:
        command = ["prometheus-alertmanager", *options, f"--web.listen-address={address}"]
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=tmp_path)
    try:
        _wait_for(f"http://{address}/-/ready")
        yield f"http://{address}"
    finally:
        process.terminate()
        process.wait(10)


def _wait_for(url):
    until = time.monotonic() + 15
    while time.monotonic() < until:
        try:
            http.request("GET", url)
            return
        except SreError:
            time.sleep(0.05)
    raise AssertionError("it did not start in time")


def test_the_real_one(real):
    manager, now = Alertmanager(real), datetime.now(UTC)
    began = now - timedelta(minutes=2)
    labels = {"alertname": "A", "service": "orders"}
    http.request("POST", f"{real}/api/v2/alerts", json=[{"labels": labels, "startsAt": began.isoformat()}])
    [alert] = manager.alerts()
    assert (dict(alert.labels), alert.receivers) == (labels, ("x",))
    assert alert.state in ("active", "unprocessed")
    assert alert.starts_at == began.replace(microsecond=began.microsecond // 1000 * 1000), "cut to milliseconds"
    assert -1 <= manager.up_for_s() < 60, "a Date header has whole seconds"
    key = manager.put_silence(MATCHERS, now, now + HOUR, "ann", "disk")
    [silence] = manager.silences()
    assert (silence.id, silence.created_by, silence.comment) == (key, "ann", "disk")
    assert list(silence.matchers) == MATCHERS
    assert [one.state for one in manager.alerts()] == ["suppressed"]
    assert manager.alerts(silenced=False) == []
    manager.expire_silence(key)
    manager.expire_silence(key)
    assert manager.silences()[0].state == "expired"
    with pytest.raises(Rejected):
        manager.put_silence([MATCHERS[0] | {"value": "(", "isRegex": True}], now, now + HOUR, "ann", "bad")
