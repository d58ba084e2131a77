"""The work that a stage is given: the claimed incident, the playbooks frozen into it, and the world as it is now."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction

from sre_platform.catalog.domain import Change, Target, Topology, downstream
from sre_platform.catalog.models import changes_of, topology
from sre_platform.clients import releases
from sre_platform.clients.supervisor import Supervisor
from sre_platform.detection.measure import Measurer, PrometheusMeasurer, ScrapeMeasurer
from sre_platform.diagnosis import baselines, investigate, store
from sre_platform.diagnosis.domain import Evidence
from sre_platform.diagnosis.investigate import Baseline, Ranked, Scene
from sre_platform.diagnosis.models import FindingRow
from sre_platform.diagnosis.turns import DatabaseTurns
from sre_platform.engine import knowing
from sre_platform.guardrails import domain as guardrails
from sre_platform.guardrails.models import policies
from sre_platform.incidents.domain import Event, State
from sre_platform.incidents.models import Incident
from sre_platform.incidents.record import Lease
from sre_platform.kernel.clock import now
from sre_platform.kernel.errors import Rejected, SreError
from sre_platform.kernel.registry import Registry
from sre_platform.kernel.storable import storable
from sre_platform.playbook import library
from sre_platform.playbook.schema import Call, Criterion, Playbook
from sre_platform.remediation import steps
from sre_platform.remediation.domain import World
from sre_platform.remediation.models import Step
from sre_platform.verification import sampling
from sre_platform.verification.models import SampleRow

GUARDS: Registry[guardrails.Guard] = Registry("sre_platform.guardrails.guards", "guard")
CHANGES_LOOKED_AT = timedelta(days=1)
# Evidence of that age is captured: what a process holds has not changed much since, and a second look costs it again.
STILL_FRESH = timedelta(seconds=10)
NOT_TRIED = (Step.State.PREPARED, Step.State.CANCELLED)


@dataclass(frozen=True)
class Candidate:
    """An action that a playbook proposes for a finding."""

    finding: FindingRow
    action: str
    params: Mapping[str, Any]
    target: Target
    first: Sequence[Call] = ()

    @property
    def key(self) -> tuple[str, str, str, str]:
        """By which it is known whether it was tried: the same action with other parameters is another candidate."""
        return try_key(self.finding.cause, self.target.service, self.action, self.params)

    def proposal(self, world: World) -> "Proposal":
        """It and what comes before it, prepared against the world as it is now: nothing is written or done."""
        try:
            earlier = [self._as_step(call.name, call.params, world) for call in self.first]
            for one in earlier:
                if why := steps.not_first(one.action) or (one.plan["reach"] and "it takes instances away"):
                    raise Rejected(f"{one.action} cannot come first: {why}, and no guard would be asked about it.")
            step = self._as_step(self.action, self.params, world)
        except SreError as error:
            return Proposal(self, None, str(error))
        step.plan["first"] = [{"action": one.action, "says": one.says} | one.plan for one in earlier]
        return Proposal(self, step, "", earlier)

    def _as_step(self, action: str, params: Mapping[str, Any], world: World) -> Step:
        """The unsaved step that would carry an action out. Raises SreError when it makes no sense here and now."""
        return steps.from_prepared(
            steps.prepare(action, params, self.target, world),
            incident_id=self.finding.incident_id,
            playbook=self.finding.playbook,
            cause=self.finding.cause,
            action=action,
            target=self.target.service,
            params=dict(params),
        )


@dataclass(frozen=True)
class Proposal:
    """A candidate after a look at the world: the unsaved ``step``, or why it ``cannot`` be done here and now.

    ``first`` are the unsaved steps that have to be done before it.
    """

    candidate: Candidate
    step: Step | None
    cannot: str = ""
    first: Sequence[Step] = ()

    @property
    def action(self) -> str:
        return self.candidate.action

    @property
    def service(self) -> str:
        return self.candidate.target.service


@dataclass(frozen=True)
class Situation:
    """An incident as it stands, whoever works on it, and what may be done about it. Everything here only reads."""

    incident: Incident
    playbooks: Mapping[str, Playbook]
    topology: Topology

    def world(self) -> World:
        """What the actions may reach."""
        return World(_supervisor(), self._changes())

    def _changes(self) -> dict[str, list[Change]]:
        return changes_of(downstream(self.topology, self.incident.service), now() - CHANGES_LOOKED_AT)

    def measurer(self) -> Measurer:
        """Who measures SLIs: Prometheus where there is one, else scrapes of the services themselves."""
        if settings.SRE_PROMETHEUS_URL:
            return PrometheusMeasurer(settings.SRE_PROMETHEUS_URL)
        return ScrapeMeasurer({t.service: t.metrics_url for t in self.topology.values() if t.metrics_url})

    def candidates(self) -> Iterator[Candidate]:
        """What may be tried, likeliest cause first, its playbook's actions from mild to strong, but nothing twice."""
        rows = self.incident.steps.repairs().exclude(state__in=NOT_TRIED)
        tried = {try_key(*row) for row in rows.values_list("cause", "target", "action", "params")}
        newest, known = self.incident.findings.order_by("-round").first(), policies()
        for finding in self.incident.findings.filter(round=newest.round) if newest else ():
            target = self.topology.get(finding.service)
            for call in self._ladder(finding, target, known) if target else ():
                candidate = Candidate(finding, call.name, call.params, target, call.first) if target else None
                if candidate and candidate.key not in tried:
                    yield candidate

    def _ladder(self, finding: FindingRow, target: Target, known: Sequence[guardrails.Policy]) -> Sequence[Call]:
        """From mild to strong: the plan of the policy that has one for this, else the playbook's actions."""
        return ladder(known, target, finding.cause) or self.playbooks[finding.playbook].remediate

    def proposals(self, candidates: Iterable[Candidate] | None = None) -> Iterator[Proposal]:
        """Each candidate, prepared against the world as it is now, one at a time: a caller may stop at the first."""
        world = self.world()
        for candidate in self.candidates() if candidates is None else candidates:
            yield candidate.proposal(world)

    def judge(self, step: Step) -> tuple[list[guardrails.Judgement], guardrails.Judgement]:
        """Every guard's judgement of a step, and the one that counts."""
        return self.judge_by(self.facts(step, knowing.budgets_of(self.topology, [step.target])), step)

    def facts(self, but: Step | None = None, budgets: knowing.Budgets | None = None) -> guardrails.Facts:
        """What the guards may know of this incident; ``but`` is a step that is not to count against itself."""
        return knowing.facts(self.incident.pk, self.topology, budgets or {}, but)

    def judge_by(self, facts: guardrails.Facts, step: Step) -> tuple[list[guardrails.Judgement], guardrails.Judgement]:
        """As ``judge``, by facts that were read before; no query."""
        judgements = guardrails.judge(GUARDS, self.request(step), replace(facts, unproven=self._unproven(step)))
        return judgements, guardrails.verdict(judgements)

    def request(self, step: Step) -> guardrails.Request:
        """What the guards are asked about a step."""
        return asked(
            self.topology, step.incident_id, step.target, step.action, step.cause, step.irreversible, step.plan
        )

    def step(self) -> Step:
        """The repair that is being worked on: the newest one."""
        return self.incident.steps.repairs().order_by("-pk")[0]

    def target(self) -> Target:
        """The service that the repair is about."""
        return self.topology[self.step().target]

    def playbook(self) -> Playbook:
        """The playbook that proposed the repair."""
        return self.playbooks[self.step().playbook]

    def criteria(self) -> list[Criterion]:
        """What has to be true again."""
        return sampling.criteria(self.playbook(), self.topology, self.step().target)

    def neighbours(self) -> list[Criterion]:
        """What must not stop being true."""
        return sampling.neighbours(self.topology, self.step().target)

    def sample(self, step: Step, number: int) -> SampleRow:
        """Measure what has to be true of a repair's target and its neighbours, once."""
        return sampling.take(step, number, self.criteria(), self.measurer(), self.neighbours())

    def approved(self) -> bool:
        """Whether a person, and not the guards alone, has approved what is about to be done."""
        return self.moved_by() == Event.HUMAN_APPROVED

    def moved_by(self) -> str:
        """The event that moved the incident into its state; empty for one that was only opened."""
        names = self.incident.timeline.exclude(to_state="").order_by("-seq").values_list("name", flat=True)
        return names.first() or ""

    def _unproven(self, step: Step) -> str:
        """The playbook that the step comes from, when no experiment proves it, or not with this action."""
        book = self.playbooks.get(step.playbook)
        if book is None:
            return "(which is not known)"
        own = any(call.name == step.action and dict(call.params) == step.params for call in book.remediate)
        if book.proof and not own:
            return f"{book.name} with {step.action} as a policy plans it"
        return "" if book.proof else book.name


def ladder(known: Sequence[guardrails.Policy], target: Target, cause: str) -> Sequence[Call]:
    """The plan that one of these policies has for a cause at a service; empty when none has."""
    about = guardrails.Request(0, target.service, "", cause, tier=target.tier, environment=target.environment)
    policy = guardrails.planned(known, about)
    return policy.plan if policy else ()


def try_key(cause: str, service: str, action: str, params: Mapping[str, Any]) -> tuple[str, str, str, str]:
    """What tells one try from another; ``params`` are as a playbook gives them."""
    return cause, service, action, json.dumps(dict(params), sort_keys=True, default=str)


def asked(
    known: Topology, incident_id: int, service: str, action: str, cause: str, irreversible: str, plan: Mapping[str, Any]
) -> guardrails.Request:
    """What the guards are asked about doing ``action`` to ``service``; ``plan`` is what ``Prepared.plan`` gives."""
    target, traits = known.get(service) or Target(service), steps.ACTIONS.get(action).traits
    reach = plan.get("reach")
    return guardrails.Request(
        incident_id,
        service,
        action,
        cause,
        irreversible,
        labels=target.labels,
        tier=target.tier,
        environment=target.environment,
        cluster=target.cluster,
        needs=downstream(known, service)[1:],
        restarts=traits.restarts,
        destroys=traits.destroys,
        captured=any(steps.ACTIONS.get(one["action"]).traits.captures for one in plan.get("first", ())),
        reach=guardrails.Reach(**reach) if reach else None,
    )


@dataclass(frozen=True)
class Work(Situation):
    """One claimed incident with all that its stage may need."""

    lease: Lease

    def world(self) -> World:
        """What the actions may reach; whoever holds the incident may capture evidence, too."""
        return replace(super().world(), capture=self.capture)

    def capture(self, target: Target, calls: Sequence[Call]) -> str:
        """Look at a service as a diagnosis does, keep what was seen with the incident, and say what that is.

        What the diagnosis saw just now in the same way is kept already: a process in trouble is not looked at twice.
        """
        pk, fence = self.incident.pk, self.lease.fence
        kept = self._seen_just_now(target, calls)
        looks = [call for call in calls if call not in kept]
        if not looks:
            return f"The diagnosis has just kept of {target.service}: {', '.join(call.name for call in kept)}."
        seen = self.bounded(investigate.capture(target, looks, self.scene()))
        known = set(self.incident.evidence.filter(round=fence).values_list("collector", "service", "replica"))
        fresh = [item for item in seen if (item.collector, item.service, item.replica) not in known]
        store.keep(pk, fence, store.pack(fresh), captured=True)
        return _captured(target, seen, [call.name for call in kept])

    def _seen_just_now(self, target: Target, calls: Sequence[Call]) -> list[Call]:
        """Those of the calls by which the diagnosis has looked at the service within the last seconds, and seen it."""
        rows = self.incident.evidence.filter(service=target.service, collected_at__gt=now() - STILL_FRESH)
        looked = list(rows.values_list("collector", "missing"))
        seen = {name for name, _ in looked} - {name for name, missing in looked if missing}
        same_way = [call for book in self.playbooks.values() for call in book.collect]
        return [call for call in calls if call in same_way and call.name in seen]

    def looking_since(self) -> datetime:
        """When the first look was taken: an incident that had to wait for it has lost no patience."""
        rows, back = self.incident.evidence.order_by("pk"), self.incident.relapsed_at
        first = (rows.filter(collected_at__gte=back) if back else rows).first()
        return first.collected_at if first else now()

    @property
    def began_at(self) -> datetime:
        """When the trouble that is looked at began: since then, what is seen is of it."""
        return self.incident.relapsed_at or self.incident.opened_at

    def moved_at(self) -> datetime:
        """When the incident came into its state."""
        return self.incident.timeline.exclude(to_state="").latest("seq").at

    def asked_at(self) -> datetime:
        """When a person was asked to approve."""
        return self.incident.timeline.filter(to_state=State.AWAITING_APPROVAL).latest("seq").at

    def asked_to_take_back(self) -> bool:
        """Whether a person, and not a verdict, wants the repair taken back: nothing else is tried after that."""
        return self.moved_by() == Event.TAKE_BACK

    def scene(self) -> Scene:
        """What the collectors may see."""
        return Scene(
            self.began_at,
            self._changes(),
            self.measurer(),
            _supervisor(),
            prometheus_url=settings.SRE_PROMETHEUS_URL,
            baselines=self._baselines(),
            turns=DatabaseTurns(),
        )

    def _baselines(self) -> Mapping[str, Baseline]:
        """The profiles of good days, if a playbook wants profiles at all: they are large."""
        wanted = any(call.name == "go_profiles" for book in self.playbooks.values() for call in book.collect)
        targets = [self.topology[name] for name in downstream(self.topology, self.incident.service)]
        running = {target.service: releases.running(target.release_link) for target in targets if target.baseline}
        return baselines.newest(running) if wanted else {}

    def bounded(self, evidence: Sequence[Evidence]) -> list[Evidence]:
        """What was seen as it will be kept: what is judged is what can be judged again."""
        return store.bounded(evidence, store.used_bytes(self.incident.pk))

    def keep(self, evidence: Sequence[Evidence], ranked: Sequence[Ranked]) -> None:
        """Store what a diagnosis saw and concluded, under this lease's fence as its round."""
        pk, fence = self.incident.pk, self.lease.fence
        packed = store.pack(evidence)
        with transaction.atomic():
            store.keep(pk, fence, packed)
            FindingRow.objects.bulk_create(
                FindingRow(
                    incident_id=pk,
                    round=fence,
                    rank=rank,
                    rule=item.rule,
                    playbook=item.playbook,
                    service=item.finding.service,
                    cause=item.finding.cause,
                    confidence=item.finding.confidence,
                    content=storable(item.finding.as_json()),
                )
                for rank, item in enumerate(ranked, start=1)
            )


def load(lease: Lease) -> Work:
    """Everything about a claimed incident that is read once."""
    incident = Incident.objects.get(pk=lease.incident_id)
    return Work(incident, library.frozen(incident.playbooks), topology(), lease)


def _captured(target: Target, seen: Sequence[Evidence], before: Sequence[str]) -> str:
    """What was kept, now or by the diagnosis ``before``, and what was not, in a sentence."""
    kept = [*before, *(_of(item) for item in seen if not item.missing)]
    lost = "; ".join(f"{_of(item)}: {item.missing.rstrip('.')}" for item in seen if item.missing)
    if not kept:
        return f"Nothing at all could be captured of {target.service}: {lost or 'nothing was asked for'}."
    return f"Captured of {target.service}: {', '.join(kept)}{f', but not {lost}' if lost else ''}."


def _of(item: Evidence) -> str:
    return f"{item.collector} at {item.replica}" if item.replica else item.collector


def _supervisor() -> Supervisor:
    return Supervisor(settings.SRE_SUPERVISOR_URL)
