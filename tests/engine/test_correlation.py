"""Incidents that belong together, with rows: who waits for whom, what a storm stops, and what flapping holds open."""

from datetime import UTC, datetime, timedelta

import pytest

from sre_platform.catalog.models import Service
from sre_platform.engine import digestion
from sre_platform.incidents import record
from sre_platform.incidents.correlate import all_clear, flapping, storm
from sre_platform.incidents.domain import Event, State
from sre_platform.incidents.models import Incident, IncidentTopic, Silence
from sre_platform.intake.models import Alert, LedgerEntry
from sre_platform.intake.receive import Arrived, receive_all
from sre_platform.kernel.clock import now
from sre_platform.tickets.models import Ticket
from tests.engine.story import drive, events, install, last, sound, step_on
from tests.fakes.alertmanager import alert, body
from tests.fakes.leases import take

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)


def come(*alerts, ago=timedelta(0)):
    """The alerts come in one delivery, so long ago; returns the incidents that have news."""
    receive_all([Arrived("alertmanager", body(*alerts), at=now() - ago)])
    return list(digestion.digest().incidents)


def began(ago):
    return (now() - ago).isoformat()


def services(*names):
    return [alert("Unreachable", name) for name in names]


def of(key):
    return Incident.objects.get(key=key)


def big():
    return Incident.objects.get(storm=True)


def waits(incident):
    return list(incident.timeline.filter(name="waits").values_list("reason", flat=True))


@pytest.fixture
def callers(shop):
    """checkout and refunds, which need payments, had an alert each; then payments had one."""
    install(shop)
    for name in ("checkout", "refunds"):
        Service.objects.create(name=name, depends_on=["payments"])
    come(*services("checkout"))
    come(*services("refunds"))
    come(alert("HighErrorRatio", "payments"))
    return of("checkout"), of("refunds"), of("payments")


def test_what_two_incidents_depend_on_is_their_parent_in_rows(callers):
    checkout, refunds, payments = callers
    assert (checkout.parent, refunds.parent, payments.parent) == (payments, payments, None)
    says = LedgerEntry.objects.get(alert__name="HighErrorRatio").says
    assert says == f"HighErrorRatio on payments: opened incident {payments.pk}, checkout, refunds depend on payments"


def test_a_child_waits_while_its_parent_is_open_and_goes_on_when_it_is_resolved(shop, callers):
    checkout, _, payments = callers
    assert [step_on(checkout), step_on(checkout)] == [State.OPEN] * 2
    why = f"Waits, because incident {payments.pk} is about payments, which this one depends on."
    assert waits(checkout) == [why], "told once"
    assert not Ticket.objects.exists()
    assert drive(payments).state == State.RESOLVED
    assert shop.release == "v1"
    assert step_on(checkout) == State.ESCALATED
    assert last(checkout).reason == "No playbook is for these alerts."
    assert sound(checkout)


def test_a_child_waits_for_people_too_as_long_as_the_parents_alerts_fire(shop, callers):
    checkout, _, payments = callers
    Incident.objects.filter(pk=payments.pk).update(state=State.ESCALATED)
    assert step_on(checkout) == State.OPEN
    come(alert("HighErrorRatio", "payments", ends_at=began(MINUTE)))
    assert step_on(checkout) == State.ESCALATED


def test_a_child_whose_own_alerts_resolve_ends_while_it_waits(callers):
    checkout, refunds, _ = callers
    come(alert("Unreachable", "checkout", ends_at=began(MINUTE)))
    assert (step_on(checkout), last(checkout).name) == (State.RESOLVED, "alerts_cleared")
    assert step_on(refunds) == State.OPEN


def test_what_was_diagnosed_before_its_parent_came_does_nothing_until_it_is_gone(shop):
    install(shop)
    come(alert("HighErrorRatio", "payments"))
    payments = drive(of("payments"), State.DIAGNOSED)
    parent = Incident.objects.create(key="p", service="db", title="t", state=State.OPEN, opened_at=now())
    Incident.objects.filter(pk=payments.pk).update(parent=parent)
    assert step_on(payments) == State.DIAGNOSED
    assert (payments.steps.count(), waits(payments)[0][:14]) == (0, "Waits, because")
    Incident.objects.filter(pk=parent.pk).update(state=State.RESOLVED)
    assert drive(payments).state == State.RESOLVED


def storming(*before):
    """Ten unrelated services at once, ``before`` among the first."""
    come(*before, *services(*(f"s{n}" for n in range(10 - len(before)))))
    return big()


def over(incident):
    Incident.objects.filter(pk=incident.pk).update(last_alert_at=now() - 5 * MINUTE)


def test_a_storm_is_told_once_and_its_incidents_wait(shop):
    install(shop)
    it = storming()
    come(*services("x", "y", "z"))
    assert drive(it).state == State.ESCALATED
    assert last(it).reason == "Too many services at once: automation is paused until the storm is over."
    assert it.alerts == 4
    children = list(it.children.all())
    assert len(children) == 9
    assert {step_on(child) for child in children} == {State.OPEN}
    assert {reason for child in children for reason in waits(child)} == {
        f"Waits, because incident {it.pk} is a storm of alerts."
    }
    assert [ticket.incident_id for ticket in Ticket.objects.all()] == [it.pk]


def test_automation_waits_during_a_storm_and_heals_after_it(shop):
    install(shop)
    it = storming(alert("HighErrorRatio", "payments"))
    payments = of("payments")
    assert step_on(payments) == State.OPEN
    assert payments.parent == it
    over(it)
    assert storm(now()) == ""
    assert drive(payments).state == State.RESOLVED
    assert shop.release == "v1"


@pytest.mark.parametrize("until", [State.DIAGNOSED, State.APPROVED])
def test_a_storm_forbids_what_was_decided_before_it(shop, until):
    install(shop)
    come(alert("HighErrorRatio", "payments"))
    payments = drive(of("payments"), until)
    Incident.objects.filter(pk=payments.pk).update(opened_at=now() - 2 * MINUTE)
    it = storming()
    payments = drive(Incident.objects.get(pk=payments.pk))
    assert (payments.parent, payments.state, last(payments).name) == (None, State.ESCALATED, "refused")
    assert f"Automation is paused, because incident {it.pk} is a storm of alerts." in last(payments).reason
    assert shop.supervisor.effects == []


def test_a_storm_that_people_have_gathers_until_it_is_calm_though_its_own_alerts_resolved(db):
    it = storming()
    drive(it)
    come(*(alert("Unreachable", f"s{n}", ends_at=began(MINUTE)) for n in range(10)))
    come(*services("x"))
    it.refresh_from_db()
    assert (it.alerts, it.state) == (2, State.ESCALATED)
    over(it)
    come(*services("y"))
    assert of("y").parent is None


def test_another_storm_while_the_first_was_not_looked_at_is_not_refused_by_the_database(db):
    it = storming()
    over(it)
    come(*services(*(f"t{n}" for n in range(10))))
    rows = Incident.objects.filter(storm=True, state=State.OPEN).order_by("pk")
    assert (rows.first(), rows.count()) == (it, 2)


def test_two_storms_in_one_batch_are_two(db):
    for ago, letter in ((10 * MINUTE, "a"), (3 * MINUTE, "b")):
        receive_all([Arrived("alertmanager", body(*services(*(f"{letter}{n}" for n in range(10)))), at=now() - ago)])
    digestion.digest()
    assert [row.children.count() for row in Incident.objects.filter(storm=True)] == [9, 9]


@pytest.mark.parametrize("names", [("alert/X", ""), ("service/alert/X", "alert/X")])
def test_subjects_that_look_alike_do_not_stop_the_digester(db, names):
    come(*(alert("X", name) for name in names))
    assert Incident.objects.count() == 2


def test_a_very_long_label_is_found_again(db):
    for service in ("a", "b"):
        come(alert("X", service, labels={"node": "n" * 1000}))
    assert Incident.objects.get().alerts == 2
    assert max(len(topic.name) for topic in IncidentTopic.objects.all()) == 300


def test_an_alert_that_is_quiet_no_more_within_one_batch_is_so_in_its_row(db):
    start = datetime.now(UTC)
    ends = start - MINUTE
    Silence.objects.create(matchers=["alertname=X"], starts_at=start - 9 * MINUTE, ends_at=ends, by="ann")
    arrived = [Arrived("alertmanager", body(alert("X")), at=start - ago) for ago in (2 * MINUTE, timedelta(0))]
    receive_all(arrived)
    digestion.digest()
    row = Alert.objects.get()
    assert (row.quiet, row.looked_at, row.membership.incident.key) == ("", None, "payments")


def flap(times=4):
    """An alert on payments that began so often, the last time a minute ago, and fires."""
    for left in range(times, 0, -1):
        start = began(left * MINUTE)
        come(alert("HighErrorRatio", "payments", starts_at=start))
        if left > 1:
            come(alert("HighErrorRatio", "payments", starts_at=start, ends_at=began((left - 0.5) * MINUTE)))
    return of("payments"), start


def gone_since(ago):
    Alert.objects.filter(starts_at=Alert.objects.latest("starts_at").starts_at).update(ends_at=now() - ago)
    Alert.objects.exclude(starts_at=Alert.objects.latest("starts_at").starts_at).update(ends_at=now() - 9 * MINUTE)


@pytest.mark.parametrize(("times", "held"), [(3, False), (4, True)])
def test_an_alert_that_flaps_holds_its_incident_open_for_five_minutes(shop, times, held):
    install(shop)
    incident, start = flap(times)
    come(alert("HighErrorRatio", "payments", starts_at=start, ends_at=began(timedelta(0))))
    assert (all_clear(incident.pk), bool(flapping(incident.pk))) == (not held, held)
    gone_since(4.9 * MINUTE)
    assert all_clear(incident.pk) is not held
    gone_since(5 * MINUTE)
    assert all_clear(incident.pk)
    assert (step_on(incident), last(incident).name) == (State.RESOLVED, "alerts_cleared")


def test_what_repairs_have_ended_does_not_flap(shop):
    install(shop)
    for left in range(6, 1, -1):
        come(alert("HighErrorRatio", "payments", starts_at=(start := began(left * MINUTE))))
        live = Incident.objects.filter(key="payments", ended_at=None)
        live.update(state=State.REMEDIATED)
        record.record(take(live.get().pk), Event.FIXED, "Well again.")
        come(alert("HighErrorRatio", "payments", starts_at=start, ends_at=began((left - 0.5) * MINUTE)))
    come(alert("HighErrorRatio", "payments", starts_at=began(MINUTE)))
    assert flapping(Incident.objects.get(ended_at=None).pk) == ""


def test_what_drills_broke_before_does_not_flap(shop):
    install(shop)
    for left in range(6, 1, -1):
        come(alert("HighErrorRatio", "payments", starts_at=(start := began(left * MINUTE))))
        drilled = Incident.objects.filter(key="payments", ended_at=None)
        drilled.update(state=State.DIAGNOSED)
        record.record(take(drilled.get().pk), Event.REFUSED, "Nothing else makes sense.")
        come(alert("HighErrorRatio", "payments", starts_at=start, ends_at=began((left - 0.5) * MINUTE)))
    before = list(Incident.objects.values_list("pk", flat=True))
    come(alert("HighErrorRatio", "payments", starts_at=began(MINUTE)))
    live = Incident.objects.get(ended_at=None)
    assert flapping(live.pk) == "HighErrorRatio"
    record.on_purpose(before[1:])
    assert flapping(live.pk) == ""


def test_a_person_is_asked_about_an_alert_that_flaps_and_has_time_to_answer(shop):
    install(shop)
    incident, start = flap()
    drive(incident, State.AWAITING_APPROVAL)
    assert "HighErrorRatio comes and goes." in last(incident).reason
    come(alert("HighErrorRatio", "payments", starts_at=start, ends_at=began(timedelta(0))))
    assert step_on(incident) == State.AWAITING_APPROVAL, "woken, because nothing fires; not believed yet"
    assert (incident.due_at - now()) > 14 * MINUTE
    assert shop.supervisor.effects == []
    gone_since(5 * MINUTE)
    step_on(incident)
    assert (incident.state, events(incident)[-1]) == (State.RESOLVED, "alerts_cleared")
