"""Whole stories, from the webhook to the ticket, against a supervisor, a release folder and a metrics page."""

from datetime import timedelta

import pytest

from sre_platform.catalog.models import Service
from sre_platform.engine import approvals, line
from sre_platform.engine.work import load
from sre_platform.guardrails.models import RemediationPolicy, set_kill_switch
from sre_platform.incidents.domain import Event, State
from sre_platform.incidents.models import Incident, TimelineEntry
from sre_platform.kernel.clock import now
from sre_platform.tickets.models import LocalTicket
from tests.engine.story import alert, delivered, drive, events, fire, install, last, sound, step_on, strict
from tests.fakes.leases import take

pytestmark = pytest.mark.django_db
HEALED = ["cause_found", "allowed", "steps_done", "fixed"]
STOP, START = ("stop", "payments"), ("start", "payments")


def test_a_bad_release_is_healed(shop):
    install(shop)
    incident = drive(fire())
    assert (incident.state, events(incident)) == ("resolved", HEALED)
    assert (shop.release, shop.supervisor.effects) == ("v1", [STOP, START])
    step = incident.steps.repairs().get()
    assert (step.state, step.undo) == ("kept", {"to": "v2", "only_from": "v1"})
    assert list(step.samples.values_list("number", "good")) == [(0, False), (1, True), (2, True), (3, True)]
    ticket = delivered(incident)
    assert (ticket.actual, ticket.labels) == ("closed", ["sre-platform", "bad-release"])
    assert "release v2 replaced v1" in ticket.body
    assert LocalTicket.objects.get().closed
    assert sound(incident)


def test_a_process_that_ended_is_started(shop):
    install(shop)
    shop.process.die("EXITED", -1)
    RemediationPolicy.objects.create(name="no-rollback", action="rollback_release", mode="observe", precedence=1)
    incident = drive(fire(name="ServiceDown"))
    assert (incident.state, events(incident)) == ("resolved", HEALED)
    assert incident.steps.repairs().get().cause == "process_down"
    assert (shop.release, shop.supervisor.effects) == ("v2", [START])


def test_what_does_not_help_is_taken_back_and_the_next_is_tried_until_people_take_over(shop):
    install(shop)
    strict()
    shop.bad = lambda: 1
    incident = drive(fire())
    tried = ["allowed", "steps_done", "not_fixed", "rolled_back"]
    assert events(incident) == ["cause_found", *tried, *tried, "refused"]
    assert incident.state == "escalated"
    repairs = list(incident.steps.repairs().values_list("action", "state"))
    assert repairs == [("rollback_release", "undone"), ("restart_service", "undone")]
    assert (shop.release, shop.process.state) == ("v2", "RUNNING")
    assert last(incident).reason == "No playbook has another action that makes sense here."
    ticket = delivered(incident)
    assert (ticket.wanted, ticket.actual, ticket.labels) == ("open", "open", ["sre-platform", "strict"])
    assert "Roll payments back from v2 to v1: undone." in ticket.body
    assert sound(incident)


def test_the_attempt_budget_of_the_policy_ends_it(shop):
    install(shop)
    strict()
    RemediationPolicy.objects.update(max_actions=1)
    shop.bad = lambda: 1
    incident = drive(fire())
    assert events(incident)[-2:] == ["rolled_back", "refused"]
    assert "1 actions were tried for this incident; policy all allows 1." in last(incident).reason
    assert incident.steps.repairs().count() == 1


def test_what_was_well_before_and_is_bad_after_is_worse(shop):
    install(shop)
    strict()
    incident = drive(fire(), State.APPROVED)
    shop.bad = lambda: int(shop.release == "v1")
    drive(incident, State.UNHEALTHY)
    assert last(incident).name == "worse"
    drive(incident, State.DIAGNOSED)
    assert shop.release == "v2"


@pytest.mark.parametrize("state", [State.OPEN, State.DIAGNOSED, State.AWAITING_APPROVAL])
def test_alerts_that_clear_end_it_with_nothing_done(shop, state):
    install(shop, mode="approve")
    incident = fire()
    if state is not State.OPEN:
        drive(incident, state)
    assert incident.state == state
    assert alert("resolved") == [incident.pk]
    drive(incident)
    assert (incident.state, last(incident).name) == ("resolved", "alerts_cleared")
    assert (shop.release, shop.supervisor.effects) == ("v2", [])
    assert set(incident.steps.values_list("state", flat=True)) in (set(), {"cancelled"})
    ticket = delivered(incident)
    assert ticket is None if state is not State.AWAITING_APPROVAL else ticket.actual == "closed"
    assert sound(incident)


def test_an_alert_that_joins_while_the_others_are_seen_clear_is_not_forgotten(shop):
    install(shop, mode="approve")
    incident = drive(fire(), State.AWAITING_APPROVAL)
    alert("resolved")
    lease = take(incident.pk)
    found = line.await_approval(load(lease))
    assert found.event is Event.ALERTS_CLEARED
    alert(name="HighLatency")  # between the look and the record
    assert line.settle(lease, found) == 0.0
    incident.refresh_from_db()
    assert (incident.state, incident.claimed_by) == ("awaiting_approval", "")
    assert incident.due_at <= now()
    assert sound(incident)


def test_alerts_that_clear_early_do_not_hurry_the_verification(shop):
    install(shop)
    incident = drive(fire(), State.REMEDIATED)
    due = incident.due_at
    alert("resolved")
    incident.refresh_from_db()
    assert (incident.state, incident.due_at) == (State.REMEDIATED, due)


def test_the_first_look_waits_until_the_neighbours_windows_see_nothing_of_the_time_before(shop):
    """Else what was well before the repair hides what it has done to them."""
    slow = {"kind": "rate", "metric": "x", "labels": {"job": "bank"}, "window_s": 77}
    Service.objects.create(name="bank", objectives=[{"name": "errors", "sli": slow, "op": "<=", "threshold": 0}])
    install(shop, depends_on=["bank"])
    incident = drive(fire(), State.REMEDIATED)
    waits = (incident.due_at - incident.timeline.filter(to_state=State.REMEDIATED).latest("seq").at).total_seconds()
    assert 76 < waits <= 77


def test_the_kill_switch_stops_even_what_was_decided(shop):
    install(shop)
    incident = drive(fire(), State.APPROVED)
    set_kill_switch(True, "ann", "migration")
    drive(incident)
    assert (incident.state, last(incident).name) == ("escalated", "refused")
    assert "migration (by ann)" in last(incident).reason
    assert (shop.supervisor.effects, incident.steps.repairs().get().state) == ([], "cancelled")
    assert delivered(incident).actual == "open"
    assert sound(incident)


def test_without_a_policy_nothing_is_touched(shop):
    install(shop)
    RemediationPolicy.objects.all().delete()
    incident = drive(fire())
    assert (last(incident).name, incident.steps.count(), shop.supervisor.effects) == ("refused", 0, [])
    assert "No policy covers rollback_release on payments for bad_release" in last(incident).reason


def test_an_approved_action_is_carried_out(shop):
    install(shop, mode="approve")
    incident = drive(fire(), State.AWAITING_APPROVAL)
    assert shop.supervisor.effects == []
    assert delivered(incident).actual == "open"
    assert approvals.decide(incident.pk, "ann", approved=True)
    assert not approvals.decide(incident.pk, "bob", approved=False)
    drive(incident)
    assert events(incident) == ["cause_found", "needs_approval", "approved", "steps_done", "fixed"]
    assert TimelineEntry.objects.get(incident=incident, name="approved").reason == "ann approved it."
    assert (shop.release, delivered(incident).actual) == ("v1", "closed")
    assert sound(incident)


def test_a_rejected_action_is_not(shop):
    install(shop, mode="approve")
    incident = drive(fire(), State.AWAITING_APPROVAL)
    assert approvals.decide(incident.pk, "ann", approved=False)
    incident.refresh_from_db()
    assert (incident.state, last(incident).reason) == ("escalated", "ann rejected it.")
    assert (shop.supervisor.effects, incident.steps.repairs().get().state) == ([], "cancelled")
    assert sound(incident)


def test_nobody_decides_for_ever(shop):
    install(shop, mode="approve")
    incident = drive(fire(), State.AWAITING_APPROVAL)
    waits = (incident.due_at - incident.timeline.latest("seq").at).total_seconds()
    assert 14 * 60 < waits <= 15 * 60
    assert step_on(incident) == State.AWAITING_APPROVAL, "woken too early"
    assert 14 * 60 < (incident.due_at - now()).total_seconds() <= 15 * 60
    incident.timeline.filter(to_state=State.AWAITING_APPROVAL).update(at=now() - timedelta(minutes=15))
    drive(incident)
    assert (incident.state, last(incident).reason) == ("escalated", "Nobody approved within 15 minutes.")


def test_a_person_cannot_decide_what_changed_meanwhile(shop):
    install(shop, mode="approve")
    shop.bad = lambda: 1  # and is so whoever starts it again
    incident = drive(fire(), State.AWAITING_APPROVAL)
    shop.process.spawn()
    approvals.decide(incident.pk, "ann", approved=True)
    drive(incident, State.OPEN)
    assert last(incident).name == "changed"
    assert "has changed since the step was prepared" in last(incident).reason
    assert (shop.release, shop.supervisor.effects) == ("v2", [])
    drive(incident, State.AWAITING_APPROVAL)
    assert incident.findings.order_by("-round").first().round > 1
    assert incident.steps.repairs().latest("pk").action == "rollback_release"


def test_what_changes_again_and_again_is_left_to_people(shop):
    install(shop, mode="approve")
    shop.bad = lambda: 1
    incident = fire()
    for _ in range(3):
        drive(incident, State.AWAITING_APPROVAL)
        shop.process.spawn()
        approvals.decide(incident.pk, "ann", approved=True)
        step_on(incident)
    assert (incident.state, last(incident).name) == (State.ESCALATED, "refused")
    assert "That was the 3. time, so people have it now." in last(incident).reason
    assert (shop.supervisor.effects, sound(incident)) == ([], True)


def test_a_worker_that_dies_before_it_says_what_changed_loses_nothing(shop):
    install(shop, mode="approve")
    incident = drive(fire(), State.AWAITING_APPROVAL)
    approvals.decide(incident.pk, "ann", approved=True)
    incident.steps.repairs().update(state="cancelled", result="It has changed.")
    step_on(incident)
    assert (incident.state, last(incident).reason) == (State.OPEN, "It has changed. It is looked at again.")


def test_what_cannot_be_measured_is_not_fixed_and_the_ticket_holds_the_undo(shop):
    install(shop)
    strict()
    incident = drive(fire(), State.APPROVED)
    shop.bad = lambda: None
    drive(incident)
    assert (incident.state, last(incident).name) == ("escalated", "unverified")
    assert (shop.release, incident.steps.repairs().get().state) == ("v1", "kept")  # not taken back on a mere suspicion
    assert "Undo: `rollback_release {'to': 'v2', 'only_from': 'v1'}`" in delivered(incident).body
    assert sound(incident)


def test_an_unknown_outcome_is_left_to_verification(shop):
    install(shop)
    strict()
    incident = drive(fire(), State.APPROVED)
    shop.supervisor.fail["startProcess"] = "die_after"
    assert step_on(incident) == State.REMEDIATED
    assert last(incident).name == "step_unknown"
    drive(incident)
    assert (incident.state, last(incident).name) == ("resolved", "fixed")
    assert shop.supervisor.effects == [STOP, START]


def test_a_refused_action_is_taken_back(shop):
    install(shop)
    incident = drive(fire(), State.APPROVED)
    shop.supervisor.fail["startProcess"] = "refuse"
    drive(incident, State.DIAGNOSED)
    assert events(incident)[-2:] == ["step_failed", "rolled_back"]
    assert (shop.release, shop.process.state) == ("v2", "RUNNING")


def test_an_alert_without_a_playbook_goes_to_people(shop):
    install(shop)
    incident = drive(fire(name="DiskFull"))
    assert (incident.state, last(incident).reason) == ("escalated", "No playbook is for these alerts.")
    assert delivered(incident).actual == "open"
    assert sound(incident)


def test_an_unknown_service_goes_to_people(shop):
    install(shop)
    incident = drive(fire(service="billing"))
    assert incident.state == "escalated"
    assert "knows no service 'billing'" in last(incident).reason


def test_a_cause_is_looked_for_until_patience_is_over(shop):
    install(shop, objectives=[])
    incident = fire()
    assert [step_on(incident), step_on(incident)] == [State.OPEN, State.OPEN]
    incident.evidence.update(collected_at="2026-01-01T00:00:00Z")
    assert step_on(incident) == State.ESCALATED
    assert "No rule names a cause" in last(incident).reason
    assert "The catalog names no objectives for payments." in last(incident).data["not_seen"]
    assert incident.evidence.values("round").distinct().count() == 3


def test_a_second_incident_may_not_touch_the_same_target(shop):
    install(shop)
    first = drive(fire(), State.APPROVED)
    other = Incident.objects.create(
        key="other", service="payments", title="t", state="open", playbooks=first.playbooks,
        opened_at=first.opened_at, due_at=first.opened_at,
    )  # fmt: skip
    first.members.update(incident=other)  # its alert still fires
    drive(other)
    assert last(other).name == "refused"
    assert last(other).reason.endswith(f"Incident {first.pk} is acting on payments right now.")
    assert (other.steps.count(), shop.supervisor.effects) == (0, [])


def test_a_stage_that_keeps_failing_is_given_to_people(shop, settings):
    install(shop)
    incident = drive(fire(), State.APPROVED)
    shop.supervisor.down = True
    assert [step_on(incident) for _ in range(3)] == [State.APPROVED] * 3
    assert step_on(incident) == State.ESCALATED
    assert last(incident).reason == "The stage failed 3 times, so it is not tried again."
    failed = incident.timeline.filter(name="stage_failed")
    assert (failed.count(), "503" in failed[0].reason) == (3, True)
    assert incident.steps.repairs().get().state == "cancelled"
    assert delivered(incident).actual == "open"
    assert sound(incident)


def test_secrets_are_in_no_row(shop, settings):
    install(shop)
    incident = drive(fire(), State.APPROVED)
    settings.SRE_SUPERVISOR_URL = "http://sre:do-not-store@127.0.0.1:1"
    drive(incident)
    told = [f"{entry.reason} {entry.data}" for entry in incident.timeline.all()] + [delivered(incident).body]
    assert not [text for text in told if "do-not-store" in text]
