"""Filed once, delivered once, whatever dies or is down in between; both systems behave the same."""

import json
from datetime import timedelta

import pytest
from django.core import serializers
from django.db import connection

from sre_platform.incidents.models import TimelineEntry
from sre_platform.kernel.clock import now
from sre_platform.tickets import desk
from sre_platform.tickets.domain import Draft
from sre_platform.tickets.models import LocalComment, LocalTicket, Ticket
from tests.fakes.github import REPO, TOKEN, github
from tests.fakes.leases import Died, incident
from tests.tickets.test_domain import FACTS

pytestmark = pytest.mark.django_db
DRAFT = Draft("sre-incident-7", "[escalated] It fails", "body", ["sre-platform", "leak"])


@pytest.fixture
def hub(monkeypatch, settings):
    settings.SRE_TICKET_SYSTEMS = ["github_issues"]
    monkeypatch.setenv("SRE_GITHUB_REPO", REPO)
    monkeypatch.setenv("SRE_GITHUB_TOKEN", TOKEN)
    with github() as fake:
        monkeypatch.setenv("SRE_GITHUB_API", fake.url)
        yield fake


def filed(state="escalated", done=False, about=None):
    about = about or incident()
    desk.file(about.pk, FACTS | {"state": state, "reason": f"It is {state}."}, ["sre-platform", "leak"], done=done)
    return Ticket.objects.get(incident=about)


def deliver(ticket):
    Ticket.objects.filter(pk=ticket.pk, due_at__isnull=False).update(due_at=now())
    desk.deliver(ticket.pk)
    ticket.refresh_from_db()
    return ticket


def test_systems_are_registered():
    assert desk.SYSTEMS.names() == ["github_issues", "local"]


@pytest.fixture(params=["github_issues", "local"])
def system(request, hub):
    """Each system, with a way to see what it holds: tickets as (title, closed, comments)."""

    def github_holds():
        return [(i["title"], i["state"] == "closed", len(hub.comments.get(i["number"], []))) for i in hub.issues]

    def local_holds():
        return [(row.title, row.closed, row.comments.count()) for row in LocalTicket.objects.all()]

    return desk.SYSTEMS.get(request.param), github_holds if request.param == "github_issues" else local_holds


def test_every_call_is_idempotent_by_key(system):
    it, holds = system
    first = it.open(DRAFT)
    assert it.open(DRAFT) == first
    assert it.open(Draft("sre-incident-70", "another", "body", ())) != first
    for _ in range(2):
        it.comment(first[0], "k1", "closing words")
    it.comment(first[0], "k2", "other words")
    for _ in range(2):
        it.close(first[0])
    assert holds()[-1 if it.name == "local" else 0] == ("[escalated] It fails", True, 2)
    assert it.open(DRAFT) == first  # also one that is closed
    for _ in range(2):
        it.reopen(first[0])
    assert holds()[-1 if it.name == "local" else 0] == ("[escalated] It fails", False, 2)
    assert len(holds()) == 2


def test_a_comment_is_found_on_a_later_page(hub):
    it = desk.SYSTEMS.get("github_issues")
    number, _ = it.open(DRAFT)
    it.comment(number, "k1", "ours")
    hub.comments[int(number)][:0] = ["chatter"] * 230
    it.comment(number, "k1", "ours")
    assert len(hub.comments[int(number)]) == 231
    hub.comments[int(number)] = ["chatter"] * 200  # ends with a page that is full
    it.comment(number, "k1", "ours")
    assert hub.comments[int(number)][-1] == "ours\n\n<!-- k1 -->"


def test_filing_is_a_row_and_filing_again_is_the_same_row(hub):
    about = incident()
    first, again = filed(about=about), filed(about=about)
    assert first.pk == again.pk
    assert (first.key, first.title) == (f"sre-incident-{about.pk}", "[escalated] Users see errors")
    assert (first.wanted, first.actual, first.closing) == ("open", "none", "")
    assert (again.closing, hub.calls) == ("The incident is escalated. It is escalated.", [])


def test_delivering_opens_the_ticket_and_notes_it_in_the_timeline(hub):
    ticket = deliver(filed())
    assert (ticket.actual, ticket.reference, ticket.due_at) == ("open", "1", None)
    assert ticket.url == f"https://github.test/{REPO}/issues/1"
    assert hub.issues[0]["labels"] == ["sre-platform", "leak", ticket.key]
    entry = TimelineEntry.objects.get()
    assert (entry.name, entry.data["reference"]) == ("ticket_opened", "1")


def test_a_repair_is_told_and_closed_with_the_reason(hub):
    ticket = deliver(filed("resolved", done=True))
    assert (ticket.wanted, ticket.actual, hub.issues[0]["state"]) == ("closed", "closed", "closed")
    assert hub.issues[0]["state_reason"] == "completed"
    [comment] = hub.comments[1]
    assert comment.startswith("The incident is resolved. It is resolved.")


def test_everything_new_is_told_once(hub):
    about = incident()
    ticket = deliver(filed("awaiting approval", about=about))
    deliver(filed("awaiting approval", about=about))  # asked a second time, for the next action
    deliver(filed("escalated", about=about))
    deliver(filed("escalated", about=about))
    assert [text.partition(".")[0] for text in hub.comments[1]] == [
        "The incident is awaiting approval",
        "The incident is escalated",
    ]
    assert deliver(ticket).due_at is None


def test_what_is_filed_during_a_delivery_is_not_forgotten(hub):
    about = incident()
    ticket = filed("awaiting approval", about=about)
    filed("awaiting approval", about=about)

    def also_file(execute, sql, params, many, context):
        done = execute(sql, params, many, context)
        if "ticket_opened" in str(params) and not hub.comments:
            hub.comments[0] = []
            filed("escalated", about=about)
        return done

    with connection.execute_wrapper(also_file):
        deliver(ticket)
    assert ticket.due_at is not None
    deliver(ticket)
    assert "The incident is escalated" in hub.comments[1][-1]


@pytest.mark.parametrize("statement", ['UPDATE "tickets_ticket" SET "actual"', 'INSERT INTO "incidents_timelineentry"'])
def test_who_dies_between_the_call_and_its_note_opens_no_second_ticket(hub, statement):
    ticket = filed()

    def die(execute, sql, *rest):
        if sql.startswith(statement):
            raise Died
        return execute(sql, *rest)

    with pytest.raises(Died), connection.execute_wrapper(die):
        deliver(ticket)
    assert len(hub.issues) == 1
    assert deliver(ticket).actual == "open"
    assert (len(hub.issues), ticket.reference) == (1, "1")


@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_an_answer_that_got_lost_is_not_repeated(hub, method):
    hub.die_after = {method}
    ticket = deliver(filed("resolved", done=True))
    assert "502" in ticket.trouble
    assert deliver(ticket).actual == "closed"
    assert (len(hub.issues), len(hub.comments[1]), ticket.trouble) == (1, 1, "")


def test_only_one_of_two_couriers_delivers(hub):
    ticket = filed()
    Ticket.objects.filter(pk=ticket.pk).update(due_at=now() + timedelta(seconds=9))
    desk.deliver(ticket.pk)
    assert (hub.calls, desk.due(10)) == ([], [])


def test_a_system_that_is_down_is_tried_again_later_and_later(hub):
    ticket, waits = filed(), []
    for status in (500, 503, 429, 502, 500):
        hub.fail = [status]
        deliver(ticket)
        waits.append(round((ticket.due_at - now()).total_seconds()))
        assert f"answered {status}" in ticket.trouble
    assert (waits, ticket.attempts) == ([5, 15, 60, 300, 300], 5)
    assert (deliver(ticket).actual, ticket.trouble) == ("open", "")


def test_nobody_there_is_trouble_and_not_the_end(hub, monkeypatch):
    monkeypatch.setenv("SRE_GITHUB_API", "http://127.0.0.1:1")
    ticket = deliver(filed())
    assert "refused" in ticket.trouble
    assert ticket.due_at is not None


def test_a_wrong_token_is_told_and_never_shown(hub, monkeypatch):
    monkeypatch.setenv("SRE_GITHUB_TOKEN", "ghp_wrong-one")
    ticket = deliver(filed())
    assert "401" in ticket.trouble
    assert "Bad credentials" in ticket.trouble
    assert (ticket.actual, hub.issues) == ("none", [])
    rows = serializers.serialize("json", [*Ticket.objects.all(), *TimelineEntry.objects.all()])
    assert "ghp_" not in rows


@pytest.mark.parametrize(("name", "value"), [("SRE_GITHUB_TOKEN", ""), ("SRE_GITHUB_REPO", "shop/ops/../../users")])
def test_settings_that_cannot_work_name_what_to_set(hub, monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    ticket = deliver(filed())
    assert "Set SRE_GITHUB_REPO=owner/name and SRE_GITHUB_TOKEN" in ticket.trouble
    assert hub.calls == []


def test_an_unknown_system_is_trouble_that_lists_the_known(settings):
    settings.SRE_TICKET_SYSTEMS = ["jira"]
    assert "github_issues, local" in deliver(filed()).trouble


def test_local_tickets_are_rows_with_a_page(settings):
    settings.SRE_TICKET_SYSTEMS = ["local"]
    ticket = deliver(filed("resolved", done=True))
    row = LocalTicket.objects.get()
    assert (str(row.pk), row.closed, row.body) == (ticket.reference, True, ticket.body)
    assert ticket.url == f"{settings.SRE_BASE_URL}/tickets/{row.pk}/"
    assert LocalComment.objects.get().text == "The incident is resolved. It is resolved."
    assert json.loads(serializers.serialize("json", [row]))[0]["fields"]["labels"] == ["sre-platform", "leak"]
