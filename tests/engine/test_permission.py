"""The gate: what is judged is written or begun before anybody else is judged; the last word is spoken right there."""

from dataclasses import replace
from datetime import timedelta

import pytest

from sre_platform.catalog.models import Service
from sre_platform.engine import approvals, explaining, line, permission
from sre_platform.engine.work import load
from sre_platform.guardrails.domain import Answer, Reach
from sre_platform.guardrails.models import Gate, RemediationPolicy, set_kill_switch
from sre_platform.incidents.domain import State
from sre_platform.kernel.clock import now
from sre_platform.kernel.errors import Lost
from sre_platform.remediation import steps
from sre_platform.remediation.models import Step
from sre_platform.rollouts.models import Rollout
from tests.engine.story import alert, delivered, drive, fire, install, last, sound, step_on, strict
from tests.fakes.leases import incident as bare_incident
from tests.fakes.leases import take

pytestmark = pytest.mark.django_db


def passed() -> int:
    return sum(Gate.objects.values_list("passed", flat=True))


def proposed(shop, mode="auto"):
    """The work of an incident whose cause is known, and the step that is proposed."""
    install(shop, mode)
    strict()
    work = load(take(drive(fire(), State.DIAGNOSED).pk))
    return work, next(item.step for item in work.proposals() if item.step)


def test_what_is_permitted_is_written_in_the_gate_and_names_its_policy(shop):
    work, step = proposed(shop)
    before, version = passed(), RemediationPolicy.objects.get().version
    assert permission.permit(work, step)[1].answer is Answer.ALLOW
    stored = Step.objects.get()
    assert (stored.state, stored.policy, passed()) == ("prepared", f"all v{version}", before + 1)


@pytest.mark.parametrize(("mode", "answer", "written"), [("approve", Answer.ASK, 1), ("suggest", Answer.DENY, 0)])
def test_what_is_denied_is_not_written(shop, mode, answer, written):
    work, step = proposed(shop, mode)
    assert permission.permit(work, step)[1].answer is answer
    assert Step.objects.count() == written


def test_a_target_that_is_held_denies_it_whatever_the_guards_say(shop):
    work, step = proposed(shop)
    Step.objects.create(incident=work.incident, cause="c", action="a", target="payments", says="s", aim={})
    judgements, said = permission.permit(work, step)
    assert (said.answer, said.reason) == (Answer.DENY, "another action holds payments.")
    assert {j.answer for j in judgements} == {Answer.ALLOW}


def test_who_was_overtaken_writes_nothing(shop):
    work, step = proposed(shop)
    take(work.incident.pk, "the next owner")
    with pytest.raises(Lost):
        permission.permit(work, step)
    assert Step.objects.count() == 0


def test_an_approved_step_is_judged_again_right_before_it_is_begun(shop, monkeypatch):
    install(shop, mode="approve")
    incident = drive(fire(), State.AWAITING_APPROVAL)
    assert approvals.decide(incident.pk, "ann", approved=True)
    take_sample = line.sampling.take

    def stopped_meanwhile(*args):
        set_kill_switch(True, "bob", "deploy night")  # after everything else has been looked at
        return take_sample(*args)

    monkeypatch.setattr(line.sampling, "take", stopped_meanwhile)
    drive(incident)
    assert (incident.state, last(incident).name) == ("escalated", "refused")
    assert "deploy night (by bob)" in last(incident).reason
    assert [g["guard"] for g in last(incident).data["guards"] if g["answer"] == "deny"] == ["kill_switch"]
    assert (shop.supervisor.effects, incident.steps.repairs().get().state, sound(incident)) == ([], "cancelled", True)


def test_a_policy_that_was_changed_after_the_approval_counts(shop):
    install(shop, mode="approve")
    incident = drive(fire(), State.AWAITING_APPROVAL)
    assert approvals.decide(incident.pk, "ann", approved=True)
    RemediationPolicy.objects.update(mode="observe")
    assert step_on(incident) is State.ESCALATED
    assert (last(incident).name, shop.supervisor.effects) == ("refused", [])


def test_what_the_guards_alone_permitted_waits_for_a_person_once_its_policy_wants_one(shop):
    install(shop)
    incident = drive(fire(), State.APPROVED)
    RemediationPolicy.objects.update(mode="approve")
    assert step_on(incident) is State.AWAITING_APPROVAL
    assert ("wants a person to approve" in last(incident).reason, shop.supervisor.effects) == (True, [])
    assert (incident.steps.repairs().get().state, sound(incident)) == ("prepared", True)
    assert delivered(incident) is not None, "a person is told"
    assert approvals.decide(incident.pk, "ann", approved=True)
    assert (drive(incident).state, shop.release) == (State.RESOLVED, "v1")


def test_what_the_guards_alone_permitted_waits_for_a_person_once_its_alerts_come_and_go(shop):
    install(shop)
    incident = drive(fire(), State.APPROVED)
    for starts_s in range(1, 6):
        alert("resolved", starts_s=starts_s - 1)
        alert(starts_s=starts_s)
    assert step_on(incident) is State.AWAITING_APPROVAL
    assert ("comes and goes" in last(incident).reason, shop.supervisor.effects) == (True, [])


def begun_by_a_dead_owner(shop, half_done=False):
    install(shop)
    incident = drive(fire(), State.APPROVED)
    Step.objects.update(state=Step.State.APPLYING, applying_at=incident.opened_at)
    if half_done:
        shop.switch("v1")
    return incident


def test_what_a_dead_owner_left_half_done_is_finished_though_the_policy_has_changed(shop):
    incident = begun_by_a_dead_owner(shop, half_done=True)
    RemediationPolicy.objects.update(mode="observe")
    assert step_on(incident) is State.REMEDIATED
    assert (shop.release, len(shop.supervisor.effects)) == ("v1", 2)


@pytest.mark.parametrize(
    ("meanwhile", "event"),
    [
        (lambda: RemediationPolicy.objects.update(mode="observe"), "refused"),
        (lambda: RemediationPolicy.objects.update(mode="approve"), "needs_approval"),
        (lambda: alert("resolved"), "alerts_cleared"),
    ],
)
def test_of_which_a_dead_owner_had_done_nothing_is_judged_like_any_other(shop, meanwhile, event):
    incident = begun_by_a_dead_owner(shop)
    meanwhile()
    step_on(incident)
    assert (last(incident).name, shop.release, shop.supervisor.effects) == (event, "v2", [])
    step = incident.steps.repairs().get()
    assert (step.state, step.applying_at) == ("prepared" if event == "needs_approval" else "cancelled", None)


def test_of_which_a_dead_owner_had_done_nothing_is_begun_now_and_its_cooldown_with_it(shop):
    incident = begun_by_a_dead_owner(shop)
    long_ago = now() - timedelta(hours=3)
    Step.objects.update(applying_at=long_ago)
    assert step_on(incident) is State.REMEDIATED
    assert (shop.release, incident.steps.repairs().get().applying_at > long_ago + timedelta(hours=2)) == ("v1", True)


def test_what_was_finished_late_counts_from_then(shop):
    incident = begun_by_a_dead_owner(shop, half_done=True)
    long_ago = now() - timedelta(hours=3)
    Step.objects.update(applying_at=long_ago)
    assert step_on(incident) is State.REMEDIATED
    assert steps.past()[0].at > long_ago + timedelta(hours=2)


def test_the_share_that_stays_ready_is_judged_as_it_is_when_it_begins(shop, monkeypatch):
    install(shop, mode="approve")
    RemediationPolicy.objects.update(min_healthy_share=0.6)
    prepare, ready = steps.ACTIONS.get("rollback_release").prepare, [4]

    def of_four(*args):
        return replace(prepare(*args), reach=Reach(4, ready[0], 1))

    monkeypatch.setattr(steps.ACTIONS.get("rollback_release"), "prepare", of_four)
    incident = drive(fire(), State.AWAITING_APPROVAL)
    assert approvals.decide(incident.pk, "ann", approved=True)
    ready[0] = 3  # one of them has failed while people thought about it
    told = explaining.of_incident(incident.pk)
    assert (told.allowed, told.counts.verdict.guard) == (False, "healthy_share")
    assert step_on(incident) is State.ESCALATED
    assert ("2 of 4 instances" in last(incident).reason, shop.supervisor.effects) == (True, [])


def test_what_would_be_taken_back_to_something_else_by_now_is_not_begun(shop):
    incident = drive(fire_at(shop), State.APPROVED)
    Step.objects.repairs().update(undo={"to": "v0"})  # as if somebody had linked another release without a restart
    assert step_on(incident) is State.OPEN
    assert ("has changed since" in last(incident).reason, shop.supervisor.effects) == (True, [])


def promoting(**fields):
    known = {
        "service": "payments",
        "baseline": "v1",
        "canary": "v2",
        "router": "envoy",
        "steps": [],
        "started_by": "ann",
    }
    known |= dict.fromkeys(("state_since", "step_since", "started_at"), now())
    return Rollout.objects.create(**known | {"state": "promoting"} | fields)


@pytest.mark.parametrize("state", [State.DIAGNOSED, State.APPROVED])
def test_nothing_is_done_to_a_service_that_a_rollout_is_moving_until_that_has_ended(shop, state):
    incident = drive(fire_at(shop), state)
    row = promoting()
    assert [step_on(incident), step_on(incident)] == [state, state]
    waits = incident.timeline.filter(name="waits").values_list("reason", flat=True)
    assert list(waits) == [f"Waits, because roll-out {row.pk} is moving payments at this moment."]
    assert "It would wait" in explaining.of_incident(incident.pk).would
    assert (shop.supervisor.effects, shop.release) == ([], "v2")
    Rollout.objects.update(state="promoted", ended_at=now())
    assert (drive(incident).state, shop.release) == (State.RESOLVED, "v1")


def test_a_rollout_that_does_not_come_to_its_end_is_not_waited_for_for_ever(shop):
    incident = drive(fire_at(shop), State.APPROVED)
    promoting()
    incident.timeline.update(at=now() - timedelta(minutes=2))
    assert step_on(incident) is State.ESCALATED
    assert ("is moving payments" in last(incident).reason, shop.supervisor.effects) == (True, [])


@pytest.mark.parametrize("fields", [{"state": "walking"}, {"service": "orders"}, {"ended_at": now()}])
def test_a_rollout_that_moves_nothing_here_keeps_nothing_back(shop, fields):
    incident = drive(fire_at(shop), State.DIAGNOSED)
    promoting(**fields)
    assert step_on(incident) is State.APPROVED


def fire_at(shop):
    install(shop)
    return fire()


def test_a_service_that_was_taken_out_of_scope_meanwhile_is_not_touched(shop, monkeypatch):
    incident = drive(fire_at(shop), State.APPROVED)
    take_sample = line.sampling.take

    def out_of_scope_meanwhile(*args):
        Service.objects.update(labels={})  # after the stage has read the catalog
        return take_sample(*args)

    monkeypatch.setattr(line.sampling, "take", out_of_scope_meanwhile)
    assert step_on(incident) is State.ESCALATED
    assert ("not labelled automation" in last(incident).reason, shop.supervisor.effects) == (True, [])


def test_what_a_dead_owner_began_is_not_finished_while_all_automation_is_stopped(shop):
    incident = begun_by_a_dead_owner(shop, half_done=True)
    set_kill_switch(True, "ann", "migration")
    assert step_on(incident) is State.ESCALATED
    assert (last(incident).name, "migration" in last(incident).reason) == ("refused", True)
    assert (shop.release, shop.supervisor.effects) == ("v1", [])


def test_what_does_not_help_is_left_as_it_is_while_all_automation_is_stopped(shop):
    install(shop)
    strict()
    shop.bad = lambda: 1
    incident = drive(fire(), State.UNHEALTHY)
    done = list(shop.supervisor.effects)
    set_kill_switch(True, "ann", "migration")
    assert step_on(incident) is State.ESCALATED
    assert (last(incident).name, "migration" in last(incident).reason) == ("rollback_failed", True)
    assert (shop.supervisor.effects, shop.release) == (done, "v1")
    set_kill_switch(False, "ann", "")
    assert approvals.take_back(incident.pk, "ann"), "a person may ask for it later"
    assert (drive(incident).state, last(incident).name, shop.release) == (State.ESCALATED, "taken_back", "v2")
    assert sound(incident)


def test_two_incidents_are_judged_one_after_the_other(shop):
    work, step = proposed(shop)
    permission.permit(work, step)
    other = bare_incident(State.DIAGNOSED, key="other")
    late = load(take(other.pk))
    fields = {
        "cause": "c",
        "action": "restart_service",
        "target": "payments",
        "says": "s",
        "aim": {},
        "plan": step.plan,
    }
    said = permission.permit(late, Step(incident=other, **fields))[1]
    assert (said.answer, said.guard) == (Answer.DENY, "one_per_target")
