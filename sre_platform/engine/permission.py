"""The gate that every action passes twice: judged and written, later judged again and begun. One at a time.

Limits count what others have begun, so nobody may judge by a past to which somebody else is just adding. Inside the
gate the rows are read, the guards judge, and the step is written or begun; what is slow has been looked at before.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from django.db import transaction

from sre_platform.catalog.models import topology
from sre_platform.engine.knowing import Budgets, budgets_of
from sre_platform.engine.work import GUARDS, Situation, Work
from sre_platform.guardrails.domain import Answer, Denied, Facts, Judgement, judge, verdict
from sre_platform.guardrails.models import gate
from sre_platform.incidents.correlate import all_clear
from sre_platform.incidents.record import Lease
from sre_platform.remediation import steps
from sre_platform.remediation.models import Step

ALERTS_FIRE = "alerts_fire"
Judged = tuple[list[Judgement], Judgement]


def permit(work: Work, step: Step, first: Sequence[Step] = ()) -> Judged:
    """Judge an unsaved step, and store it, with those that come ``first``, unless it is denied: from then on it counts.

    Raises Lost.
    """
    budgets = budgets_of(work.topology, [step.target])
    with transaction.atomic():
        work.lease.hold()  # before the gate: nobody in it waits for an incident that somebody else holds
        with gate():
            judgements, said = _judged(work, step, budgets)
            if said.answer is not Answer.DENY and not steps.write(step, first):
                said = Judgement("one_per_target", Answer.DENY, f"another action holds {step.target}.")
    return judgements, said


def still(work: Work, step: Step) -> None:
    """Raises Denied when a step that was permitted would not be now: before anything is done for its sake."""
    _refuse(work, *_judged(work, step, budgets_of(work.topology, [step.target])))


def _refuse(work: Work, judgements: list[Judgement], said: Judgement) -> None:
    """Raises Denied for a denial, and for what a person has to be asked about when none has approved it."""
    if said.answer is Answer.DENY or (said.answer is Answer.ASK and not work.approved()):
        raise Denied(judgements, said)


def beginning(work: Work) -> Callable[[Step, Lease], None]:
    """How ``steps.carry_out`` begins a step of this incident: judged again at the last moment.

    Of a step that a former owner left half done, which was permitted then, only the kill switch keeps the rest.
    """

    def begin(step: Step, lease: Lease) -> None:
        first = step.state == Step.State.PREPARED
        budgets = budgets_of(work.topology, [step.target]) if first else {}
        with gate():
            _refuse(work, *(_judged(work, step, budgets) if first else _stopped(work, step)))
            steps.begin(step, lease)

    return begin


def _judged(work: Work, step: Step, budgets: Budgets) -> Judged:
    """Judged by what is known now, if an alert still fires; the step is told which policy counted."""
    if step.pk and all_clear(work.incident.pk):
        return [], Judgement(ALERTS_FIRE, Answer.DENY, "all alerts resolved before anything was done.")
    known = replace(work, topology=topology())  # somebody may have taken the service out of scope since
    facts = known.facts(step, budgets)
    step.policy = policy_of(known, step, facts)
    return known.judge_by(facts, step)


def unless_stopped(work: Work) -> Callable[[Step, Lease], None]:
    """How what comes first is begun: the repair that it is for was judged, so only the kill switch keeps it back."""

    def begin(step: Step, lease: Lease) -> None:
        with gate():
            _refuse(work, *_stopped(work, step))
            steps.begin(step, lease)

    return begin


def policy_of(situation: Situation, step: Step, facts: Facts) -> str:
    """The policy that counts for a step and its version, as ``NAME vN``; the empty string when none covers it."""
    policy = facts.policy(situation.request(step))
    return str(policy) if policy else ""


def _stopped(work: Work, step: Step) -> Judged:
    facts = work.facts(step)
    judgements = judge([GUARDS.get("kill_switch")], work.request(step), facts)
    return judgements, verdict(judgements)
