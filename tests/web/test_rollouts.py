"""The pages about roll-outs, and the hook that begins one."""

import json
from html import escape

import pytest
from django.test import Client
from django.urls import reverse

from sre_platform.clients.traffic import Weights
from sre_platform.intake import tokens
from sre_platform.rollouts import record, walk
from sre_platform.rollouts.models import Rollout, RolloutEvent
from sre_platform.rollouts.walk import State
from tests.rollouts.scene import install, scene
from tests.web.test_pages import HTMX, queries, text

pytestmark = pytest.mark.django_db
EVIL = "<script>alert(1)</script>"
CHECK = {"name": "p99_rise", "baseline": 100.0, "canary": 130.0, "limit": 0.15, "verdict": "fail", "reason": "Slower."}


def rollout(state=State.ANALYSING, events=3, **fields) -> Rollout:
    row = record.start("payments", ("v1", fields.pop("canary", "v2")), "envoy", walk.plan(), 60.0, "ann", "")
    for weight in range(events):
        data = {"weights": Weights(weight).as_json()}
        RolloutEvent.objects.create(rollout=row, at=row.started_at, name="weights_set", reason=f"{weight} %", data=data)
    ended = row.started_at if state in walk.ENDED else None
    known = {"state": state, "ended_at": ended, "actual": Weights(5).as_json(), "judgement": {"checks": [CHECK]}}
    Rollout.objects.filter(pk=row.pk).update(**known | fields)
    row.refresh_from_db()
    return row


def page(row):
    return reverse("rollout", args=[row.pk])


@pytest.mark.parametrize("url", ["/rollouts/", "/rollouts/1/"])
def test_reading_needs_a_login(client, url):
    assert client.get(url)["Location"].startswith("/login/")


def test_an_empty_list_says_how_to_begin_one(web):
    shown = text(web, "/rollouts/")
    assert "manage.py rollout start" in shown
    assert "/hooks/rollouts" in shown


def test_the_list_takes_as_many_queries_for_many_as_for_one(web):
    rollout(State.PROMOTED)
    one = queries(web, "/rollouts/")
    for _ in range(20):
        rollout(State.ROLLED_BACK)
    assert queries(web, "/rollouts/") == one <= 6
    assert text(web, "/rollouts/").count('class="row-link"') == 21


def test_one_is_shown_with_its_course_its_checks_and_what_happened(web):
    shown = text(web, page(rollout()))
    for part in (
        "payments v1 → v2",
        "p99_rise",
        "130.0 ms",
        "+15%",
        "Slower.",
        "<polyline",
        "2 % from 0 s",
        "analysing",
    ):
        assert part in shown
    assert " style=" not in shown


def test_a_decision_keeps_its_numbers_however_much_is_measured_after_it(web):
    row = rollout()
    numbers = {"checks": [CHECK | {"canary": 987.6}]}
    RolloutEvent.objects.create(
        rollout=row, at=row.started_at, name="walking", reason="It passes.", data={"numbers": numbers}
    )
    shown = text(web, page(row))
    assert "The numbers of this decision" in shown
    assert "987.6 ms" in shown


def test_one_takes_as_many_queries_however_much_has_happened(web):
    few, many = rollout(State.PROMOTED, events=1), rollout(State.PROMOTED, events=60)
    assert queries(web, page(few)) == queries(web, page(many)) <= 8


@pytest.mark.parametrize("state", State)
def test_every_state_has_its_page(web, state):
    assert f"{state.value.replace('_', ' ')}</span>" in text(web, page(rollout(state)))


def test_a_page_asks_again_only_until_it_has_ended(web):
    going, ended = rollout(), None
    assert 'hx-trigger="every 2s"' in text(web, page(going))
    assert text(web, page(going), **HTMX).lstrip().startswith("<article")
    Rollout.objects.update(state=State.ABORTED, ended_at=going.started_at)
    ended = rollout(State.PROMOTED)
    assert "hx-trigger" not in text(web, page(ended))
    assert web.get(page(ended), **HTMX).status_code == 286


@pytest.mark.parametrize("said", ["abort", "go_on", "promote"])
def test_staff_decide(web, said):
    row = rollout()
    answer = web.post(f"{page(row)}decision", {"decision": said})
    row.refresh_from_db()
    assert (answer["Location"], row.wish, row.wish_by) == (page(row), said, "ada")


def test_others_see_it_but_cannot_decide(guest):
    row = rollout()
    assert 'name="decision"' not in text(guest, page(row))
    assert guest.post(f"{page(row)}decision", {"decision": "promote"}).status_code == 403
    row.refresh_from_db()
    assert row.wish == ""


def test_what_has_ended_or_is_unclear_changes_nothing(web):
    row = rollout(State.PROMOTED)
    assert 'name="decision"' not in text(web, page(row))
    assert web.post(f"{page(row)}decision", {"decision": "abort"}, follow=True).status_code == 200
    assert web.post(f"{page(row)}decision", {"decision": "?"}).status_code == 400
    assert web.post("/rollouts/999/decision", {"decision": "abort"}).status_code == 404
    row.refresh_from_db()
    assert (row.wish, row.state) == ("", State.PROMOTED)


def test_a_forged_form_is_refused(staff):
    row, client = rollout(), Client(enforce_csrf_checks=True)
    client.force_login(staff)
    assert client.post(f"{page(row)}decision", {"decision": "promote"}).status_code == 403
    row.refresh_from_db()
    assert row.wish == ""


def test_nothing_that_came_in_becomes_markup(web):
    row = rollout(canary=EVIL, reason=EVIL, judgement={"checks": [CHECK | {"name": EVIL, "reason": EVIL}]})
    for shown in (text(web, page(row)), text(web, "/rollouts/")):
        assert EVIL not in shown
        assert escape(EVIL) in shown


@pytest.fixture
def it(tmp_path, settings):
    with scene(tmp_path) as there:
        settings.SRE_SUPERVISOR_URL = there.supervisor.url
        install(there)
        yield there


def post(body, token=None, **headers):
    token = tokens.issue("pipeline") if token is None else token
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"authorization": f"Bearer {token}"} | headers
    return Client(enforce_csrf_checks=True).post(
        "/hooks/rollouts", content, content_type="application/json", headers=headers
    )


def test_a_pipeline_begins_a_roll_out(it):
    answer = post({"service": "payments", "release": "v2", "steps": [10, 100], "step_s": 30, "by": "CI"})
    row = Rollout.objects.get()
    assert (answer.status_code, answer.json()) == (202, {"rollout": row.pk})
    assert (row.service, row.baseline, row.canary, row.step_s, row.started_by) == ("payments", "v1", "v2", 30.0, "CI")
    assert [step["weight"] for step in row.steps] == [10, 100]


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        (b"\xff", 400, "In the roll-out, body: "),
        ({"service": "payments"}, 400, "In the roll-out, release: required."),
        ({"service": "payments", "release": "v2", "steps": [50, 20]}, 400, "have to rise"),
        ({"service": "payments", "release": "v2", "steps": [1] * 99}, 400, "In the roll-out, steps: "),
        ({"service": "payments", "release": "v2", "step_s": 0}, 409, "A step takes from 5 to"),
        (b'{"service": "payments", "release": "v2", "step_s": NaN}', 400, "In the roll-out, "),
        ({"service": "payments", "release": "v2", "label": "cookie"}, 400, "by header or by region"),
        ({"service": "payments", "release": "v9"}, 409, "no release 'v9'"),
        ({"service": "payments", "release": "v1"}, 409, "runs v1 already"),
        ({"service": "nobody", "release": "v1"}, 409, "knows no service"),
        ({"service": "payments", "release": "v2", "force": True}, 400, "extra inputs are not permitted"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_sentence(it, body, status, says):
    answer = post(body)
    assert answer.status_code == status
    assert says in answer.json()["error"]
    assert not Rollout.objects.exists()


def test_only_those_with_a_token_for_it_may_begin_one(it):
    body = {"service": "payments", "release": "v2"}
    assert post(body, "wrong").status_code == 401
    assert post(body, tokens.issue("reporter", source=tokens.CHANGES)).status_code == 403
    assert post(body, tokens.issue("walker", source=tokens.ROLLOUTS)).status_code == 202
    assert Client().get("/hooks/rollouts").status_code == 405
    assert Rollout.objects.count() == 1
