import json
from contextlib import contextmanager
from io import StringIO
from threading import Thread

import pytest
from django.core.management import call_command
from django.db import DataError, IntegrityError, OperationalError, connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sre_platform.catalog.models import Service
from sre_platform.engine import stuck
from sre_platform.engine.digestion import Digested, digest
from sre_platform.incidents import record
from sre_platform.incidents.correlate import all_clear
from sre_platform.incidents.domain import ENDED, Event, State
from sre_platform.incidents.models import Incident, IncidentAlert
from sre_platform.intake.models import Alert, Delivery
from sre_platform.intake.receive import receive
from sre_platform.playbook import library
from tests.fakes.alertmanager import alert, body
from tests.fakes.leases import incident as an_incident
from tests.fakes.leases import take
from tests.playbook.test_schema import TEXT as PLAYBOOK

pytestmark = pytest.mark.django_db
ENDS_AT = "2026-11-21T12:30:00Z"
LATER = "2026-11-21T12:45:00Z"


@pytest.fixture(autouse=True)
def shop(db):
    """users → storefront → orders → payments; search stands alone."""
    for name, needs in [("storefront", ["orders"]), ("orders", ["payments"]), ("payments", []), ("search", [])]:
        Service.objects.create(name=name, depends_on=needs)


def come(*alerts):
    """The alerts come in one delivery; returns the delivery, digested, and the incidents that have news."""
    delivery = receive("alertmanager", body(*alerts))
    touched = digest().incidents
    delivery.refresh_from_db()
    return delivery, touched


def members(incident):
    return {(member.alert.service, member.reason) for member in incident.members.all()}


def story(incident):
    return list(incident.timeline.values_list("name", flat=True))


def escalate(incident):
    record.record(take(incident.pk), Event.NO_CAUSE, "Nobody knows.")
    incident.refresh_from_db()


def everything():
    models = (Delivery, Alert, Incident, IncidentAlert)
    return [list(model.objects.order_by("pk").values()) for model in models]


def test_an_alert_opens_an_incident_that_is_due_at_once():
    delivery, touched = come(alert())
    [incident] = Incident.objects.all()
    assert touched == [incident.pk] == record.due(10)
    assert (incident.key, incident.service, incident.state) == ("payments", "payments", State.OPEN)
    assert incident.title == "HighErrorRatio on payments"
    assert (delivery.state, delivery.fate) == ("digested", f"HighErrorRatio on payments: opened incident {incident.pk}")
    [opened] = incident.timeline.all()
    assert opened.name == "opened"
    assert (incident.alerts, incident.first_alert_at, incident.last_alert_at) == (
        1,
        Alert.objects.get().starts_at,
        delivery.received_at,
    )
    assert (opened.data["alert"], opened.data["starts_at"]) == ("HighErrorRatio", "2026-11-21T12:19:52.123000+00:00")


def test_a_delivery_digested_twice_changes_nothing():
    delivery, _ = come(alert(), alert("Slow", "orders"))
    assert digest() == Digested()
    before = everything()
    Delivery.objects.update(state="pending")  # as if the commit had been lost on the way to the broker, say
    assert digest() == Digested(1, [], [])
    Delivery.objects.update(fate=delivery.fate)
    assert everything() == before


def test_digesting_is_all_or_nothing():
    receive("alertmanager", body(alert(), alert("Slow", "orders")))

    def full(execute, sql, *args):
        if sql.startswith("UPDATE") and "fate" in sql:
            raise OperationalError("database or disk is full")
        return execute(sql, *args)

    with connection.execute_wrapper(full), pytest.raises(OperationalError):
        digest()
    assert not Alert.objects.exists()
    assert not Incident.objects.exists()
    assert Delivery.objects.get().state == "pending"
    assert digest().incidents, "the sweep rings again"


def test_a_stored_delivery_that_can_never_be_read_is_put_aside_and_not_tried_for_ever():
    receive("alertmanager", body(alert()))
    Delivery.objects.update(source="nagios")
    assert digest().incidents == []
    stored = Delivery.objects.get()
    assert (stored.state, stored.fate[:27]) == ("rejected", "There is no source 'nagios'")


def test_one_poisonous_delivery_is_put_aside_and_holds_up_no_other():
    for name in ("Good", "Bad", "Fine"):
        receive("alertmanager", body(alert(name, name.lower())))

    def poisoned(execute, sql, params, *args):
        if sql.startswith('INSERT INTO "intake_alert"') and "Bad" in str(params):
            raise DataError("value too long")
        return execute(sql, params, *args)

    with connection.execute_wrapper(poisoned):
        while digest().deliveries:
            pass
    good, bad, fine = Delivery.objects.order_by("pk")
    assert (good.state, bad.state, fine.state) == ("digested", "rejected", "digested")
    assert bad.fate == "It could not be digested: DataError: value too long"
    assert set(Incident.objects.values_list("key", flat=True)) == {"good", "fine"}
    told = stuck.put_aside()
    assert (told.ok, [one.what for one in told.stuck]) == (False, [f"delivery {bad.pk}"])
    assert "DataError: value too long" in told.stuck[0].why
    assert redigested(str(good.pk)) == {"taken_up": 0}, "only what was put aside"
    assert redigested(str(bad.pk)) == {"taken_up": 1}
    assert digest().deliveries == 1
    assert set(Incident.objects.values_list("key", flat=True)) == {"good", "fine", "bad"}
    assert stuck.put_aside().ok
    assert redigested() == {"taken_up": 0}


def redigested(*which):
    said = StringIO()
    call_command("redigest", *which, "--json", stdout=said)
    return json.loads(said.getvalue())


def test_the_same_alert_again_is_the_same_row_and_incident():
    come(alert())
    again, touched = come(alert())
    [incident] = Incident.objects.all()
    assert Alert.objects.count() == 1
    assert touched == []
    assert again.fate == f"HighErrorRatio on payments: known already, in incident {incident.pk}"
    assert story(incident) == ["opened"]


def test_the_same_alert_twice_in_one_delivery_is_one():
    come(alert(), alert())
    assert (Alert.objects.count(), Incident.objects.count(), IncidentAlert.objects.count()) == (1, 1, 1)


def test_a_resolution_after_firing_ends_the_alert_and_wakes_the_incident():
    _, [key] = come(alert())
    record.defer(take(key), record.now().replace(year=2100))
    assert not all_clear(key)
    delivery, touched = come(alert(ends_at=ENDS_AT))
    row = Alert.objects.get()
    assert (row.resolved, row.ends_at.isoformat()) == (True, "2026-11-21T12:30:00+00:00")
    assert all_clear(key)
    assert touched == [key] == record.due(10)
    assert delivery.fate.endswith("and resolved now")
    assert story(Incident.objects.get())[-1] == "alerts_clear"


def test_an_incident_is_clear_only_when_all_its_alerts_are():
    _, [key] = come(alert(), alert("Slow"))
    come(alert(ends_at=ENDS_AT))
    assert not all_clear(key)
    assert "alerts_clear" not in story(Incident.objects.get())
    come(alert("Slow", ends_at=ENDS_AT))
    assert all_clear(key)


def test_a_resolution_told_again_is_no_news():
    for _ in range(2):
        come(alert())
        come(alert(ends_at=ENDS_AT))
    assert story(Incident.objects.get()).count("alerts_clear") == 1
    assert Alert.objects.get().resolved, "what has resolved never fires again under the same start"


def test_a_resolution_of_what_was_never_seen_firing_opens_no_incident():
    delivery, touched = come(alert(ends_at=ENDS_AT))
    assert touched == []
    assert not Incident.objects.exists()
    assert Alert.objects.get().resolved
    assert "resolved before it was seen firing" in delivery.fate
    late, touched = come(alert())
    assert (touched, Incident.objects.count()) == ([], 0), "the firing that was overtaken on the way"
    assert "resolved before it was seen firing" in late.fate


@pytest.mark.parametrize("firing_first", [True, False])
def test_firing_and_resolved_in_one_delivery_end_resolved_in_any_order(firing_first):
    firing, resolved = alert(), alert(ends_at=ENDS_AT)
    come(*([firing, resolved] if firing_first else [resolved, firing]))
    assert Alert.objects.get().resolved
    assert Incident.objects.count() == firing_first
    assert all(all_clear(incident.pk) for incident in Incident.objects.all())


@pytest.mark.parametrize(
    ("first", "second", "reason"),
    [
        ("payments", "storefront", "storefront depends on payments"),
        ("storefront", "payments", "storefront depends on payments"),
        ("orders", "orders", "same service orders"),
    ],
)
def test_an_alert_on_a_neighbour_joins_and_its_fate_says_why(first, second, reason):
    _, [key] = come(alert("A", first))
    delivery, touched = come(alert("B", second))
    [incident] = Incident.objects.all()
    assert (touched, key) == ([], incident.pk)
    assert delivery.fate == f"B on {second}: joined incident {key}, {reason}"
    assert members(incident) == {(first, "opened the incident"), (second, reason)}
    assert story(incident) == ["opened", "alert_joined"]


def test_an_alert_on_an_unrelated_service_opens_a_second_incident():
    come(alert("A", "payments"), alert("B", "search"), alert("C", "nobody-knows-it"))
    assert list(Incident.objects.values_list("key", flat=True)) == ["payments", "search", "nobody-knows-it"]


def test_an_alert_without_a_service_is_about_itself():
    come(alert("Watchdog", ""))
    delivery, _ = come(alert("Watchdog", "", labels={"pod": "2"}, fingerprint="other"))
    [incident] = Incident.objects.all()
    assert (incident.key, incident.service, incident.members.count()) == ("alert/Watchdog", "", 2)
    assert delivery.fate.startswith("Watchdog on no service: joined")


def test_people_who_have_an_incident_whose_alerts_fire_get_the_new_ones_too():
    come(alert())
    [incident] = Incident.objects.all()
    escalate(incident)
    come(alert("Slow", "storefront"))
    assert Incident.objects.count() == 1
    assert members(incident) >= {("storefront", "storefront depends on payments")}
    incident.refresh_from_db()
    assert (incident.state, incident.due_at) == (State.ESCALATED, None), "nobody works on it but people"


def test_once_the_alerts_of_an_escalated_incident_are_clear_the_next_one_opens_a_new_incident():
    come(alert())
    escalate(Incident.objects.get())
    come(alert(ends_at=ENDS_AT))
    come(alert(starts_at=LATER))
    assert list(Incident.objects.order_by("pk").values_list("state", flat=True)) == [State.ESCALATED, State.OPEN]


@pytest.mark.parametrize("ended", [True, False])
def test_firing_again_with_a_new_start_is_a_new_alert(ended):
    _, [first] = come(alert())
    come(alert(ends_at=ENDS_AT))
    if ended:
        record.record(take(first), Event.ALERTS_CLEARED, "Gone.")
    _, news = come(alert(starts_at=LATER))
    newest = Alert.objects.latest("starts_at")
    assert Alert.objects.count() == 2
    assert (newest.membership.incident_id != first) is ended
    assert news == ([newest.membership.incident_id] if ended else [])
    assert not all_clear(newest.membership.incident_id)


@pytest.mark.parametrize("state", State)
def test_two_incidents_with_one_key_are_refused_by_the_database_while_one_is_under_way(state):
    an_incident(state)
    if state in ENDED:
        an_incident(State.OPEN)
        return
    with pytest.raises(IntegrityError), transaction.atomic():
        an_incident(State.OPEN)


def test_the_playbooks_are_frozen_when_the_incident_opens():
    old, _ = library.store(PLAYBOOK, "f.yaml")
    library.store(PLAYBOOK.replace("service-down", "not-for-this").replace("ServiceDown", "Other"), "g.yaml")
    come(alert("ServiceDown"))
    library.store(PLAYBOOK.replace("A process ended.", "Changed."), "ann")
    [incident] = Incident.objects.all()
    assert incident.playbooks == [old.digest]
    assert [book.summary for book in library.frozen(incident.playbooks).values()] == ["A process ended."]


def test_a_joined_alert_brings_its_playbooks_until_the_cause_is_known():
    one, _ = library.store(PLAYBOOK, "f.yaml")
    two, _ = library.store(PLAYBOOK.replace("service-down", "b").replace("ServiceDown", "Slow"), "g.yaml")
    three, _ = library.store(PLAYBOOK.replace("service-down", "c").replace("ServiceDown", "Late"), "h.yaml")
    _, [key] = come(alert("ServiceDown"), alert("Slow"))
    assert set(Incident.objects.get().playbooks) == {one.digest, two.digest}
    record.record(take(key), Event.CAUSE_FOUND, "Seen.")
    come(alert("Late"))
    assert three.digest not in Incident.objects.get().playbooks


moments = st.sampled_from(["2026-11-21T12:00:00Z", LATER])
occurrences = st.tuples(st.sampled_from(["payments", "orders", "search"]), moments, st.booleans())


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(occurrences, min_size=1, max_size=3), max_size=6))
def test_whatever_comes_in_whatever_order_the_rows_agree(deliveries):
    with transaction.atomic():
        for occurred in deliveries:
            alerts = [
                alert("A", service, starts_at=start, ends_at="2026-11-21T13:00:00Z" if over else None)
                for service, start, over in occurred
            ]
            first, _ = come(*alerts)
            assert first.state == "digested"
        seen = {(service, start) for occurred in deliveries for service, start, _ in occurred}
        over = {(service, start) for occurred in deliveries for service, start, is_over in occurred if is_over}
        assert Alert.objects.count() == len(seen)
        assert Alert.objects.filter(resolved=True).count() == len(over)
        assert not Alert.objects.filter(resolved=False, membership=None).exists(), "every firing alert is somebody's"
        assert all(record.broken_link(incident.pk) is None for incident in Incident.objects.all())
        transaction.set_rollback(True)


@contextmanager
def meanwhile(before: str, do):
    """``do`` is done by somebody else, with a connection of their own, right before a statement that begins so."""

    def aside():
        with connection.cursor() as cursor:  # who has to wait gives up soon
            postgres = connection.vendor == "postgresql"
            cursor.execute("SET lock_timeout = 200" if postgres else "PRAGMA busy_timeout = 200")
        try:
            do()
        finally:
            connection.close()

    def run(execute, sql, *rest):
        if sql.startswith(before):
            somebody = Thread(target=aside)
            somebody.start()
            somebody.join()
        return execute(sql, *rest)

    with connection.execute_wrapper(run):
        yield


@pytest.mark.django_db(transaction=True)
def test_nobody_ends_an_incident_while_an_alert_is_joining_it():
    come(alert("First"))
    incident, refused = Incident.objects.get(), []

    def end():
        try:
            Incident.objects.filter(pk=incident.pk).update(state=State.RESOLVED)
        except OperationalError as error:
            refused.append(error)

    with meanwhile('INSERT INTO "incidents_incidentalert"', end):
        come(alert("Second"))
    incident.refresh_from_db()
    assert (incident.state, len(refused), incident.members.count()) == ("open", 1, 2)
