"""The one writer of incidents: claim, note, defer, record. Every write asks whether the incident is still mine.

Crash rules: a claim is a lease, so a process that dies with one only delays the incident until ``claimed_until``.
The state and its timeline entry change in one transaction. Somebody who lost the lease changes zero rows and gets Lost.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from itertools import takewhile
from typing import Any, NamedTuple

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F, Max, Q, QuerySet, Value
from django.db.models.functions import Greatest

from sre_platform.clients import metrics
from sre_platform.incidents.domain import ENDED, Event, State, after
from sre_platform.incidents.models import Incident, TimelineEntry
from sre_platform.kernel.clock import now
from sre_platform.kernel.errors import Lost
from sre_platform.kernel.redaction import redact, redact_text
from sre_platform.kernel.storable import storable, storable_text

LEASE_EXPIRED, STAGE_FAILED, WAITS = "lease_expired", "stage_failed", "waits"
FAILURES_LOOKED_AT = 200


@dataclass(frozen=True)
class Lease:
    """The right to work on an incident, valid while nobody has claimed it with a higher fence."""

    incident_id: int
    state: State
    fence: int

    def row(self) -> QuerySet[Incident]:
        """The incident as a queryset that is empty once the lease is lost."""
        return Incident.objects.filter(pk=self.incident_id, state=self.state, fence=self.fence)

    def confirm(self) -> None:
        """Raise Lost when somebody else has taken over; else nobody can for a whole lease: so long may an effect take.

        Asked right before every effect on the world: who has little time left must not begin what outlives it.
        """
        until = Greatest(F("claimed_until"), Value(now() + timedelta(seconds=settings.SRE_LEASE_S)))
        if not self.row().filter(claimed_until__gt=now()).update(claimed_until=until):
            raise Lost(f"Incident {self.incident_id} has been taken over by somebody else.")

    def hold(self) -> None:
        """As ``confirm``, and nobody can take over before the caller's transaction ends: the update locks the row."""
        _update(self, fence=self.fence)


def due(limit: int) -> list[int]:
    """Incidents whose next stage may run and that nobody holds, longest due first."""
    moment = now()
    free = Q(claimed_until__isnull=True) | Q(claimed_until__lte=moment)
    rows = Incident.objects.filter(free, due_at__lte=moment).order_by("due_at")
    return list(rows.values_list("pk", flat=True)[:limit])


@transaction.atomic
def claim(incident_id: int, owner: str, lease_s: float) -> Lease | None:
    """Take a due incident for ``lease_s`` seconds; None when it is not due or somebody holds it."""
    return _take(Incident.objects.filter(pk=incident_id, due_at__lte=now()), owner, lease_s)


@transaction.atomic
def claim_for_person(incident_id: int, person: str, lease_s: float) -> Lease | None:
    """Take an incident that waits for a decision; None when it no longer does or somebody holds it."""
    return _take(Incident.objects.filter(pk=incident_id, state=State.AWAITING_APPROVAL), person, lease_s)


@transaction.atomic
def claim_ended(incident_id: int, person: str, lease_s: float) -> Lease | None:
    """Take an incident that was left to people; None when it no longer is, or somebody holds it."""
    return _take(Incident.objects.filter(pk=incident_id, state=State.ESCALATED), person, lease_s)


def watch(incident_id: int, until: datetime, every_s: float) -> None:
    """Look at a resolved incident again, every so many seconds until then: a relapse reopens it."""
    due = min(until, now() + timedelta(seconds=every_s))
    Incident.objects.filter(pk=incident_id, state=State.RESOLVED).update(watch_until=until, watch_due_at=due)


def look_again(incident_id: int, until: datetime, every_s: float) -> None:
    """The next look at an incident that is still watched; nothing when somebody has ended the watch meanwhile."""
    rows = Incident.objects.filter(pk=incident_id, state=State.RESOLVED, watch_until=until)
    rows.update(watch_due_at=min(until, now() + timedelta(seconds=every_s)))


def end_watch(incident_id: int | None = None) -> None:
    """Nobody watches it any more; None for all of them, when somebody is about to break things on purpose."""
    rows = Incident.objects.filter(watch_until__isnull=False)
    rows = rows if incident_id is None else rows.filter(pk=incident_id)
    rows.update(watch_until=None, watch_due_at=None)


def on_purpose(incident_ids: Iterable[int]) -> None:
    """These were a drill's doing: how often their alerts began says nothing about alerts that come later."""
    Incident.objects.filter(pk__in=list(incident_ids)).update(on_purpose=True)


def watched(limit: int) -> list[int]:
    """The incidents that have to be looked at now, longest due first."""
    rows = Incident.objects.filter(state=State.RESOLVED, watch_due_at__lte=now()).order_by("watch_due_at")
    return list(rows.values_list("pk", flat=True)[:limit])


def claim_watch(incident_id: int, every_s: float) -> Incident | None:
    """Take the next look at a watched incident; None when it is not due or somebody else has taken it.

    Crash rule: whoever takes it and dies has cost one look; the next is due ``every_s`` later.
    """
    rows = Incident.objects.filter(pk=incident_id, state=State.RESOLVED, watch_due_at__lte=now())
    taken = rows.update(watch_due_at=now() + timedelta(seconds=every_s))
    return Incident.objects.get(pk=incident_id) if taken else None


def reopen(incident_id: int, reason: str, data: Mapping[str, Any] | None = None) -> bool:
    """A resolved incident is open again, and due; False when it is not resolved, or another one took its place."""
    state, moment = after(State.RESOLVED, Event.RELAPSED), now()
    fresh = {"ended_at": None, "ended_by": "", "watch_until": None, "watch_due_at": None, "relapsed_at": moment}
    try:
        with transaction.atomic():
            rows = Incident.objects.filter(pk=incident_id, state=State.RESOLVED)
            if not rows.update(state=state, due_at=moment, fence=F("fence") + 1, **fresh):
                return False
            fence = Incident.objects.values_list("fence", flat=True).get(pk=incident_id)
            _append(incident_id, Event.RELAPSED, reason, data, fence, State.RESOLVED, state)
    except IntegrityError:  # one incident of a key is open at a time, and there is another by now
        return False
    return True


def _take(rows: QuerySet[Incident], owner: str, lease_s: float) -> Lease | None:
    moment = now()
    free = Q(claimed_until__isnull=True) | Q(claimed_until__lte=moment)
    before = rows.filter(free).first()
    until = moment + timedelta(seconds=lease_s)
    if not before or not rows.filter(free).update(claimed_by=owner, claimed_until=until, fence=F("fence") + 1):
        return None
    state, fence = Incident.objects.values_list("state", "fence").get(pk=before.pk)
    if before.claimed_by:
        said = f"{before.claimed_by} did not finish in time; {owner} took over."
        _append(before.pk, LEASE_EXPIRED, said, None, fence)
        transaction.on_commit(partial(metrics.lease_expired, state))
    return Lease(before.pk, State(state), fence)


def failures(lease: Lease) -> int:
    """How often the present stage raised an error or lost its worker, since the state last changed."""
    entries = (
        TimelineEntry.objects.filter(incident_id=lease.incident_id).order_by("-seq").values_list("name", "to_state")
    )
    since = takewhile(lambda entry: not entry[1], entries[:FAILURES_LOOKED_AT])
    return sum(name in (LEASE_EXPIRED, STAGE_FAILED) for name, _ in since)


def wake(incident_id: int) -> None:
    """Make an incident due now, its alerts having cleared, unless something was done: verification keeps its time."""
    before_action = [State.OPEN, State.DIAGNOSED, State.AWAITING_APPROVAL]
    Incident.objects.filter(pk=incident_id, state__in=before_action).update(due_at=now())


@transaction.atomic
def defer(lease: Lease, until: datetime, reason: str = "") -> None:
    """Give the incident back unchanged, due again at ``until``. A reason is told, but not twice. Raises Lost."""
    _update(lease, due_at=until, claimed_by="", claimed_until=None)
    if reason and _last_reason(lease.incident_id) != reason:
        _append(lease.incident_id, WAITS, reason, None, lease.fence)


def _last_reason(incident_id: int) -> str | None:
    said = TimelineEntry.objects.filter(incident_id=incident_id, name=WAITS).order_by("-seq")
    return said.values_list("reason", flat=True).first()


@transaction.atomic
def note(lease: Lease, name: str, reason: str, data: Mapping[str, Any] | None = None) -> None:
    """Add to the timeline without changing the state. Raises Lost."""
    lease.hold()
    _append(lease.incident_id, name, reason, data, lease.fence)


@transaction.atomic
def record(
    lease: Lease, event: Event, reason: str, data: Mapping[str, Any] | None = None, due_in_s: float = 0.0
) -> State:
    """Move the incident on and give it back, due in ``due_in_s`` seconds unless it has ended; returns the new state.

    Raises Lost, and ValueError for an event that cannot happen in the lease's state.
    """
    state, moment = after(lease.state, event), now()
    ended = state in ENDED
    _update(
        lease,
        state=state,
        due_at=None if ended else moment + timedelta(seconds=due_in_s),
        ended_at=moment if ended else None,
        ended_by=event if ended else "",
        claimed_by="",
        claimed_until=None,
    )
    _append(lease.incident_id, event, reason, data, lease.fence, lease.state, state)
    return state


@transaction.atomic
def append(incident_id: int, name: str, reason: str, data: Mapping[str, Any] | None = None) -> None:
    """Add to the timeline from outside the line (an alert joined, a ticket was opened): no lease is needed."""
    append_all([Happened(incident_id, name, reason, data or {})])


class Happened(NamedTuple):
    """Something that happened to an incident, to be added to its timeline."""

    incident_id: int
    name: str
    reason: str
    data: Mapping[str, Any]


@transaction.atomic
def append_all(happened: Sequence[Happened]) -> None:
    """As ``append``, for many entries of many incidents in a number of statements that does not grow with them."""
    _write([_entry(item.incident_id, item.name, item.reason, item.data, 0) for item in happened])


def _update(lease: Lease, **values: Any) -> None:
    if not lease.row().update(**values):
        raise Lost(f"Incident {lease.incident_id} has been taken over by somebody else.")


def _append(
    incident_id: int,
    name: str,
    reason: str,
    data: Mapping[str, Any] | None,
    fence: int,
    from_state: str = "",
    to_state: str = "",
) -> None:
    entry = _entry(incident_id, name, reason, data or {}, fence)
    entry.from_state, entry.to_state = from_state, to_state
    _write([entry])


def _entry(incident_id: int, name: str, reason: str, data: Mapping[str, Any], fence: int) -> TimelineEntry:
    said, facts = storable_text(redact_text(reason)), storable(redact(dict(data)))
    return TimelineEntry(incident_id=incident_id, at=now(), name=name, reason=said, data=facts, fence=fence)


def _write(entries: Sequence[TimelineEntry]) -> None:
    """Give each entry its number and the hash of the one before it, and write them all."""
    incidents = sorted({entry.incident_id for entry in entries})
    # Locks the incidents, so that two writers do not take the same seq (SQLite: the transaction is IMMEDIATE already).
    list(Incident.objects.select_for_update().filter(pk__in=incidents).order_by("pk").values_list("pk"))
    newest = TimelineEntry.objects.filter(incident_id__in=incidents).values("incident_id").annotate(top=Max("seq"))
    tops = {row["incident_id"]: row["top"] for row in newest}
    last = {
        row.incident_id: (row.seq, row.hash)
        for row in TimelineEntry.objects.filter(incident_id__in=tops, seq__in=set(tops.values())).only(
            "incident_id", "seq", "hash"
        )
        if row.seq == tops[row.incident_id]
    }
    for entry in entries:
        seq, entry.previous_hash = last.get(entry.incident_id, (0, ""))
        entry.seq = seq + 1
        entry.hash = entry_hash(entry)
        last[entry.incident_id] = (entry.seq, entry.hash)
    TimelineEntry.objects.bulk_create(entries)


def entry_hash(entry: TimelineEntry) -> str:
    """SHA-256 over the entry's content and the hash before it."""
    fields = ["incident_id", "seq", "name", "from_state", "to_state", "reason", "data", "fence", "previous_hash"]
    content = {field: getattr(entry, field) for field in fields} | {"at": entry.at.isoformat()}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def broken_link(incident_id: int) -> int | None:
    """The ``seq`` of the first timeline entry that is missing or was tampered with, or None when the chain holds."""
    previous = ""
    for expected, entry in enumerate(TimelineEntry.objects.filter(incident_id=incident_id).order_by("seq"), start=1):
        if entry.seq != expected or entry.previous_hash != previous or entry.hash != entry_hash(entry):
            return expected
        previous = entry.hash
    return None
