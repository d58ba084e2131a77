import re
from html import escape

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from sre_platform.diagnosis import store
from sre_platform.diagnosis.domain import Evidence
from sre_platform.diagnosis.models import EvidenceRow
from sre_platform.incidents.domain import Event
from sre_platform.incidents.models import Incident, TimelineEntry
from sre_platform.remediation.models import Step
from sre_platform.tickets.models import LocalTicket
from tests.web import factories

pytestmark = pytest.mark.django_db
WHOLE_STORY = [
    "PaymentsErrors",
    "severity=critical",
    "till.go:57",
    "The catalog names no pprof_url for redis.",
    "0 actions were tried",
    "restart_service leave=running",
    "rollback_release on payments: runs v2 already.",
    "goroutine-leak v1",
    "0.412",
    "&lt; 0.05",
    "not measured",
    '<svg class="spark"',
    "3 samples in a row met all 3 criteria.",
    "closed",
    "to recovery",
]
HOOK_HELP = ["credentials_file", "group_wait: 0s", "manage.py intake_token"]
HTMX = {"headers": {"HX-Request": "true"}}
STORIES = ["opened", "diagnosed", "decided", "acted", "verifying", "resolved", "escalated", "rolled_back"]


def text(client, url: str, **more) -> str:
    answer = client.get(url, **more)
    assert answer.status_code == 200
    return answer.content.decode()


def queries(client, url: str) -> int:
    with CaptureQueriesContext(connection) as seen:
        assert client.get(url).status_code == 200
    return len(seen)


@pytest.mark.parametrize(
    "url",
    [
        "/",
        "/incidents/1/",
        "/incidents/1/live",
        "/incidents/1/stream",
        "/incidents/1/evidence/1/x",
        "/tickets/",
        "/tickets/1/",
    ],
)
def test_reading_needs_a_login(client, url):
    answer = client.get(url)
    assert answer.status_code == 302
    assert answer["Location"].startswith("/login/")


@pytest.mark.parametrize("url", ["/automation", "/incidents/1/decision"])
def test_deciding_needs_a_login_and_the_staff(client, guest, url):
    assert client.post(url)["Location"].startswith("/login/")
    assert guest.post(url).status_code == 403
    assert guest.get(url).status_code == 405


def test_an_empty_list_says_how_to_get_an_incident(web):
    page = text(web, "/")
    assert "/hooks/alertmanager" in page
    assert "make drill" in page


def test_the_list_says_what_broke_where_and_what_was_done(web):
    story = factories.resolved()
    page = text(web, "/")
    for shown in ("resolved", "Payments fail for 12 % of charges", "till.go:57", factories.SAYS, "9.7 s"):
        assert shown in page
    assert reverse("incident", args=[story.incident.pk]) in page


@pytest.mark.parametrize(
    ("show", "expected"), [("", 3), ("active", 1), ("people", 1), ("resolved", 1), ("nonsense", 3)]
)
def test_the_list_can_be_narrowed(web, show, expected):
    factories.resolved(), factories.escalated(), factories.verifying()
    assert text(web, f"/?show={show}").count('class="row-link"') == expected


def test_the_list_is_paged_and_an_absurd_page_number_is_no_error(web):
    for _ in range(51):
        factories.opened()
    assert text(web, "/").count('class="row-link"') == 50
    assert text(web, "/?page=2").count('class="row-link"') == 1
    assert text(web, "/?page=x").count('class="row-link"') == 50


def test_the_list_takes_as_many_queries_for_50_incidents_as_for_one(web):
    factories.resolved()
    one = queries(web, "/")
    for _ in range(49):
        factories.verifying()
    assert queries(web, "/") == one <= 12


def test_a_list_that_has_not_changed_is_not_sent_again(web):
    story = factories.opened()
    seen = web.get("/").context["seen"]
    assert web.get("/", {"seen": seen}, **HTMX).status_code == 204
    story.tell(1, "alert_joined", "Another alert joined.")
    fragment = text(web, f"/?seen={seen}", **HTMX)
    assert "<html" not in fragment
    assert 'id="incidents"' in fragment


@pytest.mark.parametrize("story", STORIES)
@pytest.mark.parametrize("view", ["incident", "incident-live"])
def test_an_incident_is_shown_at_every_stage(web, story, view):
    told = getattr(factories, story)()
    page = text(web, reverse(view, args=[told.incident.pk]))
    assert "Payments fail for 12 % of charges" in page
    assert "record intact" in page


def test_an_incident_shows_the_whole_story(web):
    story = factories.resolved()
    page = text(web, reverse("incident", args=[story.incident.pk]))
    shown = [*factories.FINDING["because"], *factories.FINDING["advice"], factories.SAYS, *WHOLE_STORY]
    missing = [item for item in shown if item not in page and escape(item) not in page]
    assert missing == []


def test_an_incident_takes_as_many_queries_however_long_its_story_is(web):
    short, long = factories.resolved(), factories.resolved()
    for number in range(40):
        long.tell(0.1, "lease_expired", f"Worker {number} went away.")
    for number in range(20):
        seen = {"incident": long.incident, "round": 1, "service": "redis", "collected_at": long.at}
        EvidenceRow.objects.create(collector=f"c{number}", **seen)
        long.sample(0.1, 0.0, 0.1, 1)
    urls = [reverse("incident-live", args=[story.incident.pk]) for story in (short, long)]
    assert queries(web, urls[0]) == queries(web, urls[1]) <= 18


def test_what_speaks_against_a_cause_and_what_would_decide_is_shown(web):
    story = factories.diagnosed()
    row = story.incident.findings.get(rank=1)
    row.content |= {"against": ["The line <b>is</b> in no commit."], "would_decide": ["A third dump."]}
    row.save()
    page = text(web, reverse("incident", args=[story.incident.pk]))
    for shown in (
        "What speaks against it",
        "The line &lt;b&gt;is&lt;/b&gt; in no commit.",
        "What would decide",
        "A third dump.",
    ):
        assert shown in page


def test_a_changed_record_is_noticed(web):
    story = factories.resolved()
    TimelineEntry.objects.filter(incident=story.incident, seq=2).update(reason="It was somebody else.")
    assert "record broken at entry 2" in text(web, reverse("incident", args=[story.incident.pk]))


def test_a_page_listens_only_while_something_may_happen(web):
    live, over = factories.verifying(), factories.resolved()
    assert "sse-connect" in text(web, reverse("incident", args=[live.incident.pk]))
    assert "sse-connect" not in text(web, reverse("incident", args=[over.incident.pk]))
    assert web.get(reverse("incident-live", args=[live.incident.pk]), **HTMX).status_code == 200
    assert web.get(reverse("incident-live", args=[over.incident.pk]), **HTMX).status_code == 286


@pytest.mark.parametrize(("said", "state"), [("approve", "approved"), ("reject", "escalated")])
def test_staff_decide_what_waits_for_a_person(web, said, state):
    story = factories.decided(event=Event.NEEDS_APPROVAL)
    page = text(web, reverse("incident", args=[story.incident.pk]))
    assert 'id="approve"' in page
    assert 'id="reject"' in page
    assert f'name="step" value="{story.step.pk}"' in page
    sent = {"decision": said, "step": story.step.pk}
    answer = web.post(reverse("decision", args=[story.incident.pk]), sent, follow=True)
    assert Incident.objects.get(pk=story.incident.pk).state == state
    assert "ada" in answer.content.decode()
    again = web.post(reverse("decision", args=[story.incident.pk]), sent, follow=True)
    assert "no longer waits" in again.content.decode()


def test_a_page_that_was_left_open_decides_nothing_about_a_later_step(web):
    story = factories.decided(event=Event.NEEDS_APPROVAL)
    page = text(web, reverse("incident", args=[story.incident.pk]))
    [shown] = re.findall(r'name="step" value="(\d+)"', page)
    seen = Step.objects.get(pk=shown)
    Step.objects.filter(pk=seen.pk).update(state=Step.State.UNDONE)
    later = Step.objects.create(
        incident=story.incident, cause=seen.cause, action="other", target=seen.target, says="s", aim={}
    )
    url = reverse("decision", args=[story.incident.pk])
    answer = web.post(url, {"decision": "approve", "step": shown}, follow=True)
    assert "no longer waits" in answer.content.decode()
    assert Incident.objects.get(pk=story.incident.pk).state == "awaiting_approval"
    web.post(url, {"decision": "approve", "step": str(later.pk)})
    assert Incident.objects.get(pk=story.incident.pk).state == "approved"


def test_others_see_what_waits_but_cannot_decide(guest):
    story = factories.decided(event=Event.NEEDS_APPROVAL)
    page = text(guest, reverse("incident", args=[story.incident.pk]))
    assert 'id="approve"' not in page
    assert "Only staff may decide." in page
    assert guest.post(reverse("decision", args=[story.incident.pk]), {"decision": "approve"}).status_code == 403
    assert Incident.objects.get(pk=story.incident.pk).state == "awaiting_approval"


def test_who_approves_sees_exactly_what_would_be_done(web):
    story = factories.decided(event=Event.NEEDS_APPROVAL)
    plan = {"effects": [{"verb": "PATCH", "to": "/apis/<x>", "body": {"replicas": 3}}], "first": [{"says": "Look"}]}
    plan |= {"diff": [{"of": "replicas", "before": 2, "after": 3}]}
    Step.objects.filter(pk=story.step.pk).update(plan=plan)
    page = text(web, reverse("incident", args=[story.incident.pk]))
    assert "PATCH /apis/&lt;x&gt; {&quot;replicas&quot;: 3}" in page
    assert "First: Look" in page
    assert "replicas: <del>2</del> → <ins>3</ins>" in page


def test_what_could_not_be_verified_is_offered_to_be_taken_back_once_by_staff(web, guest):
    story = factories.acted()
    Step.objects.filter(pk=story.step.pk).update(state="kept")
    Incident.objects.filter(pk=story.incident.pk).update(state="escalated", due_at=None)
    url = reverse("take_back", args=[story.incident.pk])
    assert 'id="take-back"' in text(web, reverse("incident", args=[story.incident.pk]))
    assert 'id="take-back"' not in text(guest, reverse("incident", args=[story.incident.pk]))
    assert guest.post(url).status_code == 403
    assert "It is being taken back now." in web.post(url, follow=True).content.decode()
    assert Incident.objects.get(pk=story.incident.pk).state == "unhealthy"
    assert "There is nothing to take back" in web.post(url, follow=True).content.decode()


@pytest.mark.parametrize("said", ["approve", "reject"])
def test_nobody_decides_on_an_old_page_about_what_took_its_place(web, said):
    story = factories.decided(event=Event.NEEDS_APPROVAL)
    due_at = Incident.objects.get(pk=story.incident.pk).due_at
    url = reverse("decision", args=[story.incident.pk])
    answer = web.post(url, {"decision": said, "step": story.step.pk + 1}, follow=True)
    assert "no longer waits" in answer.content.decode()
    left = Incident.objects.get(pk=story.incident.pk)
    assert (left.state, left.due_at, left.claimed_by) == ("awaiting_approval", due_at, "")
    assert web.post(url, {"decision": said, "step": story.step.pk}).status_code == 302


def test_a_decision_has_to_be_one_of_two_words_about_what_was_shown(web):
    story = factories.decided(event=Event.NEEDS_APPROVAL)
    url = reverse("decision", args=[story.incident.pk])
    for sent in (
        {"decision": "perhaps", "step": 1},
        {"decision": "approve"},
        {"decision": "approve", "step": "9" * 30},
    ):
        assert web.post(url, sent).status_code == 400


def test_raw_evidence_is_plain_text_whatever_it_holds(web):
    row = _evidence("<script>alert(1)</script>")
    answer = web.get(reverse("evidence", args=[row.incident_id, row.pk, "earlier/goroutine"]))
    assert answer.content == b"<script>alert(1)</script>"
    assert answer["Content-Type"] == "text/plain; charset=utf-8"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Content-Disposition"].startswith('inline; filename="incident-')
    download = web.get(reverse("evidence", args=[row.incident_id, row.pk, "earlier/goroutine"]), {"download": ""})
    assert download["Content-Disposition"].startswith("attachment")


def test_a_profile_comes_as_the_file_that_go_tool_pprof_reads(web):
    row = _evidence("x")
    answer = web.get(reverse("evidence", args=[row.incident_id, row.pk, "heap"]))
    assert (answer.content, answer["Content-Type"]) == (b"\x1f\x8b<b>", "application/octet-stream")
    assert answer["Content-Disposition"].startswith("attachment; filename=")
    assert answer["Content-Disposition"].endswith('heap.pb.gz"')
    assert answer["X-Content-Type-Options"] == "nosniff"


def test_each_replica_that_was_looked_at_is_named(web):
    story = factories.opened()
    looks = [Evidence("go_profiles", "payments", story.at, {"x": 1}, replica=name) for name in ("pay-1", "pay-2")]
    store.keep(story.incident.pk, 1, store.pack(looks))
    page = text(web, reverse("incident", args=[story.incident.pk]))
    assert "go profiles of pay-1" in page
    assert "go profiles of pay-2" in page


def test_raw_evidence_belongs_to_its_incident(web):
    row, other = _evidence("x"), factories.opened()
    assert web.get(reverse("evidence", args=[row.incident_id, row.pk, "nothing"])).status_code == 404
    assert web.get(reverse("evidence", args=[other.incident.pk, row.pk, "earlier/goroutine"])).status_code == 404


def _evidence(content: str) -> EvidenceRow:
    story = factories.opened()
    seen = Evidence(
        "go_profiles", 'a"b\r\nc', story.at, texts={"earlier/goroutine": content}, profiles={"heap": b"\x1f\x8b<b>"}
    )
    store.keep(story.incident.pk, 1, store.pack([seen]))
    return EvidenceRow.objects.get(incident=story.incident)


EVIL = "<script>alert(1)</script>"


def test_nothing_that_came_in_becomes_markup(web):
    story = factories.diagnosed(title=EVIL, labels={"evil": EVIL}, annotations={"summary": EVIL, "description": EVIL})
    story.tell(0, "stage_failed", EVIL)
    EvidenceRow.objects.create(
        incident=story.incident,
        round=1,
        collector=EVIL,
        service=EVIL,
        collected_at=story.at,
        data={EVIL: [{EVIL: EVIL}]},
        missing=EVIL,
    )
    ticket = factories.filed(story, closed=False)
    LocalTicket.objects.filter(pk=ticket.pk).update(
        body=f"**{EVIL}** `{EVIL}` https://a.b/{EVIL} [x](javascript:alert)\n- {EVIL}"
    )
    for url in ("/", reverse("incident", args=[story.incident.pk]), "/tickets/", reverse("ticket", args=[ticket.pk])):
        page = text(web, url)
        assert EVIL not in page
        assert escape(EVIL) in page
        assert 'href="javascript' not in page


def test_tickets_are_listed_and_shown(web):
    ticket = factories.filed(factories.resolved(ticket=False), closed=True)
    assert ticket.title in text(web, "/tickets/")
    page = text(web, reverse("ticket", args=[ticket.pk]))
    for shown in ("<h2>Cause</h2>", "<code>chan_send_no_receiver</code>", "The incident is resolved.", "Incident #"):
        assert shown in page


def test_no_tickets_is_said(web):
    assert "No tickets yet" in text(web, "/tickets/")


def test_the_hook_explains_itself_to_everybody(client, settings):
    page = text(client, "/hooks/alertmanager")
    limit = str(settings.SRE_MAX_WEBHOOK_BYTES)
    answers = ["202", "400", "401", "413", limit, "service"]
    for shown in ("http://testserver/hooks/alertmanager", "send_resolved: true", *HOOK_HELP, *answers):
        assert shown in page


def test_signing_in_leads_to_the_incidents(client, staff):
    assert "autofocus" in text(client, "/login/")
    wrong = client.post("/login/", {"username": "ada", "password": "wrong"})
    assert "do not match" in wrong.content.decode()
    right = client.post("/login/", {"username": "ada", "password": "a long password"})
    assert right["Location"] == "/"


@pytest.mark.parametrize("url", ["/nothing/", "/incidents/999/", "/tickets/999/"])
def test_what_is_not_there_is_said_in_our_own_words(web, url):
    answer = web.get(url)
    assert answer.status_code == 404
    assert "There is nothing here" in answer.content.decode()


@pytest.mark.parametrize("url", ["/", "/login/", "/tickets/", "/hooks/alertmanager", "/nothing/", "/admin/"])
def test_every_page_has_the_policy_and_nothing_inline(web, url):
    answer = web.get(url)
    page = answer.content.decode()
    assert "default-src 'none'" in answer["Content-Security-Policy"]
    assert "unsafe" not in answer["Content-Security-Policy"]
    assert " style=" not in page
    assert "<style" not in page
    assert " onclick=" not in page


@pytest.mark.parametrize("url", ["/", "/login/", "/tickets/", "/hooks/alertmanager"])
def test_every_page_has_its_landmarks(web, url):
    page = text(web, url)
    for part in ('<html lang="en">', 'class="skip" href="#main"', '<main id="main"', "<h1", "viewport"):
        assert part in page
