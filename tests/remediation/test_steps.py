"""The life of a step: its undo is stored first, the database holds its target, what has changed is left alone."""

import threading
from datetime import timedelta

import pytest
from django.db import IntegrityError, connection

from sre_platform.guardrails.models import set_kill_switch
from sre_platform.incidents.domain import State
from sre_platform.incidents.models import Incident
from sre_platform.kernel.clock import now
from sre_platform.kernel.errors import Lost, Rejected, Unavailable
from sre_platform.remediation import steps
from sre_platform.remediation.domain import Prepared
from sre_platform.remediation.models import Step
from sre_platform.remediation.steps import Outcome, carry_out
from tests.fakes.leases import Overtaken, incident, take, with_fate

pytestmark = pytest.mark.django_db


def written(shop, name="rollback_release", about=None, **params):
    prepared = steps.prepare(name, params, shop.target(), shop.world())
    about = about or incident()
    fields = {"incident_id": about.pk, "cause": "bad_release", "action": name, "target": "payments", "params": params}
    step = steps.from_prepared(prepared, **fields)
    assert steps.write(step)
    return step


def carry(shop, step, lease=None):
    step.refresh_from_db()
    return carry_out(step, shop.target(), shop.world(), lease or take(step.incident_id))


def state(step):
    step.refresh_from_db()
    return step.state


@pytest.mark.django_db(transaction=True)
def test_the_undo_is_stored_before_anything_is_done(shop):
    step, rows, failed = written(shop), [], []

    def look(verb, _name):
        try:
            rows.append((verb, threading.current_thread().name, *Step.objects.values_list("state", "undo").get()))
        except Exception as error:  # seen in the test, not in the server's thread
            failed.append(error)
        finally:
            connection.close()

    shop.supervisor.watch = look
    assert carry(shop, step).outcome is Outcome.DONE
    assert failed == []
    assert [(verb, row_state, undo) for verb, _, row_state, undo in rows] == [
        ("stop", "applying", {"to": "v2", "only_from": "v1"}),
        ("start", "applying", {"to": "v2", "only_from": "v1"}),
    ]
    assert threading.current_thread().name not in {thread for _, thread, _, _ in rows}


def test_a_step_is_applied_once_and_keeps_what_came_of_it(shop):
    step = written(shop)
    carried = carry(shop, step)
    assert carried.outcome is Outcome.DONE
    assert carried.said == f"Payments is linked to v1; payments runs again as process {shop.process.pid}."
    assert (state(step), step.result, step.needs_undo) == ("applied", carried.said, True)
    assert step.applying_at <= step.applied_at
    assert carry(shop, step) == carried
    assert shop.supervisor.effects == [("stop", "payments"), ("start", "payments")]


def test_two_incidents_cannot_hold_one_target(shop):
    written(shop)
    other = steps.from_prepared(
        steps.prepare("restart_service", {}, shop.target(), shop.world()),
        incident_id=incident(key="other").pk, cause="hung", action="restart_service", target="payments",
    )  # fmt: skip
    assert not steps.write(other)
    assert Step.objects.count() == 1


@pytest.mark.parametrize("held", Step.HOLDING)
def test_the_database_itself_refuses_a_second_holder(shop, held):
    step = written(shop)
    Step.objects.filter(pk=step.pk).update(state=held)
    with pytest.raises(IntegrityError):
        Step.objects.create(incident=incident(key="other"), cause="c", action="a", target="payments", says="s", aim={})


@pytest.mark.parametrize("free", ["failed", "undone", "kept", "cancelled"])
def test_a_step_that_is_over_lets_go_of_its_target(shop, free):
    step = written(shop)
    Step.objects.filter(pk=step.pk).update(state=free)
    other = written(shop, about=incident(key="other"))
    assert list(Step.objects.filter(state__in=Step.HOLDING)) == [other]


def test_a_target_that_has_changed_is_left_alone(shop):
    step = written(shop)
    shop.process.spawn()
    carried = carry(shop, step)
    assert carried.outcome is Outcome.CHANGED
    assert "payments has changed since the step was prepared" in carried.said
    assert (state(step), step.needs_undo, shop.release, shop.supervisor.effects) == ("cancelled", False, "v2", [])


def test_a_step_that_makes_no_sense_any_more_fails_with_the_reason(shop):
    step = written(shop)
    shop.switch("v1")
    carried = carry(shop, step)
    assert (carried.outcome, shop.supervisor.effects) == (Outcome.CHANGED, [])
    assert "No deploy is known" in carried.said


def test_what_could_not_even_be_begun_may_be_tried_again(shop):
    step = written(shop)
    shop.supervisor.down = True
    with pytest.raises(Unavailable, match="503"):
        carry(shop, step)
    assert (state(step), shop.release) == ("prepared", "v2")
    shop.supervisor.down = False
    assert carry(shop, step).outcome is Outcome.DONE


def test_a_refusal_is_a_failure_that_has_to_be_undone(shop):
    step = written(shop)
    shop.process.can_start = False
    carried = carry(shop, step)
    assert carried.outcome is Outcome.FAILED
    assert "SPAWN_ERROR" in carried.said
    assert (state(step), step.needs_undo, shop.release) == ("failed", True, "v1")


def test_a_failed_step_is_not_applied_again_by_the_next_owner(shop):
    step = written(shop)
    shop.process.can_start = False
    first = carry(shop, step)
    shop.process.can_start = True
    assert carry(shop, step) == first
    assert (state(step), shop.supervisor.did("start")) == ("failed", 0)


@pytest.mark.parametrize("failure", ["die_before", "die_after"])
def test_an_answer_that_got_lost_is_unknown_and_the_next_look_knows(shop, failure):
    step = written(shop, "restart_service")
    shop.supervisor.fail["startProcess"] = failure
    carried = carry(shop, step)
    assert carried.outcome is Outcome.UNKNOWN
    assert (state(step), step.undo) == ("applying", {"leave": "running"})
    assert carry(shop, step).outcome is Outcome.DONE
    assert shop.supervisor.effects == [("stop", "payments"), ("start", "payments")]


def test_applying_is_unknown_while_the_supervisor_is_away(shop):
    step = written(shop, "restart_service")
    shop.supervisor.fail["startProcess"] = "die_after"
    carry(shop, step)
    shop.supervisor.down = True
    carried = carry(shop, step)
    assert carried.outcome is Outcome.UNKNOWN
    assert state(step) == "applying"


@pytest.mark.parametrize(
    ("last", "release", "effects"),
    [
        (1, "v2", []),
        (2, "v2", []),
        (3, "v1", []),
        (4, "v1", [("stop", "payments")]),
        (5, "v1", [("stop", "payments"), ("start", "payments")]),
    ],
)
def test_who_has_lost_the_lease_stops_before_the_next_effect(shop, last, release, effects):
    step = written(shop)
    old = with_fate(Overtaken, take(step.incident_id), last)
    with pytest.raises(Lost, match="taken over"):
        carry(shop, step, old)
    assert (shop.release, shop.supervisor.effects) == (release, effects)
    assert state(step) == ("prepared" if last == 1 else "applying")
    assert carry(shop, step).outcome is Outcome.DONE
    assert shop.supervisor.effects == [("stop", "payments"), ("start", "payments")]


def test_undo_restores_the_release_and_both_let_go(shop):
    step = written(shop)
    carry(shop, step)
    undo = steps.begin_undo(step, shop.target(), shop.world())
    assert (undo.says, undo.undoes, state(step)) == ("Roll payments back from v1 to v2", step, "undoing")
    assert steps.begin_undo(step, shop.target(), shop.world()).pk == undo.pk
    assert carry(shop, undo).outcome is Outcome.DONE
    steps.undone(step)
    assert (state(step), state(undo), shop.release, shop.process.state) == ("undone", "kept", "v2", "RUNNING")
    assert not step.needs_undo
    written(shop, about=incident(key="other"))


def test_undo_of_a_restart_leaves_it_down_as_it_was_found(shop):
    shop.process.die("EXITED")
    step = written(shop, "restart_service")
    carry(shop, step)
    undo = steps.begin_undo(step, shop.target(), shop.world())
    carry(shop, undo)
    assert shop.process.state == "STOPPED"


def test_what_has_no_undo_says_why(shop):
    about = incident()
    prepared = Prepared("Drop the cache", {"cache": "empty"}, None, "what it held is gone")
    step = steps.from_prepared(prepared, incident_id=about.pk, cause="c", action="restart_service", target="payments")
    assert steps.write(step)
    with pytest.raises(Rejected, match="Drop the cache cannot be undone: what it held is gone"):
        steps.begin_undo(step, shop.target(), shop.world())


def test_the_past_is_what_was_begun_and_what_holds_a_target(shop):
    step = written(shop)
    assert [(p.incident_id, p.active) for p in steps.past()] == [(step.incident_id, True)]
    assert steps.past(but=step) == []
    steps.release(step.incident_id)
    assert (state(step), steps.past()) == ("cancelled", [])
    other = written(shop, about=incident(key="other"))
    carry(shop, other)
    undo = steps.begin_undo(other, shop.target(), shop.world())
    [known] = steps.past()
    assert (known.incident_id, known.action, known.active) == (other.incident_id, "rollback_release", True)
    carry(shop, undo)
    steps.undone(other)
    assert [(p.action, p.active) for p in steps.past()] == [("rollback_release", False)]


@pytest.mark.parametrize(
    ("incidents", "active"), [("approved", True), ("unhealthy", True), ("diagnosed", False), ("escalated", False)]
)
def test_what_has_failed_half_done_is_active_until_it_was_taken_back(shop, incidents, active):
    step = written(shop)
    Step.objects.update(state=Step.State.FAILED, applying_at=now())
    Incident.objects.filter(pk=step.incident_id).update(state=incidents)
    assert [p.active for p in steps.past()] == [active]
    Step.objects.update(applying_at=None)
    assert steps.past() == [], "it was never begun"


def test_the_past_goes_as_far_back_as_is_asked_and_an_incidents_own_actions_count_for_ever(shop):
    step = written(shop)
    steps.release(carry(shop, step) and step.incident_id)
    begun = now() - timedelta(days=3)
    Step.objects.update(applying_at=begun)
    assert steps.past() == []
    assert [p.at for p in steps.past(since=now() - timedelta(days=4))] == [begun]
    assert [p.at for p in steps.past(incident_id=step.incident_id)] == [begun]


def test_what_only_comes_before_a_repair_is_none(shop):
    step = written(shop)
    first = {"incident_id": step.incident_id, "cause": "c", "action": "look", "says": "s", "aim": {}}
    Step.objects.create(**first, target="payments", leads_to=step, state=Step.State.APPLYING, applying_at=now())
    assert [p.action for p in steps.past()] == ["rollback_release"]
    assert steps.past(but=step) == []


def test_while_all_automation_is_stopped_nothing_is_taken_back(shop):
    step = written(shop)
    carry(shop, step)
    done = list(shop.supervisor.effects)
    undo = steps.begin_undo(step, shop.target(), shop.world())
    set_kill_switch(True, "ann", "migration")
    carried = carry(shop, undo)
    assert (carried.outcome, carried.said) == (Outcome.FAILED, "All automation is stopped: migration (by ann).")
    assert (shop.supervisor.effects, shop.release) == (done, "v1")


def test_release_keeps_what_was_done(shop):
    step = written(shop)
    carry(shop, step)
    steps.release(step.incident_id)
    assert state(step) == "kept"


def test_only_the_present_owner_drops_what_was_left_prepared(shop):
    step = written(shop, about=incident(State.DIAGNOSED))
    old = take(step.incident_id)
    new = take(step.incident_id)
    with pytest.raises(Lost):
        steps.drop_prepared(old)
    assert state(step) == "prepared"
    steps.drop_prepared(new)
    assert state(step) == "cancelled"
