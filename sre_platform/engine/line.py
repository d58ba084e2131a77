"""The line: how an incident gets from its first alert to its end. Read this page and you know the story.

    OPEN ── diagnose ──▶ DIAGNOSED ── decide ──▶ APPROVED ── remediate ──▶ REMEDIATED ── verify ──▶ RESOLVED
                             ▲         │                        │                          │
                             │         ▼ a person is asked      ▼ a step failed            ▼ not fixed, or worse
                             │   AWAITING_APPROVAL          UNHEALTHY ◀────────────────────┘
                             └────────── rolled back ───────────┘            whatever cannot go on: ESCALATED, to people

Each handler is given the work that was claimed, calls one room, and returns what was found: an Event with its reason,
or Wait. Nothing is remembered between two calls but rows, so any process may die at any time: the lease runs out, the
sweep rings again, and the next owner goes on from what the rows (and, for a step that was begun, the world) say.
"""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import structlog
from django.conf import settings
from django.db import transaction

from sre_platform.catalog.domain import Target
from sre_platform.diagnosis import investigate
from sre_platform.engine import permission, telling, watched
from sre_platform.engine.work import Work, load
from sre_platform.guardrails import domain as guardrails
from sre_platform.incidents import record
from sre_platform.incidents.correlate import all_clear, held_by
from sre_platform.incidents.domain import ENDED, Event, State
from sre_platform.incidents.models import Incident
from sre_platform.kernel.clock import now
from sre_platform.kernel.errors import Lost, Rejected
from sre_platform.remediation import steps
from sre_platform.remediation.models import Step
from sre_platform.verification import sampling

RELAPSE_PATIENCE_S = 60.0  # how long a relapse that was measured waits for an alert that says so
LOOK_AGAIN_S = 3.0  # between two looks while no cause is found
PATIENCE_S = 20.0  # how long to look for a cause before people are called
APPROVAL_EXPIRES_S = 15 * 60.0
MAX_FAILURES = 3  # of one stage: exceptions, and workers that died in it
RETRY_S = 2.0
MAX_CHANGES = 3  # what changes under one's hands again and again, somebody is working on
ROLLOUT = "rollout"  # the guard whose denial is over within seconds, one way or the other
ROLLOUT_PATIENCE_S = 60.0  # then it does not come to an end by itself, and people are called
log = structlog.get_logger()


@dataclass(frozen=True)
class Move:
    """Something was found out or done: the event that moves the incident on, after ``due_in_s`` seconds.

    ``watch`` is how long a repair is looked at afterwards for a relapse, and how often, in seconds.
    """

    event: Event
    reason: str
    data: dict[str, Any] = field(default_factory=dict)
    due_in_s: float = 0.0
    watch: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True)
class Wait:
    """Nothing new yet, or the stage ``failed``: look again in so many seconds. A ``reason`` is told, but not twice."""

    seconds: float
    reason: str = ""
    failed: bool = False


def overtaken(incident: Incident, what: str) -> Move | Wait | None:
    """What keeps an incident from going on before ``what`` is done: its alerts are gone, or its parent comes first."""
    if all_clear(incident.pk):
        return _measured_only(incident) or Move(Event.ALERTS_CLEARED, f"All alerts resolved before {what}.")
    if why := held_by(incident):
        return Wait(LOOK_AGAIN_S, f"Waits, because {why}.")
    return None


def _measured_only(incident: Incident) -> Move | Wait | None:
    """Of a relapse that was measured and that no alert has told of: wait for one, then ask people. Nothing is done."""
    back = incident.relapsed_at
    if back is None or incident.state != State.OPEN or (incident.last_alert_at and incident.last_alert_at >= back):
        return None
    if now() < back + timedelta(seconds=RELAPSE_PATIENCE_S):
        return Wait(LOOK_AGAIN_S, "It was measured to be worse again; waits for an alert that says so.")
    return Move(Event.NO_CAUSE, f"It got worse again, and no alert has said so within {RELAPSE_PATIENCE_S:.0f} s.")


def diagnose(work: Work) -> Move | Wait:
    """Look at the service and what it depends on, and name the likeliest cause."""
    if found := overtaken(work.incident, "anybody had to look"):
        return found
    if work.incident.storm:
        return Move(Event.NO_CAUSE, "Too many services at once: automation is paused until the storm is over.")
    if not work.playbooks:
        return Move(Event.NO_CAUSE, "No playbook is for these alerts.")
    if work.incident.service not in work.topology:
        return Move(
            Event.NO_CAUSE, f"The catalog knows no service {work.incident.service!r}, so nothing can be looked at."
        )
    evidence, ranked = investigate.diagnose(
        work.playbooks, work.topology, work.incident.service, work.scene(), work.bounded
    )
    work.keep(evidence, ranked)
    if ranked:
        best = ranked[0].finding
        return Move(Event.CAUSE_FOUND, best.because[0], {"cause": best.as_json(), "others": len(ranked) - 1})
    if now() < work.looking_since() + timedelta(seconds=PATIENCE_S):
        return Wait(LOOK_AGAIN_S)
    unseen = sorted({item.missing for item in evidence if item.missing})
    return Move(Event.NO_CAUSE, "No rule names a cause that is sure enough.", {"not_seen": unseen})


def decide(work: Work) -> Move | Wait:
    """Find the first candidate that makes sense, ask the guards about it, and write it down with its undo."""
    if found := overtaken(work.incident, "anything was done"):
        return found
    steps.drop_prepared(work.lease)
    skipped = []
    for proposal in work.proposals():
        step = proposal.step
        if step is None:
            skipped.append(f"{proposal.action} on {proposal.service}: {proposal.cannot}")
            continue
        judgements, verdict = permission.permit(work, step, proposal.first)
        data = {"says": step.says, "undo": step.undo, "guards": [j.as_json() for j in judgements], "skipped": skipped}
        data |= {"plan": step.plan, "policy": step.policy}
        if wait := _after_rollout(work, verdict):
            return wait
        if verdict.answer is guardrails.Answer.DENY:
            return Move(Event.REFUSED, f"{step.says}: {verdict.reason}", data)
        if verdict.answer is guardrails.Answer.ASK:
            return Move(Event.NEEDS_APPROVAL, f"{step.says}: {verdict.reason}", data, due_in_s=APPROVAL_EXPIRES_S)
        return Move(Event.ALLOWED, f"{step.says}: {verdict.reason}", data)
    return Move(Event.REFUSED, "No playbook has another action that makes sense here.", {"skipped": skipped})


def _after_rollout(work: Work, verdict: guardrails.Judgement) -> Wait | None:
    """Wait for a roll-out that only just moves the service; None when nothing is waited for, or not any more."""
    if verdict.guard != ROLLOUT or now() > work.moved_at() + timedelta(seconds=ROLLOUT_PATIENCE_S):
        return None
    return Wait(LOOK_AGAIN_S, f"Waits, because {verdict.reason[:1].lower()}{verdict.reason[1:]}")


def await_approval(work: Work) -> Move | Wait:
    """Nobody has decided: the alerts are gone, or the time is over, or it was woken by an alert that comes and goes."""
    if all_clear(work.incident.pk):
        return Move(Event.ALERTS_CLEARED, "All alerts resolved before anybody approved.")
    left_s = (work.asked_at() + timedelta(seconds=APPROVAL_EXPIRES_S) - now()).total_seconds()
    if left_s > 0:
        return Wait(left_s)
    return Move(Event.REJECTED, f"Nobody approved within {APPROVAL_EXPIRES_S / 60:.0f} minutes.")


def remediate(work: Work) -> Move | Wait:
    """Measure how it is before, then carry out the step that was decided on, or find out what became of it."""
    step, target = work.step(), work.target()
    try:
        if step.state == step.State.PREPARED:
            permission.still(work, step)
            work.sample(step, 0)
            if failed := _first(work, step, target):
                return failed
        carried = steps.carry_out(step, target, work.world(), work.lease, permission.beginning(work))
    except guardrails.Denied as denied:
        return _denied(work, step, denied)
    told = {"says": step.says, "undo": step.undo, "action": step.action, "target": step.target}
    if carried.outcome is steps.Outcome.CHANGED:
        return _anew(work, carried.said, told)
    event = {
        steps.Outcome.DONE: Event.STEPS_DONE,
        steps.Outcome.FAILED: Event.STEP_FAILED,
        steps.Outcome.UNKNOWN: Event.STEP_UNKNOWN,
    }[carried.outcome]
    looked_at = [*work.criteria(), *work.neighbours()]
    return Move(event, carried.said, told, due_in_s=sampling.first_look_s(work.playbook(), looked_at))


def _anew(work: Work, why: str, told: dict[str, Any]) -> Move:
    """Somebody, or the service itself, has changed what was to be repaired: it is looked at again, but not for ever."""
    times = work.incident.steps.repairs().filter(state=Step.State.CANCELLED).exclude(result="").count()
    if times < MAX_CHANGES:
        return Move(Event.CHANGED, f"{why} It is looked at again.", told)
    return Move(Event.REFUSED, f"{why} That was the {times}. time, so people have it now.", told)


def _denied(work: Work, step: Step, denied: guardrails.Denied) -> Move | Wait:
    """Not begun after all: over, or left to people, or a person is asked; what was done for its sake is taken back."""
    verdict = denied.verdict
    if wait := _after_rollout(work, verdict):
        return wait
    told: dict[str, Any] = {"guards": [j.as_json() for j in denied.judgements]}
    event, due_in_s = Event.REFUSED, 0.0
    if any(one.leads_to_id for one in steps.to_take_back(step)):
        event = Event.STEP_FAILED
    elif verdict.guard == permission.ALERTS_FIRE:
        event = Event.ALERTS_CLEARED
    elif verdict.answer is guardrails.Answer.ASK:
        event, due_in_s = Event.NEEDS_APPROVAL, APPROVAL_EXPIRES_S
    told |= {"says": step.says, "undo": step.undo, "plan": step.plan, "policy": step.policy}
    return Move(event, f"{step.says}: {verdict.reason}", told, due_in_s)


def _first(work: Work, step: Step, target: Target) -> Move | None:
    """Do what has to come before a step, in order; the move that follows when one of them does not succeed."""
    for earlier in step.led_by.order_by("pk"):
        if earlier.state == earlier.State.APPLIED:
            continue
        carried = steps.carry_out(earlier, target, work.world(), work.lease, permission.unless_stopped(work))
        data = {"says": earlier.says, "action": earlier.action, "target": earlier.target, "effects": earlier.plan}
        if carried.outcome is not steps.Outcome.DONE:
            return Move(Event.STEP_FAILED, f"{earlier.says}, which has to come first: {carried.said}", data)
        record.note(work.lease, "step_first", carried.said, data)
    return None


def verify(work: Work) -> Move | Wait:
    """Take one more sample; say what all samples say together. What could not be measured never counts as fixed."""
    step, plan = work.step(), work.playbook().verify
    row = work.sample(step, step.samples.count())
    said = sampling.verdict(step, work.playbook())
    data = {"number": row.number, "good": row.good, "checks": row.checks}
    if said is None:
        record.note(work.lease, "sampled", f"Sample {row.number}: {row.summary}", data)
        return Wait(plan.interval_s)
    verdict, reason = said
    return Move(Event(verdict.value), reason, data, watch=(plan.watch_s, plan.watch_interval_s))


def roll_back(work: Work) -> Move:
    """Take back what did not help, last thing first; the next candidate may then be tried, unless a person asked."""
    done = Event.TAKEN_BACK if work.asked_to_take_back() else Event.ROLLED_BACK
    step, said = work.step(), []
    steps.give_up(step, work.lease)
    if step.state == step.State.UNDONE:
        said.append("It was taken back; whoever did it did not live to say so.")
    for one in steps.to_take_back(step):
        try:
            said.append(_take_back(work, one))
        except Rejected as error:
            steps.not_undone(one)
            return Move(Event.ROLLBACK_FAILED, str(error))
    return Move(done, " ".join(said) or "Nothing had been done that would have to be taken back.")


def _take_back(work: Work, step: Step) -> str:
    """Undo one step; says what was done. Raises Rejected when that is not known to have succeeded."""
    undo = steps.begin_undo(step, work.target(), work.world())
    carried = steps.carry_out(undo, work.target(), work.world(), work.lease)
    if carried.outcome is not steps.Outcome.DONE:
        raise Rejected(f"{undo.says}: {carried.said}")
    steps.undone(step)
    return f"{undo.says}: {carried.said}"


LINE = {
    State.OPEN: diagnose,
    State.DIAGNOSED: decide,
    State.AWAITING_APPROVAL: await_approval,
    State.APPROVED: remediate,
    State.REMEDIATED: verify,
    State.UNHEALTHY: roll_back,
}


GIVE_UP = {
    State.OPEN: Event.NO_CAUSE,
    State.DIAGNOSED: Event.REFUSED,
    State.AWAITING_APPROVAL: Event.REJECTED,
    State.APPROVED: Event.REFUSED,
    State.REMEDIATED: Event.UNVERIFIED,
    State.UNHEALTHY: Event.ROLLBACK_FAILED,
}


def advance(incident_id: int, owner: str) -> float | None:
    """Take the incident one stage on; returns in how many seconds the next one is due.

    None when there is nothing more to do for this caller: it ended, it was not due, or somebody else has it.
    """
    lease = record.claim(incident_id, owner, settings.SRE_LEASE_S)
    if lease is None:
        return None
    with watched.stage(lease, LINE[lease.state].__name__) as seen:
        try:
            return settle(lease, seen.found(_run(lease)))
        except Lost as lost:
            seen.lost(lost)
            return None


def _run(lease: record.Lease) -> Move | Wait:
    """Run the stage. One that keeps failing, or killing its worker, is given to people instead of tried for ever."""
    if (failures := record.failures(lease)) >= MAX_FAILURES:
        return Move(GIVE_UP[lease.state], f"The stage failed {failures} times, so it is not tried again.")
    try:
        return LINE[lease.state](load(lease))
    except Lost:
        raise
    except Exception as error:  # a plugin may raise anything; it is noted, counted and bounded, never swallowed
        log.exception("stage_failed")
        record.note(lease, record.STAGE_FAILED, f"{type(error).__name__}: {error}")
        return Wait(RETRY_S, failed=True)


def settle(lease: record.Lease, outcome: Move | Wait) -> float | None:
    """Write down what a handler found; in the same transaction, people are told of what ends or needs them."""
    if isinstance(outcome, Wait):
        record.defer(lease, now() + timedelta(seconds=outcome.seconds), outcome.reason)
        return outcome.seconds
    with transaction.atomic():
        if outcome.event is Event.ALERTS_CLEARED and not _still_clear(lease):
            record.defer(lease, now())
            return 0.0
        state = record.record(lease, outcome.event, outcome.reason, outcome.data, outcome.due_in_s)
        if state in ENDED:
            steps.release(lease.incident_id)
        if outcome.event is Event.FIXED and outcome.watch[0]:
            record.watch(lease.incident_id, now() + timedelta(seconds=outcome.watch[0]), outcome.watch[1])
        telling.tell(lease.incident_id, state, outcome.event, outcome.reason)
    log.info("incident_moved", outcome=outcome.event.value, state=state.value, reason=outcome.reason)
    return None if state in ENDED else outcome.due_in_s


def _still_clear(lease: record.Lease) -> bool:
    """Whether no alert has joined since the stage looked; none can before the caller's transaction ends."""
    lease.hold()
    return all_clear(lease.incident_id)
