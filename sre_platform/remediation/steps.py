"""The life of a step: written with its undo, begun, applied, and later kept or undone.

Crash rules. Before ``begin`` commits nothing has been done, and the step is begun later. After ``finish`` commits it is
done. In between the step is found ``applying`` by a new owner, who does not know: it looks at the world through the
action. When nothing was done of it, it is judged like one that was never begun; what is half done is finished; what
cannot be seen is left to verification.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import BooleanField, Exists, ExpressionWrapper, OuterRef, Q

from sre_platform.catalog.domain import Target
from sre_platform.clients import metrics
from sre_platform.guardrails.domain import Denied, PastAction
from sre_platform.guardrails.models import gate, halted
from sre_platform.incidents.domain import State
from sre_platform.incidents.record import Lease
from sre_platform.kernel.clock import now
from sre_platform.kernel.errors import Lost, Rejected, SreError, Untouched
from sre_platform.kernel.registry import Registry
from sre_platform.remediation.domain import Action, Prepared, Seen, World
from sre_platform.remediation.models import Step

ACTIONS: Registry[Action] = Registry("sre_platform.remediation.actions", "action")
PAST_DAYS = 1


class Outcome(StrEnum):
    """What became of a step."""

    DONE = "done"
    FAILED = "failed"
    UNKNOWN = "unknown"
    CHANGED = "changed"  # it was not begun: what it was prepared for is not there any more


@dataclass(frozen=True)
class Carried:
    """The outcome of carrying out a step, and the sentence about it."""

    outcome: Outcome
    said: str


def prepare(name: str, params: Mapping[str, Any], target: Target, world: World) -> Prepared:
    """What the action would do, having only looked. Raises SreError when it makes no sense here and now."""
    action = ACTIONS.get(name)
    return action.prepare(target, action.Params(**params), world)


def not_first(name: str) -> str:
    """Why an action may not come before another one, where the guards do not judge it; empty: it may."""
    traits = ACTIONS.get(name).traits
    return "" if traits.captures and not (traits.restarts or traits.destroys) else "it does more than capture evidence"


def write(step: Step, first: Sequence[Step] = ()) -> bool:
    """Store a prepared step and those that come before it; False when another step holds its target."""
    try:
        with transaction.atomic():
            step.save(force_insert=True)
            for earlier in first:
                earlier.leads_to = step
                earlier.save(force_insert=True)
    except IntegrityError:
        return False
    return True


@transaction.atomic
def drop_prepared(lease: Lease) -> None:
    """Cancel what a former owner prepared for this incident and did not live to record. Raises Lost."""
    lease.hold()
    left = Step.objects.filter(incident_id=lease.incident_id, undoes=None, state=Step.State.PREPARED)
    left.update(state=Step.State.CANCELLED)


def from_prepared(prepared: Prepared, **fields: Any) -> Step:
    """An unsaved step row that holds ``prepared``."""
    return Step(
        says=prepared.says,
        aim=dict(prepared.aim),
        undo=dict(prepared.undo) if prepared.undo is not None else None,
        irreversible=prepared.irreversible,
        plan=prepared.plan(),
        **fields,
    )


def past(but: Step | None = None, since: datetime | None = None, incident_id: int = 0) -> list[PastAction]:
    """The repairs, except ``but``, that count: begun since then (a day ago), active, or of that incident. One query.

    Active is what holds its target, what is being taken back, and what has failed and is about to be. Steps that only
    come before another, such as capturing evidence, are no repairs.
    """
    undo = Step.objects.filter(undoes=OuterRef("pk"), state__in=Step.HOLDING)
    half = Q(state=Step.State.FAILED, applying_at__isnull=False, incident__state__in=[State.APPROVED, State.UNHEALTHY])
    active = Q(state__in=Step.HOLDING) | Q(undo_step__state__in=Step.HOLDING) | half
    recent = Q(applying_at__gte=since or now() - timedelta(days=PAST_DAYS))
    of_incident = Q(incident_id=incident_id, applying_at__isnull=False)
    rows = Step.objects.repairs().filter(recent | active | of_incident)
    return [
        PastAction(
            row.incident_id,
            row.target,
            row.action,
            row.applying_at or row.prepared_at,
            row.state in Step.HOLDING or row.taken_back or row.half,
        )
        for row in rows.exclude(pk=but.pk if but and but.pk else 0).annotate(
            taken_back=Exists(undo), half=ExpressionWrapper(half, BooleanField())
        )
    ]


def begin(step: Step, lease: Lease) -> None:
    """From now on the step may have been done, by the policy it names; the caller has passed the gate. Raises Lost."""
    lease.confirm()
    rows = Step.objects.filter(pk=step.pk, state=step.state, fence=step.fence)
    begun = {"state": Step.State.APPLYING, "fence": lease.fence, "applying_at": now()}
    if not rows.update(**begun, policy=step.policy, plan=step.plan):
        raise Lost(f"Step {step.pk} has been taken over by somebody else.")


# What a former owner has found out, and did not live to say.
FOUND_OUT = {
    Step.State.APPLIED: Outcome.DONE,
    Step.State.FAILED: Outcome.FAILED,
    Step.State.CANCELLED: Outcome.CHANGED,
}


def begin_unless_stopped(step: Step, lease: Lease) -> None:
    """``begin`` what no guard is asked about, an undo: only the kill switch keeps it back. Raises Lost, Rejected."""
    with gate():
        if why := halted():
            raise Rejected(f"All automation is stopped: {why}.")
        begin(step, lease)


def carry_out(
    step: Step,
    target: Target,
    world: World,
    lease: Lease,
    beginning: Callable[[Step, Lease], None] = begin_unless_stopped,
) -> Carried:
    """Apply a prepared step, or find out what became of one that somebody else began.

    ``beginning`` is called right before ``apply``: it begins the step, or raises Denied or Rejected: nothing is done.
    Raises Lost, Denied, and SreError when a prepared step could not be begun: it may be tried again.
    """
    if step.state in FOUND_OUT:
        return Carried(FOUND_OUT[Step.State(step.state)], step.result)
    action = ACTIONS.get(step.action)
    if step.state == Step.State.PREPARED and (why := changed(step, target, world)):
        return _fail(step, lease, why) if step.leads_to_id or step.undoes_id else _leave(step, lease, why)
    first, effects = step.state == Step.State.PREPARED, _Effects(lease)
    try:
        if step.state == Step.State.APPLYING:
            if (seen := action.look(target, step.aim, world)) is not Seen.NOT_DONE:
                return _looked(step, lease, seen)
            if not changed(step, target, world):
                _not_begun(step, lease)
        beginning(step, lease)
        said = action.apply(target, step.aim, world, effects.confirm)
    except Rejected as error:
        return _fail(step, lease, str(error), first and effects.none(error))
    except (Lost, Denied):
        raise
    except SreError as error:
        return _unknown(step, f"It is not known whether it was done: {error}")
    return _finish(step, lease, said)


def _not_begun(step: Step, lease: Lease) -> None:
    """Whoever began it did not live to touch the world, which is as it was when the step was prepared. Raises Lost."""
    lease.confirm()
    rows = Step.objects.filter(pk=step.pk, state=step.state, fence=step.fence)
    step.state, step.applying_at = Step.State.PREPARED, None
    if not rows.update(state=step.state, applying_at=None):
        raise Lost(f"Step {step.pk} has been taken over by somebody else.")


@dataclass
class _Effects:
    """How many an action was about to have: when it fails, that tells whether anything has to be taken back."""

    lease: Lease
    asked: int = 0

    def confirm(self) -> None:
        self.lease.confirm()
        self.asked += 1

    def none(self, error: Rejected) -> bool:
        """Whether it had none: it failed before the first one, or the first one was refused as a whole."""
        return self.asked <= int(isinstance(error, Untouched))


def _looked(step: Step, lease: Lease, seen: Seen) -> Carried:
    if seen is Seen.DONE:
        return _finish(step, lease, "it was found done; whoever began it did not live to say so")
    return _unknown(step, "Somebody began it, and the world does not show whether it was done.")


def _unknown(step: Step, why: str) -> Carried:
    metrics.action(step.action, "unknown")
    return Carried(Outcome.UNKNOWN, why)


def changed(step: Step, target: Target, world: World) -> str:
    """Why the stored step no longer fits the world, or the empty string: preconditions are read at the last moment.

    What it reaches is brought up to date in its plan, for the guards. Only reads. Raises SreError when the world cannot
    be seen.
    """
    try:
        fresh = prepare(step.action, step.params, target, world)
    except Rejected as error:
        return str(error)
    if _fits(step, fresh):
        step.plan["reach"] = fresh.plan()["reach"]
        return ""
    return (
        f"{step.target} has changed since the step was prepared, which was: {step.says}. Now it would be: {fresh.says}."
    )


def _fits(step: Step, fresh: Prepared) -> bool:
    """Whether it would be the same again, and be taken back to the same, or so nearly that the action does not mind."""
    still_fits = getattr(ACTIONS.get(step.action), "still_fits", None)
    if still_fits and still_fits(step.aim, fresh.aim):
        return True
    undo = dict(fresh.undo) if fresh.undo is not None else None
    return (dict(fresh.aim), undo) == (step.aim, step.undo)


def _finish(step: Step, lease: Lease, said: str) -> Carried:
    sentence = said[:1].upper() + said[1:] + "."
    _close(step, lease, state=Step.State.APPLIED, applied_at=now(), result=sentence)
    return Carried(Outcome.DONE, sentence)


def _fail(step: Step, lease: Lease, why: str, untouched: bool = False) -> Carried:
    """It has failed; ``untouched`` when nothing at all was done, so that it counts as never begun."""
    _close(step, lease, state=Step.State.FAILED, result=why, **({"applying_at": None} if untouched else {}))
    return Carried(Outcome.FAILED, why)


def _leave(step: Step, lease: Lease, why: str) -> Carried:
    """A repair that was never begun and is not tried: what was known when it was decided on is old."""
    _close(step, lease, state=Step.State.CANCELLED, result=why)
    return Carried(Outcome.CHANGED, why)


def _close(step: Step, lease: Lease, **values: Any) -> None:
    lease.confirm()
    open_states = [Step.State.PREPARED, Step.State.APPLYING]
    if not Step.objects.filter(pk=step.pk, state__in=open_states, fence__lte=lease.fence).update(**values):
        raise Lost(f"Step {step.pk} has been taken over by somebody else.")
    metrics.action(step.action, values["state"])


@transaction.atomic
def begin_undo(step: Step, target: Target, world: World) -> Step:
    """Write the step that takes ``step`` back, in place of it; the one already written, if a former owner did.

    Raises Rejected when there is no undo, it makes no sense any more, or another step holds the target by now.
    """
    if known := Step.objects.filter(undoes=step).first():
        return known
    if step.undo is None:
        raise Rejected(f"{step.says} cannot be undone: {step.irreversible}.")
    prepared = prepare(step.action, step.undo, target, world)
    fields = {"incident_id": step.incident_id, "playbook": step.playbook, "cause": step.cause, "target": step.target}
    undo = from_prepared(prepared, undoes=step, action=step.action, params=step.undo, **fields)
    Step.objects.filter(pk=step.pk).update(state=Step.State.UNDOING)
    if not write(undo):
        raise Rejected(f"{undo.says}: another action holds {undo.target}.")
    return undo


@transaction.atomic
def undone(step: Step) -> None:
    """The undo of ``step`` was applied: both let go of the target."""
    Step.objects.filter(pk=step.pk, state=Step.State.UNDOING).update(state=Step.State.UNDONE)
    Step.objects.filter(undoes=step, state=Step.State.APPLIED).update(state=Step.State.KEPT)


@transaction.atomic
def not_undone(step: Step) -> None:
    """An undo that was never begun is forgotten, so that a person may ask for it later; what was done stays."""
    if Step.objects.filter(undoes=step, state=Step.State.FAILED, applying_at=None).delete()[0]:
        Step.objects.filter(pk=step.pk, state=Step.State.UNDOING).update(state=Step.State.KEPT)


@transaction.atomic
def give_up(step: Step, lease: Lease) -> None:
    """A step that was never begun, because what has to come before it failed, lets go of its target. Raises Lost."""
    lease.hold()
    left = Step.objects.filter(pk=step.pk, state=Step.State.PREPARED)
    left.update(state=Step.State.FAILED, result="It was not begun.")


def to_take_back(step: Step) -> list[Step]:
    """What has to be taken back with a repair, in that order: itself, then what was done before it for its sake."""
    earlier = step.led_by.exclude(state=Step.State.UNDONE).filter(applying_at__isnull=False, undo__isnull=False)
    return [*([step] if step.needs_undo else []), *earlier.order_by("-pk")]


def release(incident_id: int) -> None:
    """The incident has ended: what was done stays, what was only prepared will not be done."""
    steps = Step.objects.filter(incident_id=incident_id)
    steps.filter(state=Step.State.PREPARED).update(state=Step.State.CANCELLED)
    steps.filter(state__in=[Step.State.APPLYING, Step.State.APPLIED]).update(state=Step.State.KEPT)
