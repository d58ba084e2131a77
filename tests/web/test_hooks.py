import asyncio
import hmac
import json
import socket
import time
from datetime import UTC, datetime

import pytest
from asgiref.sync import sync_to_async
from django.db import connection, transaction
from django.test import Client

from sre_platform.catalog.models import Change
from sre_platform.celery import app
from sre_platform.engine import tasks
from sre_platform.intake import tokens
from sre_platform.intake.models import Delivery
from sre_platform.web.writer import commit_for_good
from tests.fakes import door
from tests.fakes.alertmanager import alert, body

ALERTS, CHANGES = "/hooks/alertmanager", "/hooks/changes"
CHANGE = {"service": "payments", "at": "2026-11-21T12:00:00Z", "before": "v1", "after": "v2", "by": "ann"}
LIMIT = 10_000


@pytest.fixture
def broker(monkeypatch):
    """Makes another broker the one that bells are rung at."""

    def use(url):
        monkeypatch.setenv("CELERY_BROKER_URL", url)
        app._after_fork()  # forgets the connections to the one before

    yield use
    app._after_fork()


@pytest.fixture
def bells(broker):
    """The bells rung since it was last asked: the task's name and its arguments. Kombu's memory is the broker."""
    broker("memory://")

    def rung():
        with app.connection_for_read() as there, there.SimpleQueue("celery") as queue:
            messages = [queue.get_nowait() for _ in range(len(queue))]
        return [(message.headers["task"].rpartition(".")[2], *message.payload[0]) for message in messages]

    rung()
    return rung


@pytest.fixture
def token(transactional_db, settings):
    settings.SRE_MAX_WEBHOOK_BYTES = settings.DATA_UPLOAD_MAX_MEMORY_SIZE = LIMIT
    return tokens.issue("tests")


@pytest.fixture
def post(token, bells):
    """Posts with a valid token, unless another header is given; as a sender without cookies does."""
    client = Client(enforce_csrf_checks=True, raise_request_exception=False)

    def send(path, content, **headers):
        content = content if isinstance(content, bytes) else json.dumps(content).encode()
        headers = {"authorization": f"Bearer {token}"} | headers
        if path == CHANGES:
            return client.post(path, content, content_type="application/json", headers=headers)
        return door.send(path, [content], headers)

    return send


def eventually(rung, within_s=5):
    """What was rung, as soon as something was: the bell has a thread of its own."""
    until = time.monotonic() + within_s
    while not (found := rung()) and time.monotonic() < until:
        time.sleep(0.01)
    return found


def error(response):
    assert list(response.json()) == ["error"]
    sentence = response.json()["error"]
    assert sentence.endswith(".")
    return sentence


def test_a_good_webhook_is_stored_then_rung_for_and_accepted(post, bells):
    text = body(alert())
    answer = post(ALERTS, text)
    stored = Delivery.objects.get()
    assert (answer.status_code, answer.json()) == (202, {"delivery": stored.pk})
    assert (bytes(stored.body), stored.state) == (text, "pending")
    assert eventually(bells) == [("digest",)]


def test_what_cannot_be_stored_is_not_accepted_and_nobody_is_rung_for_it(post, bells):
    with connection.schema_editor() as schema:
        schema.alter_db_table(Delivery, "intake_delivery", "away")
    try:
        answer = post(ALERTS, body(alert()))
    finally:
        with connection.schema_editor() as schema:
            schema.alter_db_table(Delivery, "away", "intake_delivery")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert error(answer) == "The database did not take it. Send it again in 2 s."
    assert not Delivery.objects.exists()
    assert bells() == []


def test_a_connection_that_broke_costs_one_answer_and_no_more(post):
    def broken():
        connection.ensure_connection()
        connection.connection.close()  # as when the server dies

    asyncio.run(sync_to_async(broken)())  # in the thread that the door asks for senders in
    tokens.forget()
    first = post(ALERTS, body(alert()))
    assert (first.status_code, first.headers["retry-after"]) == (503, "2")
    assert error(first) == "The database does not answer. Send it again in 2 s."
    assert post(ALERTS, body(alert())).status_code == 202


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL's commits are for good anyway")
def test_on_sqlite_what_is_acknowledged_survives_a_power_cut(transactional_db):
    connection.close()
    commit_for_good()
    with connection.cursor() as cursor:
        [full] = cursor.execute("PRAGMA synchronous").fetchone()
    connection.close()
    assert full == 2


def test_who_is_far_behind_says_when_to_come_back(post, settings):
    settings.SRE_MAX_PENDING = 2
    answers = [post(ALERTS, body(alert(str(n)))) for n in range(3)]
    assert [answer.status_code for answer in answers] == [202, 202, 503]
    assert error(answers[2]) == "2 webhooks wait to be digested already. Send it again in 2 s."
    assert Delivery.objects.count() == 2


def test_senders_at_once_share_a_commit_and_each_is_told_of_its_own(token):
    bodies = [body(alert(str(n))) if n % 3 else b"{" for n in range(30)]
    answers, commits = door.send_at_once(ALERTS, bodies, {"authorization": f"Bearer {token}"})
    assert [answer.status_code for answer in answers] == [202 if n % 3 else 400 for n in range(30)]
    stored = {row.pk: bytes(row.body) for row in Delivery.objects.filter(state="pending")}
    for content, answer in zip(bodies, answers, strict=True):
        assert answer.status_code == 400 or stored[answer.json()["delivery"]] == content
    assert commits < 15


def test_nobody_is_rung_before_the_transaction_commits(token, bells):
    with transaction.atomic():
        tasks.ring(tasks.advance, 7)
        assert bells() == []
    assert bells() == [("advance", 7)]


@pytest.mark.parametrize(
    ("terms", "allowed"),
    [
        ({"source": "alertmanager"}, [ALERTS]),
        ({"source": "changes"}, [CHANGES]),
        ({"source": "grafana"}, []),
        ({"scope": "metrics"}, []),
        ({}, [ALERTS, CHANGES]),
    ],
)
def test_a_token_opens_only_the_doors_it_is_for(post, terms, allowed):
    bearer = {"authorization": f"Bearer {tokens.issue('other', **terms)}"}
    for path, content in ((ALERTS, body()), (CHANGES, CHANGE)):
        answer = post(path, content, **bearer)
        assert answer.status_code == (202 if path in allowed else 403)
        if path not in allowed:
            assert error(answer) == f"The token of other is not for {path.rpartition('/')[2]}."
    assert (Delivery.objects.count(), Change.objects.count()) == (ALERTS in allowed, CHANGES in allowed)


def test_a_sender_that_has_to_sign_is_refused_without_its_signature(post, monkeypatch):
    bearer = {"authorization": f"Bearer {tokens.issue('signer', hmac_secret_ref='env:SIGNERS_SECRET')}"}
    text, other = body(alert()), body(alert("Other"))
    monkeypatch.setenv("SIGNERS_SECRET", "a secret")
    good = hmac.new(b"a secret", text, "sha256").hexdigest()
    assert post(ALERTS, text, **bearer, x_hub_signature_256=f"sha256={good}").status_code == 202
    for content, headers in ((text, {}), (other, {"x_hub_signature_256": good}), (text, {"x_signature": good})):
        answer = post(ALERTS, content, **bearer, **headers)
        assert answer.status_code == 401
        assert error(answer) == "The body's signature in X-Hub-Signature-256 is missing or wrong."
    monkeypatch.delenv("SIGNERS_SECRET")
    unread = post(ALERTS, text, **bearer, x_hub_signature_256=good)
    assert (unread.status_code, unread.headers["retry-after"]) == (503, "2")
    assert "env:SIGNERS_SECRET is empty or cannot be read" in error(unread)
    assert Delivery.objects.count() == 1


@pytest.mark.parametrize("path", [ALERTS, CHANGES])
@pytest.mark.parametrize("authorization", ["", "Bearer wrong", "Basic dXNlcjpwYXNz", "{token}", "Bearer {token}x"])
def test_without_a_valid_token_nothing_is_stored(post, token, path, authorization):
    answer = post(path, body(alert()), authorization=authorization.format(token=token))
    assert answer.status_code == 401
    assert "Bearer realm=" in (answer.headers.get("WWW-Authenticate") or answer.headers["www-authenticate"])
    assert "manage.py intake_token" in error(answer)
    assert not Delivery.objects.exists()
    assert not Change.objects.exists()


def test_a_revoked_token_and_a_replaced_one_are_refused(post, token):
    assert post(CHANGES, CHANGE).status_code == 202
    tokens.revoke("tests")
    assert post(ALERTS, body()).status_code == 401
    fresh = tokens.issue("tests")
    assert post(ALERTS, body()).status_code == 401
    assert post(ALERTS, body(), authorization=f"Bearer {fresh}").status_code == 202
    assert Delivery.objects.count() == 1


def test_a_malformed_body_is_refused_in_one_sentence_and_kept_in_part(post, bells):
    answer = post(ALERTS, b'{"version": "3"' + b" " * 9000 + b"}")
    assert answer.status_code == 400
    assert error(answer).startswith('The body\'s version is "3"; this endpoint takes')
    stored = Delivery.objects.get()
    assert (stored.state, stored.fate, len(stored.body)) == ("rejected", error(answer), 4096)
    assert bells() == []


@pytest.mark.parametrize("name", ["alertname" * 900, "\u0000" * 1000])
def test_the_reason_for_a_refusal_stays_short_whatever_the_sender_wrote(post, name):
    answer = post(ALERTS, body(alert(annotations={name: 5})))
    assert answer.status_code == 400
    fate = Delivery.objects.get().fate
    assert len(fate) < 300
    assert "\0" not in fate


@pytest.mark.parametrize(("size", "status"), [(LIMIT, 400), (LIMIT + 1, 413)])
@pytest.mark.parametrize("path", [ALERTS, CHANGES])
def test_a_body_over_the_limit_is_refused(post, path, size, status):
    answer = post(path, b"x" * size)
    assert answer.status_code == status
    if status == 413:
        assert error(answer) == f"The body is larger than {LIMIT} bytes."
        assert not Delivery.objects.exists()


def test_a_chunked_body_that_does_not_say_its_size_is_held_to_the_limit_too(token):
    def chunked(size):
        headers = {"authorization": f"Bearer {token}", "transfer-encoding": "chunked"}
        return door.send(ALERTS, [b"x" * 1000] * (size // 1000) + [b"x" * (size % 1000)], headers).status_code

    assert [chunked(LIMIT), chunked(LIMIT + 1), chunked(LIMIT * 100)] == [400, 413, 413]


@pytest.mark.parametrize("encoding", ["gzip", "br", "identity, gzip"])
def test_a_compressed_body_is_refused(post, encoding):
    answer = post(ALERTS, body(), content_encoding=encoding)
    assert (answer.status_code, error(answer)) == (400, "The body must not be compressed.")


@pytest.mark.parametrize(
    ("path", "method", "allowed"),
    [(ALERTS, "put", "GET, POST"), (ALERTS, "delete", "GET, POST"), (CHANGES, "get", "POST"), (CHANGES, "put", "POST")],
)
def test_other_methods_are_refused(client, path, method, allowed):
    answer = getattr(client, method)(path)
    assert (answer.status_code, answer.headers["Allow"]) == (405, allowed)
    assert error(answer).startswith("Use POST ")


def test_get_explains_how_to_connect_without_signing_in(client, db):
    page = client.get(ALERTS)
    assert page.status_code == 200
    for said in ("http://testserver/hooks/alertmanager", "send_resolved: true", "manage.py intake_token", "1048576"):
        assert said in page.text


def test_a_broker_that_is_away_costs_little_time_and_never_the_webhook(post, broker):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # and never listens
        broker(f"redis://127.0.0.1:{closed.getsockname()[1]}/0")
        began = time.monotonic()
        answers = [post(ALERTS, body(alert(str(n)))).status_code for n in range(3)]
    assert answers == [202, 202, 202]
    assert time.monotonic() - began < 2
    assert Delivery.objects.filter(state="pending").count() == 3, "the sweep will ring for them"


def test_a_change_is_stored_once_however_often_it_is_reported(post):
    answers = [post(CHANGES, CHANGE | more) for more in ({}, {}, {"by": "bob"}, {"at": "2026-11-21T13:00:00+01:00"})]
    [row] = Change.objects.all()
    assert [(answer.status_code, answer.json()) for answer in answers] == [(202, {"change": row.pk})] * 4
    assert (row.service, row.kind, row.before, row.after, row.by) == ("payments", "deploy", "v1", "v2", "ann")
    assert row.at == datetime(2026, 11, 21, 12, tzinfo=UTC)
    assert post(CHANGES, CHANGE | {"after": "v3"}).json() != {"change": row.pk}


def test_a_change_with_characters_that_postgresql_refuses_is_stored_with_others(post):
    assert post(CHANGES, CHANGE | {"after": "v2\0"}).status_code == 202
    assert Change.objects.get().after == "v2\ufffd"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (b"", "In the change, body: "),
        (b"\xff", "In the change, body: "),
        (b"[" * 9000, "In the change, body: "),
        ([], "In the change, body: "),
        ({}, "In the change, service: required."),
        (CHANGE | {"service": ""}, "In the change, service: "),
        (CHANGE | {"service": "s" * 101}, "In the change, service: "),
        (CHANGE | {"at": "2026-11-21T12:00:00"}, "In the change, at: input should have timezone info."),
        (CHANGE | {"at": "0001-01-01T00:00:00+05:00"}, "In the change, at: "),
        (CHANGE | {"at": "9999-12-31T23:59:59-05:00"}, "In the change, at: "),
        (CHANGE | {"at": 1e300}, "In the change, at: "),
        (CHANGE | {"after": None}, "In the change, after: "),
        (CHANGE | {"release": "v2"}, "In the change, release: extra inputs are not permitted."),
        (CHANGE | {"x" * 9000: 1}, "In the change, xxxx"),
    ],
)
def test_a_bad_change_is_refused_in_one_sentence(post, change, said):
    answer = post(CHANGES, change)
    assert answer.status_code == 400
    assert error(answer).startswith(said)
    assert len(error(answer)) < 300
    assert not Change.objects.exists()
