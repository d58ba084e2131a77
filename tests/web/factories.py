"""Incidents as the line leaves them, written through the same doors: the record, the models, the desk's rows."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from typing import Any

from django.db import transaction
from django.utils.timezone import now

from sre_platform.diagnosis import store as evidence_store
from sre_platform.diagnosis.domain import Evidence
from sre_platform.diagnosis.models import FindingRow
from sre_platform.incidents import record
from sre_platform.incidents.domain import Event, State
from sre_platform.incidents.models import Incident, IncidentAlert, TimelineEntry
from sre_platform.intake.models import Alert
from sre_platform.playbook.library import store
from sre_platform.remediation.models import Step
from sre_platform.tickets.domain import compose
from sre_platform.tickets.models import LocalComment, LocalTicket, Ticket
from sre_platform.verification.domain import Checked, good
from sre_platform.verification.models import SampleRow

PLAYBOOK = """\
name: goroutine-leak
summary: Goroutines pile up because nobody receives what they send.
match: {alerts: ["*"]}
collect: [go_goroutines, health]
diagnose: {rules: [goroutine_leak]}
remediate: [restart_service]
"""
DUMP = "goroutine profile: total 412\n401 @ 0x43e 0x44f\n#\t0x6b1\tshop/payments.(*Till).Charge\t/src/till.go:57\n"
SITE = {"function": "shop/payments.(*Till).Charge.func1", "file": "/home/lab/src/shop/payments/till.go", "line": 57}
CREATED = {"function": "shop/payments.(*Till).Charge", "file": "/home/lab/src/shop/payments/till.go", "line": 49}
FINDING = {
    "cause": "chan_send_no_receiver",
    "family": "chan-send",
    "service": "payments",
    "confidence": 0.97,
    "evidence": "gc-proof",
    "because": [
        "payments: 401 goroutines wait in chan send at till.go:57, 118 more than 1.0 s before.",
        "The garbage collector proved 389 of them unreachable (goroutineleak profile).",
        "Created by shop/payments.(*Till).Charge at till.go:49.",
    ],
    "advice": [
        "Give a fire-and-forget result channel a buffer of 1, so that the sender can leave when nobody receives."
    ],
    "state": "chan send",
    "site": SITE,
    "created_by": CREATED,
    "count": 401,
    "growth": 118,
}
SECOND = FINDING | {
    "cause": "bad_release",
    "family": "release",
    "confidence": 0.85,
    "evidence": "change",
    "because": [
        "payments: release v2 replaced v1 41 s before the incident (by deploy-bot), and it is the one that runs."
    ],
    "advice": ["Compare v1 with v2 before releasing again."],
    "site": None,
    "created_by": None,
}
GUARDS = [
    {"guard": "attempt_budget", "answer": "allow", "reason": "0 actions were tried for this incident before."},
    {"guard": "cooldown", "answer": "allow", "reason": "restart_service has not been done on payments lately."},
    {"guard": "has_undo", "answer": "allow", "reason": "restart_service can be undone."},
    {"guard": "kill_switch", "answer": "allow", "reason": "Automation is not stopped."},
    {"guard": "one_per_target", "answer": "allow", "reason": "Nobody else is acting on payments."},
    {"guard": "policy", "answer": "allow", "reason": "Policy lab-auto lets restart_service act on its own."},
]
SAYS = "Restart payments (process 4711) through its supervisor"
numbers = count(1)


@dataclass
class Story:
    """An incident that is being told, and the moment at which the telling stands."""

    incident: Incident
    at: datetime
    step: Step | None = None

    @transaction.atomic
    def tell(self, after_s: float, name: str, reason: str, data: dict[str, Any] | None = None, to: str = "") -> None:
        """One more entry of the chain, ``after_s`` seconds after the one before."""
        self.at += timedelta(seconds=after_s)
        before = self.incident.state
        record._append(self.incident.pk, name, reason, data, 1, before if to else "", to)
        entry = TimelineEntry.objects.filter(incident=self.incident).latest("seq")
        entry.at = self.at
        entry.hash = record.entry_hash(entry)
        entry.save()
        if to:
            ended = self.at if to in (State.RESOLVED, State.ESCALATED) else None
            self.incident.state, self.incident.ended_at = to, ended
            self.incident.due_at = None if ended else self.at
            self.incident.save()

    def sample(self, after_s: float, *values: float | None) -> dict[str, Any]:
        """One more sample of the step; values of the error ratio, the latency and the goroutines."""
        self.at += timedelta(seconds=after_s)
        wants = [
            ("payments answers without errors", "<", 0.05),
            ("payments p99 latency", "<", 0.5),
            ("goroutines", "<=", 100.0),
        ]
        checks = [
            Checked(name, value, op, limit, "" if value is not None else "no request came in the window")
            for (name, op, limit), value in zip(wants, values, strict=True)
        ]
        number, shown = self.step.samples.count(), [checked.as_json() for checked in checks]
        row = SampleRow.objects.create(step=self.step, number=number, at=self.at, checks=shown, good=good(checks))
        return {"number": row.number, "good": row.good, "checks": shown}


def alert(name: str = "PaymentsErrors", service: str = "payments", at: datetime | None = None, **more: Any) -> Alert:
    """An alert, received 0.4 s after it began."""
    at = at or now()
    labels = {"alertname": name, "service": service, "severity": "critical"} | more.pop("labels", {})
    fields = {"annotations": {"summary": "Payments fail", "description": "12 % of charges fail."}} | more
    return Alert.objects.create(
        fingerprint=f"f{next(numbers)}",
        starts_at=at,
        name=name,
        service=service,
        labels=labels,
        received_at=at + timedelta(seconds=0.4),
        **fields,
    )


def opened(
    ago_s: float = 60, title: str = "Payments fail for 12 % of charges", service: str = "payments", **alert_fields: Any
) -> Story:
    """An incident that one alert has just opened."""
    began = now() - timedelta(seconds=ago_s)
    first = alert(service=service, at=began, **alert_fields)
    playbook, _ = store(PLAYBOOK, "tests")
    at = began + timedelta(seconds=0.7)
    incident = Incident.objects.create(
        key=f"{service}-{next(numbers)}",
        service=service,
        title=title,
        playbooks=[playbook.digest],
        opened_at=at,
        due_at=at,
        alerts=1,
        first_alert_at=began,
        last_alert_at=at,
    )
    IncidentAlert.objects.create(incident=incident, alert=first, reason="opened the incident")
    story = Story(incident, at)
    story.tell(0, "opened", f"{first} fired; no open incident is about this service or its neighbours.")
    return story


def diagnosed(**fields: Any) -> Story:
    """The cause was found, with evidence of three services, one look of which saw nothing."""
    story = opened(**fields)
    story.at += timedelta(seconds=1.9)
    _evidence(story)
    for rank, finding in enumerate([FINDING, SECOND], start=1):
        FindingRow.objects.create(
            incident=story.incident,
            round=1,
            rank=rank,
            rule="goroutine_leak" if rank == 1 else "bad_release",
            playbook=story.incident.playbooks[0],
            content=finding,
            **{key: finding[key] for key in ("service", "cause", "confidence")},
        )
    story.tell(0.2, "cause_found", FINDING["because"][0], {"cause": FINDING, "others": 1}, to=State.DIAGNOSED)
    return story


def _evidence(story: Story) -> None:
    probes = [
        {"ok": True, "status": 200, "said": "ok", "ms": 3},
        {"ok": False, "status": None, "said": "timed out", "ms": 751},
    ]
    seen = [
        (
            "go_goroutines",
            "payments",
            {"seconds_apart": 1.01, "full": True, "first_count": 294},
            {"earlier": DUMP, "goroutine": DUMP},
        ),
        ("health", "payments", {"probes": probes}, {}),
        (
            "process",
            "payments",
            {"process": "payments", "state": "RUNNING", "pid": 4711, "up_s": 320, "exit_status": 0},
            {},
        ),
        ("recent_changes", "payments", {"minutes": 15.0, "changes": [], "running": "v2"}, {}),
        ("process", "redis", {"process": "redis", "state": "RUNNING", "pid": 99, "up_s": 4000, "exit_status": 0}, {}),
    ]
    rows = [Evidence(name, service, story.at, data, texts) for name, service, data, texts in seen]
    rows.append(Evidence("go_goroutines", "redis", story.at, missing="The catalog names no pprof_url for redis."))
    evidence_store.keep(story.incident.pk, 1, evidence_store.pack(evidence_store.bounded(rows)))


def decided(event: Event = Event.ALLOWED, reason: str = "", **fields: Any) -> Story:
    """The action was decided on: allowed, or a person is asked."""
    story = diagnosed(**fields)
    answers = (
        GUARDS if event is Event.ALLOWED else [*GUARDS[:-1], GUARDS[-1] | {"answer": "ask", "reason": "Policy asks."}]
    )
    story.step = Step.objects.create(
        incident=story.incident,
        playbook=story.incident.playbooks[0],
        cause=FINDING["cause"],
        action="restart_service",
        target=f"payments-{story.incident.pk}",
        says=SAYS,
        aim={"leave": "fresh", "old_pid": 4711},
        undo={"leave": "running"},
    )
    data = {
        "says": SAYS,
        "undo": {"leave": "running"},
        "guards": answers,
        "skipped": ["rollback_release on payments: runs v2 already."],
    }
    to = State.APPROVED if event is Event.ALLOWED else State.AWAITING_APPROVAL
    story.tell(0.3, event, f"{SAYS}: {reason or 'nobody objects.'}", data, to=to)
    return story


def acted(**fields: Any) -> Story:
    """The action was carried out, after a sample of how it was before."""
    story = decided(**fields)
    story.sample(0.1, 0.412, 2.31, 401)
    step, began = story.step, story.at
    step.state, step.applying_at, step.applied_at = "applied", began, began + timedelta(seconds=1.4)
    step.result = "Payments runs as process 4802 now."
    step.save()
    data = {"says": SAYS, "undo": step.undo, "action": step.action, "target": step.target}
    story.tell(1.5, "steps_done", step.result, data, to=State.REMEDIATED)
    return story


def verifying(**fields: Any) -> Story:
    """Two samples were taken after the action."""
    story = acted(**fields)
    for values in ((0.18, 0.61, 22), (0.0, None, 23)):
        story.tell(0, "sampled", f"Sample {story.step.samples.count()}", story.sample(1.0, *values))
    return story


def resolved(ticket: bool = True, **fields: Any) -> Story:
    """Repaired, verified, and a ticket for the record."""
    story = verifying(**fields)
    for _ in range(2):
        story.tell(0, "sampled", "Sample", story.sample(1.0, 0.0, 0.031, 24))
    data = story.sample(1.0, 0.0, 0.029, 24)
    Step.objects.filter(pk=story.step.pk).update(state="kept")
    story.tell(0, "fixed", "3 samples in a row met all 3 criteria.", data, to=State.RESOLVED)
    Alert.objects.filter(membership__incident=story.incident).update(resolved=True, ends_at=story.at)
    if ticket:
        filed(story, closed=True)
    return story


def escalated(**fields: Any) -> Story:
    """No cause was sure enough, so people have it."""
    story = opened(**fields)
    story.at += timedelta(seconds=2)
    _evidence(story)
    story.tell(
        18, "no_cause", "No rule names a cause that is sure enough.", {"not_seen": ["no pprof_url"]}, to=State.ESCALATED
    )
    filed(story, closed=False)
    return story


def rolled_back(**fields: Any) -> Story:
    """The action made it worse and was taken back; the next candidate is being decided on."""
    story = verifying(**fields)
    data = story.sample(1.0, 0.9, 4.2, 31)
    story.tell(
        0,
        "worse",
        "1 samples did not meet the criteria (limit 0): p99 latency is 4.2, not < 0.5.",
        data,
        to=State.UNHEALTHY,
    )
    says = "Leave payments as it was"
    undo = Step(
        incident=story.incident, undoes=story.step, cause="c", action="restart_service", target="other", says=says
    )
    undo.aim, undo.state = {}, "kept"
    undo.save()
    Step.objects.filter(pk=story.step.pk).update(state="undone")
    story.tell(0.8, "rolled_back", f"{undo.says}: payments was as wanted already.", to=State.DIAGNOSED)
    return story


def filed(story: Story, closed: bool) -> LocalTicket:
    """A local ticket about the incident, delivered."""
    incident = story.incident
    samples = SampleRow.objects.filter(step__incident=incident).order_by("-pk")
    facts = {
        "title": incident.title,
        "state": incident.state,
        "reason": incident.timeline.latest("seq").reason,
        "url": f"http://127.0.0.1:8000/incidents/{incident.pk}/",
        "findings": [row.content for row in incident.findings.all()],
        "steps": list(incident.steps.values("says", "state", "result", "action", "undo")),
        "checks": samples[0].checks if samples else [],
    }
    key, title = f"sre-incident-{incident.pk}", f"[{incident.state}] {incident.title}"
    ticket = LocalTicket.objects.create(
        key=key, title=title, body=compose(facts), labels=["sre-platform", "payments"], closed=closed
    )
    if closed:
        LocalComment.objects.create(
            ticket=ticket, key=f"{key}-closed", text="The incident is resolved. 3 samples in a row met all criteria."
        )
    state, url = "closed" if closed else "open", f"http://127.0.0.1:8000/tickets/{ticket.pk}/"
    Ticket.objects.create(
        incident=incident,
        system="local",
        key=key,
        title=title,
        body=ticket.body,
        wanted=state,
        actual=state,
        reference=str(ticket.pk),
        url=url,
    )
    story.tell(
        0.2,
        "ticket_opened",
        f"Ticket {ticket.pk} at local: {url}",
        {"system": "local", "reference": str(ticket.pk), "url": url},
    )
    return ticket
