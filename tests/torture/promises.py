"""What the platform promises, whatever dies: each function returns the sentences about what breaks one promise.

Nothing acknowledged is lost, nothing is done twice, nothing stays stuck, and what is written down holds together.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from django.db.models import Count, F, Q

from sre_platform.catalog.models import Change
from sre_platform.incidents.board import Fate
from sre_platform.incidents.domain import ENDED, Event, State
from sre_platform.incidents.models import Incident, IncidentAlert, TimelineEntry
from sre_platform.incidents.record import LEASE_EXPIRED, STAGE_FAILED, broken_link
from sre_platform.intake.models import Alert, Delivery, LedgerEntry
from sre_platform.remediation.models import Step
from sre_platform.tickets.models import LocalComment, LocalTicket, Ticket
from tests.torture.load import ALERTS, Acknowledged
from tests.torture.world import Effect, Hands

STARTED = re.compile(r"runs again as process (\d+)")
WAITING = (*sorted(ENDED), State.AWAITING_APPROVAL)


@dataclass(frozen=True)
class Kept:
    """What was found out, a sentence for each thing that is wrong; all empty when every promise was kept."""

    lost: list[str]
    doubled: list[str]
    stuck: list[str]
    broken: list[str]

    @property
    def all(self) -> bool:
        return not (self.lost or self.doubled or self.stuck or self.broken)


def check(journal: Sequence[Acknowledged], effects: Sequence[Effect], hands: Hands) -> Kept:
    """All promises, once the dust has settled."""
    return Kept(
        lost=[*lost_deliveries(journal), *lost_alerts(journal), *forgotten_alerts()],
        doubled=[*doubled_effects(effects, hands), *doubled_tickets(), *doubled_incidents()],
        stuck=[*unfinished(), *held_targets()],
        broken=[*broken_chains(), *misjudged_alerts(journal)],
    )


def lost_deliveries(journal: Sequence[Acknowledged]) -> Iterator[str]:
    """Every acknowledged row is there with the bytes that were sent."""
    deliveries = dict(Delivery.objects.values_list("pk", "digest"))
    changes = set(Change.objects.values_list("pk", flat=True))
    for entry in journal:
        there = deliveries.get(entry.row) == entry.digest if entry.path == ALERTS else entry.row in changes
        if not there:
            yield f"{entry.path} row {entry.row}, acknowledged to {entry.sender}, is not there"


def lost_alerts(journal: Sequence[Acknowledged]) -> Iterator[str]:
    """Every alert of an acknowledged delivery is known, and the delivery's ledger says what became of it."""
    known = set(Alert.objects.values_list("fingerprint", "starts_at"))
    for key in sorted({_key(*told) for entry in journal for told in entry.alerts} - known):
        yield f"alert {key[0]} of {key[1]} was acknowledged and is not there"
    rows = LedgerEntry.objects.values("delivery").annotate(number=Count("pk"))
    told = {row["delivery"]: row["number"] for row in rows}
    for entry in journal:
        if entry.path == ALERTS and told.get(entry.row, 0) != len(entry.alerts):
            yield f"delivery {entry.row} had {len(entry.alerts)} alerts, its ledger has {told.get(entry.row, 0)}"


def _key(fingerprint: str, starts_at: str, _status: str = "") -> tuple[str, datetime]:
    return fingerprint, datetime.fromisoformat(starts_at)


def forgotten_alerts() -> Iterator[str]:
    """A firing alert is in an incident, unless its fate says why not; that incident was not resolved when it joined."""
    held_back = LedgerEntry.objects.filter(fate=Fate.QUIET).values("alert")
    for alert in Alert.objects.filter(resolved=False, membership=None).exclude(pk__in=held_back):
        yield f"{alert} (alert {alert.pk}) fires and is in no incident"
    for entry in TimelineEntry.objects.filter(name="alert_joined"):
        before = TimelineEntry.objects.filter(incident=entry.incident_id, seq__lt=entry.seq).exclude(to_state="")
        if (last := before.order_by("-seq").first()) and last.to_state == State.RESOLVED:
            yield f"{entry.reason} But incident {entry.incident_id} had resolved before"
    for end in TimelineEntry.objects.filter(name=Event.ALERTS_CLEARED, incident__state=State.RESOLVED):
        firing = IncidentAlert.objects.filter(incident=end.incident_id, alert__resolved=False)
        if firing:
            yield f"incident {end.incident_id} ended because nothing fired, and {firing[0].alert} does"
    for delivery in Delivery.objects.exclude(state=Delivery.State.PENDING).filter(fate=""):
        yield f"{delivery} has no fate"


def misjudged_alerts(journal: Sequence[Acknowledged]) -> Iterator[str]:
    """An alert is resolved exactly if a resolution of it was acknowledged; later news of its firing change nothing."""
    told = [(_key(*alert), alert[2]) for entry in journal for alert in entry.alerts]
    resolved = {key for key, status in told if status == "resolved"}
    fired = {key for key, _ in told} - resolved
    for alert in Alert.objects.all():
        if (alert.fingerprint, alert.starts_at) in (fired if alert.resolved else resolved):
            yield f"{alert} of {alert.starts_at}: resolved is {alert.resolved}, and was told otherwise"


def doubled_effects(effects: Sequence[Effect], hands: Hands) -> Iterator[str]:
    """Every effect belongs to one step; a step stops and starts at most once, and one that says it started did.

    Steps hold their target from when they are prepared, so an effect belongs to the last one prepared before it: when
    a step is begun is stamped anew by whoever takes it over. Of a step whose outcome is unknown, or that was found
    done, an effect may be there or not; and a person may have been quicker with a start.
    When ``hands`` changed the service between two effects, the step's next owner rightly did again what was undone.
    """
    for service in {effect.service for effect in effects} | set(_begun().values_list("target", flat=True)):
        steps = list(_begun().filter(target=service, leads_to=None).order_by("prepared_at"))
        owned: dict[int, list[Effect]] = defaultdict(list)
        for effect in (one for one in effects if one.service == service):
            before = [step for step in steps if step.prepared_at.timestamp() <= effect.at]
            if before:
                owned[before[-1].pk].append(effect)
            else:
                yield f"{effect} belongs to no step"
        for step in steps:
            yield from _wrong(step, owned[step.pk], hands)


def _begun():
    return Step.objects.filter(applying_at__isnull=False)


def _wrong(step: Step, done: Sequence[Effect], hands: Hands) -> Iterator[str]:
    said, described = STARTED.search(step.result), f"step {step.pk} ({step.says}; {step.state}; {step.result})"
    for verb in ("stop", "start"):
        for one, other in pairwise(effect for effect in done if effect.verb == verb):
            if not hands.between(step.target, one.at, other.at):
                yield f"{described} did {verb} again: {one}, {other}"
    started = {effect.pid for effect in done if effect.verb == "start"}
    if said and int(said[1]) not in started | hands.started:
        yield f"{described} says what is not so: {done}"


def doubled_tickets() -> Iterator[str]:
    """One ticket for each incident and system, and each remark once."""
    for row in Ticket.objects.values("incident", "system").annotate(number=Count("pk")).filter(number__gt=1):
        yield f"incident {row['incident']} has {row['number']} tickets at {row['system']}"
    wanted, there = Ticket.objects.filter(system="local").count(), LocalTicket.objects.count()
    if wanted != there:
        yield f"{wanted} local tickets are wanted and {there} are there"
    for row in LocalComment.objects.values("ticket", "text").annotate(number=Count("pk")).filter(number__gt=1):
        yield f"ticket {row['ticket']} says {row['number']} times {row['text']!r}"


def doubled_incidents() -> Iterator[str]:
    """One timeline never enters the same state change twice in a row, and only one incident of a key is open."""
    for row in Incident.objects.exclude(state__in=ENDED).values("key").annotate(number=Count("pk")):
        if row["number"] > 1:
            yield f"{row['number']} incidents about {row['key']} are open"
    moves = TimelineEntry.objects.exclude(to_state="").order_by("incident", "seq")
    for one, other in pairwise(moves):
        if one.incident_id == other.incident_id and one.to_state != other.from_state:
            yield f"incident {one.incident_id}: {one.name} led to {one.to_state}, then came {other.name}"


def unfinished() -> Iterator[str]:
    """Deliveries without a fate, incidents that neither ended nor wait for a person, tickets not as wanted."""
    for delivery in Delivery.objects.filter(state=Delivery.State.PENDING):
        yield f"{delivery} is pending"
    with_people = Q(parent__state=State.ESCALATED)  # who have it with its cause
    for incident in Incident.objects.exclude(state__in=WAITING).exclude(with_people):
        last = incident.timeline.last()
        yield f"incident {incident.pk} is {incident.state}, due {incident.due_at}, last: {last and last.reason}"
    asked = Incident.objects.filter(state=State.AWAITING_APPROVAL).exclude(members__alert__resolved=False)
    for incident in asked:
        yield f"incident {incident.pk} waits for a person although no alert fires any more"
    wrong = Q(due_at__isnull=False) | Q(actual=Ticket.State.NONE) | ~Q(actual=F("wanted"))
    for ticket in Ticket.objects.filter(wrong):
        yield f"ticket {ticket.pk} is {ticket.actual}, wanted {ticket.wanted}, due {ticket.due_at}: {ticket.trouble}"


def held_targets() -> Iterator[str]:
    """No incident that has ended holds a target, or has a next stage."""
    for step in Step.objects.filter(incident__state__in=ENDED, state__in=Step.HOLDING):
        yield f"step {step.pk} is {step.state} and holds {step.target}, incident {step.incident_id} has ended"
    for incident in Incident.objects.filter(state__in=ENDED).exclude(
        due_at=None, claimed_by="", ended_at__isnull=False
    ):
        yield f"incident {incident.pk} has ended, and is due {incident.due_at} or claimed by {incident.claimed_by!r}"


def broken_chains() -> Iterator[str]:
    """Every timeline verifies, has its beginning, and ends where its incident is."""
    for incident in Incident.objects.all():
        if (seq := broken_link(incident.pk)) is not None:
            yield f"the timeline of incident {incident.pk} is broken at entry {seq}"
        move = incident.timeline.exclude(to_state="").last()
        if (move.to_state if move else State.OPEN) != incident.state:
            yield f"incident {incident.pk} is {incident.state}, its timeline says otherwise"
        if not IncidentAlert.objects.filter(incident=incident).exists():
            yield f"incident {incident.pk} has no alert"


def figures(effects: Sequence[Effect]) -> dict[str, int]:
    """What there is to count."""
    states = Counter(Incident.objects.values_list("state", flat=True))
    entries = Counter(TimelineEntry.objects.values_list("name", flat=True))
    return {
        "deliveries": Delivery.objects.count(),
        "alerts": Alert.objects.count(),
        "storms": Incident.objects.filter(storm=True).count(),
        "incidents with a common cause": Incident.objects.exclude(parent=None).count(),
        "incidents": sum(states.values()),
        **{f"incidents {state.replace('_', ' ')}": number for state, number in sorted(states.items())},
        "steps begun": _begun().count(),
        "undo steps": _begun().exclude(undoes=None).count(),
        "steps of unknown outcome": entries["step_unknown"],
        "effects": len(effects),
        "starts": sum(effect.verb == "start" for effect in effects),
        "timeline entries": sum(entries.values()),
        "leases that ran out": entries[LEASE_EXPIRED],
        "stages that failed": entries[STAGE_FAILED],
        "tickets": Ticket.objects.count(),
    }
