"""The ledger's pages: what came in, what became of it, and how it is found."""

import json
from itertools import count

import pytest
from django.urls import reverse
from django.utils.timezone import now

from sre_platform.intake.models import Alert, Delivery, LedgerEntry
from sre_platform.web import ledger, search
from tests.web import factories
from tests.web.test_pages import EVIL, queries, text

pytestmark = pytest.mark.django_db
SHOWN = 'class="row-link"'
numbers = count(1)


def sent(*alerts: Alert, fate: str = "opened", incident: int | None = None, **fields) -> Delivery:
    """A webhook that carried these alerts, all of which had the same fate."""
    body = fields.pop("body", b'{"version":"4"}')
    told = {"source": "alertmanager", "sender": "prod", "state": "digested", "fate": "1 opened"} | fields
    row = Delivery.objects.create(received_at=now(), body=body, size=len(body), digest="d", **told)
    for alert in alerts:
        LedgerEntry.objects.create(delivery=row, alert=alert, fate=fate, incident=incident, says=f"{alert}: {fate}")
    return row


def found(web, **terms) -> list[int]:
    return [line.delivery.pk for line in web.get("/ledger/", terms).context["found"].lines]


@pytest.mark.parametrize("url", ["/ledger/", "/ledger/1/", "/ledger/1/body"])
def test_the_ledger_needs_a_login(client, url):
    assert client.get(url)["Location"].startswith("/login/")


def test_an_empty_ledger_says_how_to_send_something(web):
    assert "/hooks/alertmanager" in text(web, "/ledger/")


def test_the_ledger_says_what_came_and_what_became_of_it(web):
    row = sent(factories.alert(), fate="quiet", sender="staging")
    page = text(web, "/ledger/")
    for shown in ("PaymentsErrors", "payments", "staging", "1 opened", reverse("delivery", args=[row.pk])):
        assert shown in page


def test_each_search_finds_what_it_says(web):
    alert, other = factories.alert(), factories.alert("DiskFull", "db")
    one = sent(alert, incident=7)
    two = sent(other, fate="quiet", source="grafana", sender="lab")
    three = sent(state="rejected", fate="opened", sender="lab")
    assert found(web) == [three.pk, two.pk, one.pk]
    for terms, expected in [
        ({"text": "Payments"}, [one]),
        ({"text": "payments"}, [one]),
        ({"text": "d"}, [two]),
        ({"text": "ments"}, []),
        ({"fate": "quiet"}, [two]),
        ({"fate": "opened"}, [one]),
        ({"source": "grafana"}, [two]),
        ({"sender": "lab"}, [three, two]),
        ({"incident": "7"}, [one]),
        ({"state": "rejected"}, [three]),
        ({"sender": "lab", "state": "digested", "fate": "quiet", "text": "Disk"}, [two]),
        ({"text": "Disk", "incident": "7"}, []),
    ]:
        assert found(web, **terms) == [row.pk for row in expected], terms


def test_a_search_for_many_alerts_finds_the_same(web, monkeypatch):
    wanted = sent(factories.alert("DiskFull", "db"))
    sent(factories.alert())
    monkeypatch.setattr(search, "FEW_ALERTS", 0)
    assert found(web, text="DiskFull") == found(web, text="db") == [wanted.pk]


def test_what_is_quiet_now_says_why(web):
    quiet = factories.alert("DiskFull", quiet="silence 5: disk is being replaced", looked_at=now())
    over = factories.alert(quiet="silence 5", looked_at=now(), resolved=True)
    row = sent(quiet, fate="quiet")
    sent(over, fate="quiet")
    assert found(web, quiet="1") == [row.pk]
    for url in ("/ledger/?quiet=1", reverse("delivery", args=[row.pk])):
        assert "silence 5: disk is being replaced" in text(web, url)


def test_the_ledger_is_walked_from_page_to_page_without_gaps(web):
    rows = [sent(factories.alert()) for _ in range(120)]
    for _ in range(5):
        sent(source="grafana")
    seen, before = [], ""
    while before is not None:
        page = web.get("/ledger/", {"source": "alertmanager", "before": before}).context["found"]
        seen += [line.delivery.pk for line in page.lines]
        before = page.older
    assert seen == [row.pk for row in reversed(rows)]


def test_a_search_that_runs_out_of_time_says_how_far_it_came_and_goes_on(web, monkeypatch):
    rare = sent(factories.alert("Rare"), factories.alert("Rare"))
    for _ in range(30):
        sent()
    monkeypatch.setattr(search, "FIRST_STRETCH", 10)
    monkeypatch.setattr(search, "LONGER", 1)
    monkeypatch.setattr(search, "WITHIN_S", 0.0)
    before, pages = "", 0
    while not (got := found(web, text="Rare", before=before)):
        page = web.get("/ledger/", {"text": "Rare", "before": before})
        assert "Look further back" in page.content.decode()
        before, pages = page.context["found"].older, pages + 1
    assert got == [rare.pk]
    assert pages == 3


@pytest.mark.parametrize("query", ["incident=x", "incident=-1", "fate=nonsense", "before=x", "state=x", "text=%00"])
def test_what_cannot_be_searched_is_said(web, query):
    page = text(web, f"/ledger/?{query}")
    assert "form-error" in page
    assert SHOWN not in page


def test_the_ledger_takes_as_many_queries_for_50_webhooks_as_for_one(web):
    sent(factories.alert(), incident=1)
    urls = ["/ledger/", "/ledger/?fate=opened&incident=1", "/ledger/?text=Pay"]
    few = [queries(web, url) for url in urls]
    for _ in range(49):
        sent(*(factories.alert() for _ in range(4)), incident=1)
    assert [queries(web, url) for url in urls] == few
    assert max(few) <= 12


def test_one_webhook_shows_each_alert_its_fate_and_its_body(web):
    story = factories.opened()
    row = sent(
        story.incident.members.get().alert, incident=story.incident.pk, body=b'{"a":{"b":"\\ud800 caf\xc3\xa9"}}'
    )
    page = text(web, reverse("delivery", args=[row.pk]))
    for shown in (reverse("incident", args=[story.incident.pk]), "PaymentsErrors on payments: opened", "café"):
        assert shown in page
    assert "  &quot;a&quot;: {\n    &quot;b&quot;" in page


def test_one_webhook_takes_as_many_queries_for_100_alerts_as_for_one(web):
    one, many = sent(factories.alert()), sent(*(factories.alert() for _ in range(120)))
    first, second = reverse("delivery", args=[one.pk]), reverse("delivery", args=[many.pk])
    assert queries(web, first) == queries(web, second) <= 12
    entries = web.get(second).context["entries"]
    rest = web.get(second, {"after": web.get(second).context["next"]}).context["entries"]
    assert (len(entries), len(rest)) == (ledger.ALERTS_SHOWN, 20)
    assert web.get(second, {"after": "x" * 99}).status_code == 200


def test_an_alert_that_came_up_by_itself_later_says_so(web):
    alert = factories.alert()
    row = sent(alert, fate="quiet")
    LedgerEntry.objects.create(alert=alert, fate="opened", incident=9, says="It opened incident 9.")
    page = text(web, reverse("delivery", args=[row.pk]))
    assert "Later, by itself: It opened incident 9." in page


def test_a_body_is_cut_and_downloaded_whole(web):
    body = json.dumps({"x": EVIL * 2000}).encode()
    row = sent(body=body)
    page = text(web, reverse("delivery", args=[row.pk]))
    assert EVIL not in page
    assert len(page) < 5 * ledger.BODY_SHOWN
    answer = web.get(reverse("delivery-body", args=[row.pk]))
    assert answer.content == body
    assert (answer["Content-Type"], answer["X-Content-Type-Options"]) == ("application/json", "nosniff")
    assert answer["Content-Disposition"] == f'attachment; filename="delivery-{row.pk}.json"'


@pytest.mark.parametrize("body", [b"\xff\xfe no JSON", b"[" * 100_000, b"", b"NaN", b"1" * 5000])
def test_any_body_can_be_shown(web, body):
    assert text(web, reverse("delivery", args=[sent(body=body, state="rejected").pk]))


def test_nothing_of_a_webhook_becomes_markup(web):
    alert = factories.alert(EVIL, EVIL, labels={"evil": EVIL}, quiet=EVIL, looked_at=now())
    row = sent(alert, fate="quiet", sender=EVIL, body=EVIL.encode())
    Delivery.objects.update(fate=EVIL)
    for url in ("/ledger/", reverse("delivery", args=[row.pk])):
        assert EVIL not in text(web, url)
    assert EVIL not in text(web, "/ledger/?text=" + EVIL)


def test_the_ledger_leads_the_staff_to_what_is_quiet(web, guest):
    assert "/admin/incidents/silence/" in text(web, "/ledger/")
    assert "/admin/" not in text(guest, "/ledger/")
