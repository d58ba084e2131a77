import pytest
from django.test import Client

from sre_platform.guardrails.models import KillSwitch, halted, set_kill_switch

pytestmark = pytest.mark.django_db


def test_staff_stop_and_resume_all_automation(web):
    web.post("/automation", {"state": "off", "reason": "Maintenance"})
    assert halted() == "Maintenance (by ada)"
    answer = web.post("/automation", {"state": "on"})
    assert halted() == ""
    assert answer["Location"] == "/"


def test_a_stop_is_said_loudly_on_every_page(web, guest):
    set_kill_switch(True, "ada", "Maintenance until six")
    for client, resume in ((web, True), (guest, False)):
        for url in ("/", "/tickets/"):
            page = client.get(url).content.decode()
            assert "All automation is stopped." in page
            assert "Maintenance until six" in page
            assert ('id="resume"' in page) is resume


def test_pages_that_keep_themselves_up_to_date_tell_of_a_stop(web):
    seen = web.get("/").context["seen"]
    set_kill_switch(True, "ada", "Maintenance")
    fragment = web.get("/", {"seen": seen}, headers={"HX-Request": "true"}).content.decode()
    assert 'id="halted" hx-swap-oob="true"' in fragment
    assert "Maintenance" in fragment


def test_people_who_are_no_staff_cannot_stop_it(guest):
    assert guest.post("/automation", {"state": "off"}).status_code == 403
    assert 'id="stop"' not in guest.get("/").content.decode()
    assert not KillSwitch.objects.exists()


def test_an_unclear_request_stops_nothing(web):
    assert web.post("/automation", {"reason": "?"}).status_code == 400
    assert not KillSwitch.objects.exists()


@pytest.mark.parametrize(
    ("there", "expected"), [("/tickets/", "/tickets/"), ("https://evil.example/", "/"), ("//evil", "/")]
)
def test_the_way_back_stays_on_this_site(web, there, expected):
    assert web.post("/automation", {"state": "on", "next": there})["Location"] == expected


def test_a_forged_form_is_refused(staff):
    client = Client(enforce_csrf_checks=True)
    client.force_login(staff)
    answer = client.post("/automation", {"state": "off"})
    assert answer.status_code == 403
    assert "The form was too old" in answer.content.decode()
    assert not KillSwitch.objects.exists()
