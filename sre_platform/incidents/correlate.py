"""Between the board and the rows: set a board up for a batch of alerts, and write down where they went.

Only the digester calls this, one at a time (``intake.ledger.take_turn``), inside its transaction. What is read depends
on what the batch is about, not on how many alerts or incidents are open.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from django.db.models import Count, Exists, F, Min, OuterRef, Q, QuerySet
from django.db.models.functions import Coalesce, Greatest, Least

from sre_platform.catalog.domain import Topology, downstream, upstream
from sre_platform.catalog.models import changes_of
from sre_platform.incidents import board as boards
from sre_platform.incidents import record
from sre_platform.incidents.board import Board, Key, Known, Live, Placed
from sre_platform.incidents.domain import ENDED, Event, State
from sre_platform.incidents.models import Incident, IncidentAlert, IncidentTopic
from sre_platform.intake.domain import AlertValue
from sre_platform.intake.ledger import chunks
from sre_platform.intake.models import Alert
from sre_platform.kernel.clock import now
from sre_platform.kernel.errors import SreError
from sre_platform.playbook.library import in_force

SHOWN = 5  # alerts that a timeline entry names when many joined at once


def set_up(
    alerts: Sequence[AlertValue],
    at: datetime,
    topology: Topology,
    rows: Mapping[Key, Alert],
    quiet: boards.Quiet,
) -> Board:
    """The board for a batch that began to arrive ``at`` this moment; ``rows`` are the occurrences seen before."""
    live = {incident.pk: incident for incident in _live(_topics(alerts, topology), at)}
    known = {key: Known(row.resolved) for key, row in rows.items()}
    members = dict(IncidentAlert.objects.filter(alert__in=rows.values()).values_list("alert_id", "incident_id"))
    for key, row in rows.items():
        if incident := members.get(row.pk):
            known[key].live = live.get(incident) or Live("", "", "", at, at, pk=incident)
    starts = _starts_since((alert.fingerprint for alert in alerts), at - boards.FLAPPING_WINDOW)
    return Board(topology, live.values(), known, starts, quiet)


def _topics(alerts: Sequence[AlertValue], topology: Topology) -> set[str]:
    services = {alert.service for alert in alerts}
    near = {name for service in services for walk in (upstream, downstream) for name in walk(topology, service)}
    return {boards.STORM_TOPIC, *(f"service={name}" for name in near)}.union(*map(boards.topics, alerts))


def _live(topics: Iterable[str], at: datetime) -> list[Live]:
    """The incidents about these topics that take alerts, and those that opened lately, with all that they are about.

    They are locked, so that none of them ends before the alerts that join it are written.
    """
    wanted: set[int] = set()
    for chunk in chunks(sorted(topics)):
        wanted.update(IncidentTopic.objects.filter(name__in=chunk).values_list("incident_id", flat=True))
    lately = Q(opened_at__gte=at - boards.STORM_WINDOW, parent=None, storm=False) & ~Q(state__in=ENDED)
    lock = Incident.objects.select_for_update(of=("self",)).order_by("pk")
    rows = {row.pk: row for row in lock.filter(lately)}
    for portion in chunks(sorted(wanted - rows.keys())):
        rows |= {row.pk: row for row in lock.filter(pk__in=portion)}
    taking = {pk: row for pk, row in rows.items() if row.state not in ENDED}
    taking |= {row.pk: row for row in _with_people(rows.values(), at)}
    taking |= {row.pk: row for row in _watched(rows.values(), at)}
    IncidentTopic.objects.filter(incident_id__in=rows.keys() - taking.keys()).delete()  # they take no more alerts
    return _values(taking)


def _with_people(rows: Iterable[Incident], at: datetime) -> Iterable[Incident]:
    """Of these, the escalated ones whose alerts still fire: people who have an incident get its new alerts too.

    A storm is not over when the alerts that it has gathered so far are.
    """
    escalated = {row.pk: row for row in rows if row.state == State.ESCALATED}
    firing, calm = set(_firing(escalated)), at - boards.STORM_CALM
    storms = {pk for pk, row in escalated.items() if row.storm and (row.last_alert_at or row.opened_at) >= calm}
    return [escalated[pk] for pk in sorted(firing | storms)]


def _watched(rows: Iterable[Incident], at: datetime) -> list[Incident]:
    """Of these, the repaired ones that are watched, unless the service was changed since: then it is new trouble."""
    found = [row for row in rows if row.state == State.RESOLVED and row.watch_until and row.watch_until > at]
    since = min((row.ended_at for row in found if row.ended_at), default=at)
    changes = changes_of({row.service for row in found}, since) if found else {}
    return [row for row in found if not any(row.ended_at and c.at > row.ended_at for c in changes[row.service])]


def _firing(incident_ids: Iterable[int]) -> list[int]:
    """Those that have an alert which fires: found at the first one, however many there are."""
    firing = IncidentAlert.objects.filter(incident=OuterRef("pk"), alert__resolved=False)
    rows = Incident.objects.filter(Exists(firing), pk__in=list(incident_ids))
    return list(rows.values_list("pk", flat=True))


def _values(rows: Mapping[int, Incident]) -> list[Live]:
    about = defaultdict(set)
    for pk, name in IncidentTopic.objects.filter(incident_id__in=rows).values_list("incident_id", "name"):
        about[pk].add(name)
    live = {
        pk: Live(r.key, r.service, r.title, r.opened_at, r.last_alert_at or r.opened_at, about[pk], pk, r.storm)
        for pk, r in rows.items()
    }
    for pk, row in rows.items():
        live[pk].watched = row.state == State.RESOLVED
    for pk, row in rows.items():
        if row.parent_id:
            live[pk].parent = live.get(row.parent_id) or Live(
                "", "", "", row.opened_at, row.opened_at, pk=row.parent_id
            )
    return list(live.values())


def write(board: Board, alert_ids: Mapping[Key, int]) -> set[int]:
    """Write what the board has decided; returns the incidents that have something new to work on."""
    _open(board.opened)
    IncidentAlert.objects.bulk_create(
        IncidentAlert(incident_id=incident.pk, alert_id=alert_ids[key], reason=_why(placed)[:300])
        for key, incident, placed in board.joined
    )
    for child, parent in board.adopted:
        Incident.objects.filter(pk=child.pk).update(parent_id=parent.pk)
    _reopen(board)
    gathered: dict[Live, list[Placed]] = defaultdict(list)
    for _, incident, placed in board.joined:
        gathered[incident].append(placed)
    _count(gathered)
    _tell(gathered)
    reopened = {live.pk for live in gathered if live.watched}
    return {incident.pk for incident in board.opened} | reopened | _clear(board)


def _reopen(board: Board) -> None:
    """What was repaired, and alerts all the same."""
    back = {incident: placed for _, incident, placed in board.joined if incident.watched}
    for incident, placed in back.items():
        why = f"It came back: {boards.title(placed.alert)} fires again after the repair."
        if not record.reopen(incident.pk, why):  # it is locked, and would have given way to an open one
            raise SreError(f"Incident {incident.pk} cannot be opened again, so its alert has no home.")


def _open(opened: Sequence[Live]) -> None:
    rows = [
        Incident(
            key=live.key,
            service=live.service,
            title=live.title,
            storm=live.storm,
            opened_at=live.opened_at,
            due_at=now(),
            last_alert_at=live.last_at,
        )
        for live in opened
    ]
    for live, row in zip(opened, Incident.objects.bulk_create(rows), strict=True):
        live.pk = row.pk


def _why(placed: Placed) -> str:
    return "opened the incident" if placed.fate is boards.Fate.OPENED else placed.reason


def _count(gathered: Mapping[Live, Sequence[Placed]]) -> None:
    """Bring the incidents' own figures, topics and playbooks up to date with the alerts that they were given."""
    books = in_force()
    for incident, placed in gathered.items():
        first = min(item.alert.starts_at for item in placed)
        rows = Incident.objects.filter(pk=incident.pk)
        rows.update(
            alerts=F("alerts") + len(placed),
            first_alert_at=Least(Coalesce("first_alert_at", first), first),
            last_alert_at=Greatest(Coalesce("last_alert_at", incident.last_at), incident.last_at),
        )
        if not incident.storm:
            pairs = {(item.alert.name, item.alert.service) for item in placed}
            _add_playbooks(rows, [key for key, book in books.items() if any(book.wants(*pair) for pair in pairs)])
    topics = (IncidentTopic(incident_id=live.pk, name=name) for live in gathered for name in live.topics)
    IncidentTopic.objects.bulk_create(topics, ignore_conflicts=True)


def _add_playbooks(rows: QuerySet[Incident], wanted: Sequence[str]) -> None:
    """Until its cause is known, an incident also looks where the playbooks of a joined alert tell it to."""
    for row in rows.filter(state=State.OPEN):
        if more := [key for key in wanted if key not in row.playbooks]:
            rows.filter(state=State.OPEN).update(playbooks=row.playbooks + more)


def _tell(gathered: Mapping[Live, Sequence[Placed]]) -> None:
    happened = []
    for incident, placed in gathered.items():
        opener = [item for item in placed if item.fate is boards.Fate.OPENED]
        joined = [item for item in placed if item.fate is not boards.Fate.OPENED]
        for item in opener:
            said = f"{boards.title(item.alert)} fired; {item.reason}."
            facts = _facts(item.alert) | {"received_at": incident.opened_at.isoformat()}
            happened.append(record.Happened(incident.pk, "opened", said, facts))
        if joined:
            happened.append(record.Happened(incident.pk, "alert_joined", _joined(joined), _facts(joined[0].alert)))
    record.append_all(happened)


def _joined(placed: Sequence[Placed]) -> str:
    named = "; ".join(f"{boards.title(item.alert)}, {item.reason}" for item in placed[:SHOWN])
    if len(placed) == 1:
        return f"{boards.title(placed[0].alert)} joined: {placed[0].reason}."
    more = f"; and {len(placed) - SHOWN} more" if len(placed) > SHOWN else ""
    return f"{len(placed)} alerts joined: {named}{more}."


def _facts(alert: AlertValue) -> dict[str, str]:
    summary = alert.annotations.get("summary", "")
    starts = alert.starts_at.isoformat()
    return {"alert": alert.name, "service": alert.service, "summary": summary, "starts_at": starts}


def leave_ended(alert_ids: Sequence[int]) -> list[int]:
    """Take alerts out of incidents that have ended; returns those that now have none."""
    IncidentAlert.objects.filter(alert_id__in=alert_ids, incident__state__in=ENDED).delete()
    housed = IncidentAlert.objects.filter(alert_id__in=alert_ids).values_list("alert_id", flat=True)
    return sorted(set(alert_ids).difference(housed))


def _clear(board: Board) -> set[int]:
    """Tell the incidents whose last firing alert has resolved, and make them due."""
    ended = {live.pk for key in board.ended if (live := board.known[key].live)}
    quiet = ended.difference(_firing(ended))
    text = "The last of its alerts resolved; no alert fires any more."
    record.append_all([record.Happened(pk, "alerts_clear", text, {}) for pk in sorted(quiet)])
    for pk in quiet:
        record.wake(pk)
    return quiet


def all_clear(incident_id: int) -> bool:
    """Whether every alert of the incident has resolved, and, of an alert that flaps, for long enough to believe it."""
    if _firing([incident_id]):
        return False
    return not flapping(incident_id)


def flapping(incident_id: int) -> str:
    """Which of the incident's alerts come and go, of those that fired lately; the empty string when none does."""
    moment = now()
    lately = Q(alert__resolved=False) | Q(alert__ends_at__gt=moment - boards.FLAPPING_CALM)
    alerts = IncidentAlert.objects.filter(lately, incident_id=incident_id)
    names = dict(alerts.values_list("alert__fingerprint", "alert__name"))
    often = _starts_since(names, moment - boards.FLAPPING_WINDOW)
    flaps = sorted({names[key] for key, starts in often.items() if boards.is_flapping(starts)})
    return ", ".join(flaps)


def _starts_since(fingerprints: Iterable[str], since: datetime) -> dict[str, int]:
    """How often each alert has begun since a moment, if it has.

    What a repair has ended did not come and go, nor did what a drill that is over broke on purpose.
    """
    found: dict[str, int] = {}
    for chunk in chunks(sorted(set(fingerprints))):
        rows = Alert.objects.filter(fingerprint__in=chunk, starts_at__gte=since)
        ended = Q(membership__incident__ended_by=Event.FIXED) | Q(membership__incident__on_purpose=True)
        by_itself = rows.exclude(ended).values("fingerprint")
        found |= dict(by_itself.annotate(times=Count("pk")).values_list("fingerprint", "times"))
    return found


def storm(at: datetime) -> str:
    """Why automation is paused by a storm of alerts, or the empty string when there is none."""
    rows = Incident.objects.filter(storm=True, last_alert_at__gt=at - boards.STORM_CALM)
    row = rows.order_by("-pk").first()
    return f"incident {row.pk} is a storm of alerts" if row else ""


def troubled() -> dict[str, str]:
    """Every service on which an alert fires that is not quiet, and the name of one such alert. One query."""
    loud = Alert.objects.filter(resolved=False, quiet="").exclude(service="")
    return dict(loud.values_list("service").annotate(alert=Min("name")).order_by("service"))


def held_by(incident: Incident) -> str:
    """Why an incident has to wait for its parent, or the empty string: the parent is, or was, the cause."""
    parent = incident.parent
    if parent is None:
        return ""
    if parent.storm:
        return storm(now())
    over = parent.state == State.RESOLVED or (parent.state == State.ESCALATED and not _firing([parent.pk]))
    return "" if over else f"incident {parent.pk} is about {parent.service}, which this one depends on"
