"""What machines ask: alive, ready, and in numbers; and the banner for people."""

from time import monotonic

import pytest
from django.test import Client

from sre_platform.engine import heartbeats
from sre_platform.engine.models import Alarm
from sre_platform.intake import tokens
from sre_platform.kernel.clock import now
from sre_platform.web import health
from tests.fakes import door
from tests.fakes.wire import Answer, serving

AWAY = "redis://:hidden-password@127.0.0.1:1/0"


@pytest.fixture
def ask(transactional_db, settings):
    """Asks whether it is ready, as if nobody had lately."""
    settings.SRE_REDIS_URL = AWAY

    def ready(query: str = ""):
        health._known = (float("-inf"), [])
        return Client().get(f"/readyz{query}")

    return ready


def test_healthz_needs_no_database(client):  # this test has none: touching it would raise
    answer = client.get("/healthz")
    assert (answer.status_code, answer.content) == (200, b"ok\n")


def test_readyz_tells_the_parts_apart_and_holds_no_secret(ask):
    heartbeats.beat("beat")
    answer = ask()
    checks = {name: check["ok"] for name, check in answer.json()["checks"].items()}
    assert answer.status_code == 503
    assert checks == {"web": True, "database": True, "broker": False, "beat": True, "workers": False, "sweep": False}
    assert "hidden-password" not in answer.content.decode()
    assert answer.headers["Cache-Control"] == "no-store"


def test_a_probe_that_is_told_no_leaves_no_line_in_the_log(ask, caplog):
    assert ask().status_code == 503
    assert caplog.records == []


def test_a_load_balancer_may_ask_only_for_what_a_webhook_needs(ask):
    assert ask("?only=web,database").status_code == 200
    assert ask("?only=broker").status_code == 503
    assert ask("?only=nothing").status_code == 400


def test_all_well_is_200(ask, settings):
    for kind in ("beat", "worker", "sweep"):
        heartbeats.beat(kind)
    assert ask("?only=web,database,beat,workers,sweep").status_code == 200


def test_readyz_is_bounded_when_the_broker_hangs(ask, settings):
    with serving(Answer()) as silent:
        settings.SRE_REDIS_URL, began = f"redis://{silent.address}/0", monotonic()
        assert ask().json()["checks"]["broker"]["ok"] is not True
    assert monotonic() - began < 3


def test_asking_often_does_not_look_often(ask):
    first = ask().json()
    heartbeats.beat("beat")
    assert Client().get("/readyz").json() == first  # within the second it is the same answer
    assert ask().json() != first


def test_metrics_are_for_those_with_a_token_and_for_staff(web, guest):
    assert Client().get("/metrics").status_code == 401
    assert Client().get("/metrics", headers={"Authorization": "Bearer wrong"}).status_code == 401
    assert guest.get("/metrics").status_code == 401
    sends = {"Authorization": f"Bearer {tokens.issue('alertmanager')}"}
    assert Client().get("/metrics", headers=sends).status_code == 401, "who may send may not read"
    assert web.get("/metrics").status_code == 200
    token = tokens.issue("prometheus", scope="metrics")
    answer = Client().get("/metrics", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200
    assert "sre_pending_deliveries 0.0" in answer.content.decode()


def test_a_webhook_is_counted_by_its_answer(web):
    assert door.send("/hooks/alertmanager", [b"{}"], {}).status_code == 401
    assert 'sre_deliveries_total{answer="401",source="alertmanager"}' in web.get("/metrics").content.decode()


@pytest.mark.parametrize("path", ["/readyz", "/metrics"])
def test_only_reading_is_allowed(path, transactional_db):
    assert Client().post(path).status_code == 405


def test_an_open_alarm_is_a_banner_on_every_page_for_those_signed_in(web):
    Alarm.objects.create(check_name="broker", says="The broker <b>is away</b>.", advice="Start Redis.", since=now())
    for path in ("/", "/tickets/"):
        page = web.get(path).content.decode()
        assert "The broker &lt;b&gt;is away" in page
        assert "Start Redis." in page
    assert "is away" not in Client().get("/login/").content.decode()
    Alarm.objects.update(ended_at=now())
    assert "is away" not in web.get("/").content.decode()
