"""What the guards may know: read from rows in a fixed number of queries, and error budgets from Prometheus.

The rows are read inside the gate, the budgets before it: nothing slow happens while others wait.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from django.conf import settings

from sre_platform.catalog.domain import Target, Topology
from sre_platform.detection.measure import Measurer, PrometheusMeasurer
from sre_platform.guardrails.domain import Facts, PastAction, Policy
from sre_platform.guardrails.models import LONGEST_COOLDOWN_S, halted, limits, open_freezes, policies
from sre_platform.incidents.correlate import flapping, storm, troubled
from sre_platform.kernel.clock import now
from sre_platform.remediation import steps
from sre_platform.remediation.models import Step
from sre_platform.rollouts.models import Rollout
from sre_platform.rollouts.walk import State

# Over how long an error budget is counted: four weeks, as the SRE Workbook recommends for objectives ("Implementing
# SLOs"): whole weeks, so that weekends weigh the same in every window. Prometheus counts over as much as it still has.
BUDGET_WINDOW_S = 28 * 86400.0
MOVING = (State.STARTING, State.PROMOTING, State.ROLLING_BACK)  # seconds each; at a step only the traffic is looked at
Budgets = Mapping[str, float | None]


def facts(incident_id: int, topology: Topology, budgets: Budgets, but: Step | None = None) -> Facts:
    """All that is known now of an incident's surroundings; ``but`` is a step that is not to count against itself."""
    moment, known, bounds = now(), policies(), limits()
    look_back = timedelta(seconds=_look_back_s(known))
    past = steps.past(but, moment - look_back, incident_id)
    return Facts(
        moment,
        halted(),
        known,
        [_placed(item, topology) for item in past],
        storm(moment),
        flapping(incident_id),
        limits=bounds,
        freezes=open_freezes(moment),
        troubled=troubled(),
        budgets=budgets,
        moving={row.service: f"Roll-out {row.pk}" for row in Rollout.objects.filter(ended_at=None, state__in=MOVING)},
    )


def _look_back_s(known: Sequence[Policy]) -> float:
    """A day, which is as far as limits look, or the longest cooldown."""
    return min(LONGEST_COOLDOWN_S, max([steps.PAST_DAYS * 86400.0, *(policy.cooldown_s for policy in known)]))


def _placed(item: PastAction, topology: Topology) -> PastAction:
    target = topology.get(item.target)
    return replace(item, cluster=target.cluster if target else "")


def budgets_of(topology: Topology, services: Sequence[str]) -> Budgets:
    """What is left of these services' error budgets, when a policy asks for it; only Prometheus looks back far enough.

    Empty when no policy in force asks, so that nothing is measured for nothing.
    """
    if not any(policy.min_budget_left > 0 for policy in policies()):
        return {}
    if not settings.SRE_PROMETHEUS_URL:
        return dict.fromkeys(services)
    measurer = PrometheusMeasurer(settings.SRE_PROMETHEUS_URL)
    return {name: budget_left(topology[name], measurer) if name in topology else None for name in services}


def budget_left(target: Target, measurer: Measurer) -> float | None:
    """The share of the error budget that is left, of the objective that has least; None when one is not measured.

    An objective on an error ratio allows its threshold; that is the budget. Below 0 it is overdrawn. A threshold of 0
    leaves no budget at all.
    """
    goals = [goal for goal in target.objectives if goal.sli.kind == "error_ratio" and goal.op in ("<", "<=")]
    measured = measurer.measure([replace(goal.sli, window_s=BUDGET_WINDOW_S) for goal in goals])
    left = []
    for goal, seen in zip(goals, measured, strict=True):
        if seen.value is None:
            return None
        left.append(1 - seen.value / goal.threshold if goal.threshold > 0 else 0.0)
    return min(left, default=None)
