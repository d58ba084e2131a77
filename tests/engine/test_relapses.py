"""A repair is watched: what comes back reopens the incident and gets the next rung; what is new is a new incident."""

from datetime import timedelta

import pytest

from sre_platform.catalog.models import Change
from sre_platform.engine import relapses
from sre_platform.incidents import record
from sre_platform.incidents.domain import State
from sre_platform.incidents.models import Incident
from sre_platform.kernel.clock import now
from sre_platform.playbook.models import PlaybookVersion
from sre_platform.tickets.models import LocalTicket
from sre_platform.verification import sampling
from tests.engine.story import alert, delivered, drive, events, fire, install, last, sound, step_on
from tests.engine.story import strict as impatient

pytestmark = pytest.mark.django_db


@pytest.fixture
def healed(shop):
    """An incident that was healed just now by a rollback, and is watched."""
    install(shop)
    impatient()
    incident = drive(fire())
    assert (incident.state, incident.watch_until is not None) == (State.RESOLVED, True)
    alert("resolved")
    return incident


def looked(incident, times=1):
    """Whether it was reopened, looking so many times."""
    back = False
    for _ in range(times):
        Incident.objects.filter(pk=incident.pk, state=State.RESOLVED).update(watch_due_at=now())
        back = relapses.look(incident.pk) or back
    incident.refresh_from_db()
    return back


def test_while_all_is_well_it_stays_resolved_until_the_watch_is_over(shop, healed):
    assert not looked(healed, 3)
    assert healed.state == State.RESOLVED
    Incident.objects.filter(pk=healed.pk).update(watch_until=now() - timedelta(seconds=1))
    assert not looked(healed)
    assert (healed.watch_until, healed.watch_due_at, record.watched(10)) == (None, None, [])
    assert sound(healed)


def test_one_look_at_a_time_and_none_before_it_is_due(shop, healed):
    Incident.objects.filter(pk=healed.pk).update(watch_due_at=now())
    assert record.watched(10) == [healed.pk]
    assert record.claim_watch(healed.pk, 30) is not None
    assert record.claim_watch(healed.pk, 30) is None
    assert not relapses.look(healed.pk)


def test_criteria_that_are_bad_again_reopen_it_but_nothing_is_done_before_an_alert_says_so(shop, healed):
    effects = list(shop.supervisor.effects)
    shop.bad = lambda: 1
    assert not looked(healed)
    assert looked(healed)
    assert (healed.state, healed.ended_at, healed.ended_by) == (State.OPEN, None, "")
    assert "payments is well is 1, not <= 0" in last(healed).reason
    assert step_on(healed) == State.OPEN
    ago = now() - timedelta(minutes=2)
    Incident.objects.filter(pk=healed.pk).update(relapsed_at=ago, last_alert_at=ago - timedelta(minutes=1))
    assert step_on(healed) == State.ESCALATED
    assert "no alert has said so" in last(healed).reason
    assert (shop.supervisor.effects, sound(healed)) == (effects, True)


def test_an_alert_on_the_same_service_reopens_it_and_the_next_rung_is_tried(shop, healed):
    shop.bad = lambda: 1
    shop.switch("v2")  # by somebody who told nobody: the same cause will be found
    [again] = alert(starts_s=1)
    healed.refresh_from_db()
    assert (again, healed.state, Incident.objects.count()) == (healed.pk, State.OPEN, 1)
    assert [entry for entry in events(healed) if entry == "relapsed"] == ["relapsed"]
    drive(healed, State.REMEDIATED)
    tried = list(healed.steps.repairs().order_by("pk").values_list("action", flat=True))
    assert tried == ["rollback_release", "restart_service"]
    assert sound(healed)


def test_a_relapse_that_goes_to_people_opens_its_ticket_again(shop, healed):
    ticket = delivered(healed)
    assert (ticket.actual, LocalTicket.objects.get().closed) == ("closed", True)
    alert(starts_s=1)
    Incident.objects.filter(pk=healed.pk).update(playbooks=[])
    assert drive(Incident.objects.get(pk=healed.pk)).state == State.ESCALATED
    again = delivered(healed)
    assert (again.pk, again.actual, LocalTicket.objects.get().closed) == (ticket.pk, "open", False)


def test_after_another_deploy_the_same_alert_is_new_trouble(shop, healed):
    Change.objects.create(service="payments", at=now(), before="v1", after="v2", by="ann")
    [other] = alert(starts_s=1)
    healed.refresh_from_db()
    assert (other != healed.pk, healed.state) == (True, State.RESOLVED)


def test_an_alert_that_never_ended_reopens_it_when_the_watch_is_over(shop):
    install(shop)
    impatient()
    incident = drive(fire())
    assert not looked(incident, 3), "a slow counter does not fool it"
    Incident.objects.filter(pk=incident.pk).update(watch_until=now() - timedelta(seconds=1))
    assert looked(incident)
    assert (incident.state, "still fires" in last(incident).reason) == (State.OPEN, True)


def test_a_watch_whose_playbook_is_gone_says_so_once_and_ends(shop, healed):
    PlaybookVersion.objects.all().delete()
    assert not looked(healed, 3)
    [told] = healed.timeline.filter(name="watch_blind")
    assert "The library no longer holds the playbook" in told.reason
    Incident.objects.filter(pk=healed.pk).update(watch_until=now() - timedelta(seconds=1))
    assert not looked(healed)
    assert (healed.state, healed.watch_until, healed.watch_due_at) == (State.RESOLVED, None, None)
    assert (record.watched(10), sound(healed)) == ([], True)


def test_a_watch_whose_last_look_sees_nothing_says_so(shop, healed):
    shop.bad = lambda: "nobody knows"
    assert not looked(healed, 3)
    assert not healed.timeline.filter(name="watch_blind").exists()
    Incident.objects.filter(pk=healed.pk).update(watch_until=now() - timedelta(seconds=1))
    assert not looked(healed)
    [told] = healed.timeline.filter(name="watch_blind")
    assert "when the watch ended, 0 of 1 criteria met, 1 not measured." in told.reason
    assert (healed.state, healed.watch_until, sound(healed)) == (State.RESOLVED, None, True)


def test_of_a_watch_whose_playbook_is_gone_an_alert_still_tells_and_people_are_called(shop):
    install(shop)
    impatient()
    incident = drive(fire())
    PlaybookVersion.objects.all().delete()
    Incident.objects.filter(pk=incident.pk).update(watch_until=now() - timedelta(seconds=1))
    assert looked(incident)
    assert "still fires" in last(incident).reason
    assert drive(incident).state == State.ESCALATED
    assert (delivered(incident).actual, sound(incident)) == ("open", True)


def test_who_breaks_things_on_purpose_ends_all_watches(shop, healed):
    record.end_watch()
    [other] = alert(starts_s=1)
    assert other != healed.pk


def test_a_watch_that_is_ended_during_a_look_stays_ended(healed, monkeypatch):
    take = sampling.take

    def ended_meanwhile(*args):
        record.end_watch()
        return take(*args)

    monkeypatch.setattr(sampling, "take", ended_meanwhile)
    assert not looked(healed)
    assert (healed.watch_until, healed.watch_due_at) == (None, None)


def test_it_is_not_reopened_beside_another_open_incident_of_its_service(shop, healed):
    Incident.objects.create(key=healed.key, service="payments", title="t", opened_at=now())
    assert not record.reopen(healed.pk, "it came back")
    healed.refresh_from_db()
    assert healed.state == State.RESOLVED
