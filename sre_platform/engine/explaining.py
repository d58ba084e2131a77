"""What may be done about an incident, or would be about a finding that nobody has made, and why: said, never done.

It goes the way of ``line.decide`` (the same proposals, facts and guards) and only reads: no row is written, no lease is
taken, and of the actions only ``prepare`` is called, which by its contract does nothing but look.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sre_platform.catalog.domain import downstream
from sre_platform.catalog.models import topology
from sre_platform.diagnosis.models import FindingRow
from sre_platform.engine.knowing import budgets_of
from sre_platform.engine.line import ROLLOUT, overtaken
from sre_platform.engine.work import Candidate, Proposal, Situation, asked, ladder, try_key
from sre_platform.guardrails.domain import Answer, Considered, Facts, Judgement, Request, considered
from sre_platform.guardrails.models import every_policy, policies
from sre_platform.incidents.domain import ENDED, Event, State
from sre_platform.incidents.models import Incident
from sre_platform.kernel.errors import SreError, Unknown
from sre_platform.kernel.redaction import redact
from sre_platform.playbook import library
from sre_platform.playbook.schema import Call, Playbook
from sre_platform.remediation import steps
from sre_platform.remediation.models import Step

NO_INCIDENT = 0  # the primary key that no row has: what is asked about a finding that nobody has made
SHOWN = 10  # incidents that are named when the wanted one does not exist
JUDGED = (Event.ALLOWED, Event.NEEDS_APPROVAL, Event.HUMAN_APPROVED, Event.REJECTED, Event.REFUSED)
BEFORE_ACTION = (State.OPEN, State.DIAGNOSED)
WAITING = (State.AWAITING_APPROVAL, State.APPROVED)
IN_ACTION = {
    State.REMEDIATED: "What was done is being verified; something else is only tried after it was taken back.",
    State.UNHEALTHY: "What was done is being taken back; something else is only tried after that.",
}


@dataclass(frozen=True)
class Option:
    """One action on one service for one cause, with everything that was asked about it.

    ``stored`` is the state of the step when it is one that the incident holds. Of what ``cannot`` be prepared there is
    no step, and no guard was asked: the line goes on to the next one without asking either. Of a step that waits,
    ``cannot`` says why it no longer fits the world.
    """

    playbooks: Sequence[str]
    asked: Request
    params: Mapping[str, Any]
    policies: Sequence[Considered]
    step: Step | None = None
    stored: str = ""
    cannot: str = ""
    guards: Sequence[Judgement] = ()
    verdict: Judgement | None = None

    def as_json(self) -> dict[str, Any]:
        step = self.step
        return {
            "playbooks": list(self.playbooks),
            "cause": self.asked.cause,
            "action": self.asked.action,
            "service": self.asked.target,
            "params": dict(self.params),
            "stored": self.stored,
            "cannot": self.cannot,
            "says": step.says if step else "",
            "undo": step.undo if step else None,
            "irreversible": step.irreversible if step else "",
            "effects": step.plan.get("effects", []) if step else [],
            "diff": step.plan.get("diff", []) if step else [],
            "reach": step.plan.get("reach") if step else None,
            "tier": self.asked.tier,
            "environment": self.asked.environment,
            "policies": [item.as_json() for item in self.policies],
            "guards": [item.as_json() for item in self.guards],
            "verdict": self.verdict.as_json() if self.verdict else None,
        }


@dataclass(frozen=True)
class Explanation:
    """All that was considered. ``counts`` is the option that decides, ``held`` what keeps anything from being done now.

    ``approved`` is whether a person has approved what waits. ``history`` are the incident's judgements as they were
    written down. ``incident`` is 0 and ``state`` empty for a finding that nobody has made.
    """

    incident: int
    state: str
    title: str
    options: Sequence[Option]
    counts: Option | None
    held: str = ""
    approved: bool = False
    history: Sequence[Mapping[str, Any]] = ()

    @property
    def allowed(self) -> bool:
        """Whether it would be done without asking anybody (any more)."""
        if self.held or self.counts is None or self.counts.verdict is None or self.counts.cannot:
            return False
        answer = self.counts.verdict.answer
        return answer is Answer.ALLOW or (answer is Answer.ASK and self.approved)

    @property
    def would(self) -> str:
        """What would be done, in a sentence."""
        if self.held:
            return self.held
        ended = "It has ended, so nothing is done about it any more. If it came up now: " if self.state in ENDED else ""
        return ended + self._verdict()

    def _verdict(self) -> str:
        if self.counts is None or self.counts.verdict is None or self.counts.step is None:
            return "Nothing would be done: no playbook has an action that makes sense here; people would be called."
        says, verdict = self.counts.step.says, self.counts.verdict
        if self.allowed:
            return f"It would be done: {says}."
        if self.counts.cannot:
            return f"It would not be done: {says}. {self.counts.cannot}"
        if verdict.guard == ROLLOUT:
            return f"It would wait: {says}. {verdict.reason}"
        if verdict.answer is Answer.ASK:
            return f"A person would be asked: {says}. {verdict.reason}"
        return f"It would not be done, people would be called: {says}. {verdict.reason}"

    def as_json(self) -> dict[str, Any]:
        """The document that docs/reference/explain.md describes, without secrets."""
        document = {
            "incident": self.incident or None,
            "state": self.state or None,
            "title": self.title,
            "allowed": self.allowed,
            "would": self.would,
            "held": self.held,
            "verdict": self.counts.verdict.as_json() if self.counts and self.counts.verdict else None,
            "options": [item.as_json() for item in self.options],
            "history": list(self.history),
        }
        clean: dict[str, Any] = redact(document)
        return clean


def of_incident(pk: int) -> Explanation:
    """What is considered for an incident now, and what was. Raises Unknown for no incident, SreError."""
    incident = Incident.objects.select_related("parent").filter(pk=pk).first()
    if incident is None:
        newest = Incident.objects.order_by("-pk").values_list("pk", flat=True)[:SHOWN]
        raise Unknown(f"There is no incident {pk}; the newest are: {', '.join(map(str, newest)) or 'none'}.")
    situation = Situation(incident, library.frozen(incident.playbooks), topology())
    options = _options(situation)
    return Explanation(
        incident=pk,
        state=incident.state,
        title=incident.title,
        options=options,
        counts=next((item for item in options if item.verdict), None),
        held=_held(incident, options),
        approved=situation.approved(),
        history=_history(incident),
    )


def of_finding(service: str, cause: str, action: str) -> Explanation:
    """What would be considered if ``cause`` were found at ``service``. Raises Unknown, with the known names."""
    known, books = topology(), library.in_force()
    if service not in known:
        raise Unknown(f"The catalog knows no service {service!r}; known are: {', '.join(sorted(known)) or 'none'}.")
    steps.ACTIONS.get(action)
    situation = Situation(Incident(pk=NO_INCIDENT, service=service), books, known)
    groups = _alike(books, action, ladder(policies(), known[service], cause))
    candidates = [
        Candidate(_finding(service, cause, keys[0]), action, call.params, known[service], call.first)
        for call, keys in groups
    ]
    facts = _facts(situation)
    options = [
        replace(_judged(situation, facts, proposal), playbooks=[books[key].name for key in keys if key in books])
        for proposal, (_, keys) in zip(situation.proposals(candidates), groups, strict=True)
    ]
    return Explanation(NO_INCIDENT, "", f"{cause} at {service}, if it were found", options, _strictest(options))


def _finding(service: str, cause: str, playbook: str) -> FindingRow:
    """A finding that nobody has made; it is never saved."""
    return FindingRow(incident_id=NO_INCIDENT, playbook=playbook, service=service, cause=cause)


def _alike(books: Mapping[str, Playbook], action: str, plan: Sequence[Call]) -> list[tuple[Call, list[str]]]:
    """The playbooks that propose an action, those together that would be judged alike; "" stands for none at all.

    A policy's ``plan`` is what all of them propose.
    """
    groups: dict[tuple[str, bool], tuple[Call, list[str]]] = {}
    for key, book in books.items():
        for call in plan or book.remediate:
            if call.name == action:
                own = any((one.name, one.params) == (call.name, call.params) for one in book.remediate)
                asked_with = [call.params, [one.name for one in call.first]]
                same = (json.dumps(asked_with, sort_keys=True, default=str), bool(book.proof) and own)
                groups.setdefault(same, (call, []))[1].append(key)
    return list(groups.values()) or [(Call(name=action), [""])]


def _strictest(options: Sequence[Option]) -> Option | None:
    for answer in (Answer.DENY, Answer.ASK, Answer.ALLOW):
        for option in options:
            if option.verdict and option.verdict.answer is answer:
                return option
    return None


def _options(situation: Situation) -> list[Option]:
    """What the incident holds that is to be judged (again), then what else may be tried."""
    held = _steps(situation.incident)
    facts = _facts(situation)
    stale = [_stale(situation, step) for step in held]  # before they are judged: what they reach is looked at anew
    options = [
        replace(_judged_step(situation, facts, step), stored=step.state, cannot=why)
        for step, why in zip(held, stale, strict=True)
    ]
    taken = {try_key(step.cause, step.target, step.action, step.params) for step in held}
    others = situation.proposals(_others(situation, taken))
    return options + [_judged(situation, facts, proposal) for proposal in others]


def _others(situation: Situation, taken: set[tuple[str, str, str, str]]) -> Iterator[Candidate]:
    return (candidate for candidate in situation.candidates() if candidate.key not in taken)


def _steps(incident: Incident) -> list[Step]:
    """The repairs that were begun, of an incident that has ended; of a live one, the one that is about to be."""
    repairs = incident.steps.repairs()
    if incident.state in ENDED:
        return list(repairs.exclude(state=Step.State.CANCELLED))
    return list(repairs.filter(state=Step.State.PREPARED)) if incident.state in WAITING else []


def _facts(situation: Situation) -> Facts:
    """What the guards may know, with the policies that are not enabled too: they cover nothing, and are shown.

    What the incident has only prepared does not count against it, nor does anything of one that has ended.
    """
    incident = situation.incident
    prepared = incident.steps.repairs().filter(state=Step.State.PREPARED).first()
    budgets = budgets_of(situation.topology, downstream(situation.topology, incident.service))
    facts = replace(situation.facts(prepared, budgets), policies=every_policy())
    if incident.state not in ENDED:
        return facts
    return replace(facts, past=[item for item in facts.past if item.incident_id != incident.pk])


def _judged(situation: Situation, facts: Facts, proposal: Proposal) -> Option:
    if proposal.step is not None:
        return _judged_step(situation, facts, proposal.step)
    finding = proposal.candidate.finding
    wanted = asked(situation.topology, situation.incident.pk, proposal.service, proposal.action, finding.cause, "", {})
    return Option(
        _names(situation, finding.playbook),
        wanted,
        proposal.candidate.params,
        considered(wanted, facts),
        cannot=proposal.cannot,
    )


def _judged_step(situation: Situation, facts: Facts, step: Step) -> Option:
    judgements, verdict = situation.judge_by(facts, step)
    wanted = situation.request(step)
    return Option(
        _names(situation, step.playbook),
        wanted,
        step.params,
        considered(wanted, facts),
        step=step,
        guards=judgements,
        verdict=verdict,
    )


def _names(situation: Situation, playbook: str) -> list[str]:
    return [situation.playbooks[playbook].name] if playbook in situation.playbooks else []


def _stale(situation: Situation, step: Step) -> str:
    """Why a step that waits would fail when it is begun, or the empty string; others have been begun long ago."""
    if step.state != Step.State.PREPARED:
        return ""
    target = situation.topology.get(step.target)
    if target is None:
        return f"The catalog knows no service {step.target!r} any more."
    try:
        return steps.changed(step, target, situation.world())
    except SreError as error:
        return str(error)


def _held(incident: Incident, options: Sequence[Option]) -> str:
    """What keeps an incident from going on to an action now, or the empty string."""
    state = State(incident.state)
    if state in BEFORE_ACTION and (found := overtaken(incident, "anything was done")):
        return found.reason
    if state is State.OPEN and not options:
        return "Nothing would be done yet: its cause has not been found."
    if state in WAITING and not any(option.stored for option in options):
        return "What was decided on is being carried out at this moment."
    return IN_ACTION.get(state, "")


def _history(incident: Incident) -> list[dict[str, Any]]:
    """How its steps were judged, as the timeline holds it, oldest first."""
    rows = incident.timeline.filter(name__in=[event.value for event in JUDGED])
    return [
        {
            "at": row.at.isoformat(),
            "event": row.name,
            "reason": row.reason,
            "undo": row.data.get("undo"),
            "guards": row.data.get("guards", []),
            "skipped": row.data.get("skipped", []),
        }
        for row in rows
    ]
