"""Compare notes with the Alertmanagers: find webhooks that were lost on the way, and mend what they would have told.

What is mended comes in by the same door as a webhook, with the receiver ``reconcile``. An Alertmanager that does not
answer changes nothing. One that has just started knows little: for five minutes nothing counts as missing.

Crash rules: a look that dies is repeated when its claim is over; telling the intake twice changes nothing. A look mends
nothing before what the last one made is digested. Times are compared in milliseconds, as the API gives them.
"""

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.conf import settings

from sre_platform.clients import metrics
from sre_platform.clients.alertmanager import Alert as There
from sre_platform.clients.alertmanager import Alertmanager
from sre_platform.engine.digestion import reopen
from sre_platform.engine.mirroring import Mirrored, mirror
from sre_platform.intake.models import Alert, Delivery, Reconciliation
from sre_platform.intake.receive import SOURCES, receive
from sre_platform.kernel.clock import now
from sre_platform.kernel.errors import Malformed, SreError

GRACE_S = 30.0  # a webhook may take this long on its way
YOUNG_S = 300.0  # an Alertmanager younger than this may not have heard of all that fires
CLAIM_S = 60.0  # as long as a task may take
PAUSE_S = 10.0  # between two looks, at least
A_BODY, A_QUERY = 100, 500  # alerts
SOURCE, RECEIVER = "alertmanager", "reconcile"
NOT_ENDED = "0001-01-01T00:00:00Z"
log = structlog.get_logger()
Key = tuple[str, datetime]  # a fingerprint, and the start in whole milliseconds
Entry = dict[str, Any]  # an alert of a webhook body


@dataclass
class Looked:
    """What a look found. ``lost_firing`` and ``lost_resolved`` were mended, ``unreadable`` the intake would refuse.

    ``contradicted`` fire there and have resolved here under the same start: they were opened again.
    """

    asked: int
    answered: int = 0
    lost_firing: int = 0
    lost_resolved: int = 0
    contradicted: int = 0
    unreadable: int = 0
    silences: Mirrored = field(default_factory=Mirrored)


@dataclass(frozen=True)
class _View:
    """What one Alertmanager says; ``settled`` when it has been up for long enough to know all."""

    alerts: Sequence[There]
    settled: bool


def look(urls: Sequence[str]) -> Looked | None:
    """Compare notes with all of them; None when somebody else does, or just did."""
    if not urls or not _claim():
        return None
    looked = Looked(asked=len(urls))
    views = [view for url in urls if (view := _visit(url, looked))]
    looked.answered = len(views)
    waiting = _undigested()
    made = waiting or _mend(views, looked)
    Reconciliation.objects.filter(pk=1).update(next_at=now() + timedelta(seconds=PAUSE_S), mended=made)
    for kind in ("lost_firing", "lost_resolved", "contradicted"):
        metrics.reconciled(kind, getattr(looked, kind))
    log.info("reconciled", **asdict(looked))
    return looked


def _claim() -> bool:
    moment = now()
    Reconciliation.objects.get_or_create(pk=1, defaults={"next_at": moment})
    free = Reconciliation.objects.filter(pk=1, next_at__lte=moment)
    return bool(free.update(next_at=moment + timedelta(seconds=CLAIM_S)))


def _visit(url: str, looked: Looked) -> _View | None:
    """Hear one Alertmanager; what fails after it was heard does not count against it.

    Its alerts are asked for first: one that restarts between the two questions is young, and what it said was all.
    """
    view = None
    try:
        manager = Alertmanager(url)
        alerts = manager.alerts()
        view = _View(alerts, manager.up_for_s() > YOUNG_S)
        mirror(manager, looked.silences)
    except SreError as error:
        log.warning("alertmanager_not_heard", reason=str(error), alerts_heard=view is not None)
    return view


def _undigested() -> list[int]:
    """What the last look made and nobody has digested yet."""
    made = Reconciliation.objects.get(pk=1).mended
    return list(Delivery.objects.filter(pk__in=made, state=Delivery.State.PENDING).values_list("pk", flat=True))


def _mend(views: Sequence[_View], looked: Looked) -> list[int]:
    """Tell the intake what it has not heard; returns the deliveries."""
    there = {_key(alert.fingerprint, alert.starts_at): alert for view in views for alert in view.alerts}
    firing = _readable(_lost_firing(there.values(), looked), looked)
    heard_all = looked.answered == looked.asked and all(view.settled for view in views)
    resolved = _readable(_lost_resolved(there.keys()) if heard_all else [], looked)
    looked.lost_firing, looked.lost_resolved = len(firing), len(resolved)
    return [receive(SOURCE, _body(entries)).pk for entries in _parts([*firing, *resolved], A_BODY)]


def _lost_firing(alerts: Iterable[There], looked: Looked) -> list[Entry]:
    """What fires there, for us, for longer than a webhook may take, and no row here knows."""
    late = now() - timedelta(seconds=GRACE_S)
    ours = [alert for alert in alerts if alert.state == "active" and alert.starts_at < late and _is_for_us(alert)]
    known = _known(sorted({alert.fingerprint for alert in ours}))
    keyed = [(alert, _key(alert.fingerprint, alert.starts_at)) for alert in ours]
    ended = [known[key] for _, key in keyed if key in known]
    looked.contradicted = reopen([pk for pk, ends_at in ended if ends_at and ends_at < late])
    return [_entry(alert, "firing", NOT_ENDED) for alert, key in keyed if key not in known]


def _is_for_us(alert: There) -> bool:
    wanted = settings.SRE_ALERTMANAGER_RECEIVERS
    return not wanted or not wanted.isdisjoint(alert.receivers)


def _known(fingerprints: Sequence[str]) -> dict[Key, tuple[int, datetime | None]]:
    """The rows of the alerts with these fingerprints, and when they ended."""
    known: dict[Key, tuple[int, datetime | None]] = {}
    for part in _parts(fingerprints, A_QUERY):
        rows = Alert.objects.filter(fingerprint__in=part).values_list("pk", "fingerprint", "starts_at", "ends_at")
        known |= {_key(fingerprint, starts_at): (pk, ends_at) for pk, fingerprint, starts_at, ends_at in rows}
    return known


def _lost_resolved(there: Collection[Key]) -> list[Entry]:
    """What fires here and was there in neither of two looks that lie a webhook's time apart."""
    rows = Alert.objects.filter(resolved=False, source=SOURCE)
    moment = now()
    new, back, over = [], [], []
    for pk, fingerprint, starts_at, missing_since in rows.values_list(
        "pk", "fingerprint", "starts_at", "missing_since"
    ):
        if _key(fingerprint, starts_at) in there:
            back += [pk] if missing_since else []
        elif missing_since is None:
            new.append(pk)
        elif missing_since <= moment - timedelta(seconds=GRACE_S):
            over.append(pk)
    _set_missing(back, None)
    _set_missing(new, moment)
    return [_gone(row) for part in _parts(over, A_QUERY) for row in Alert.objects.filter(pk__in=part)]


def _set_missing(keys: Sequence[int], moment: datetime | None) -> None:
    for part in _parts(keys, A_QUERY):
        Alert.objects.filter(pk__in=part).update(missing_since=moment)


def _gone(row: Alert) -> Entry:
    """The end of an alert: nobody knows it, so it is when it was first missed."""
    return _entry(row, "resolved", max(row.missing_since or row.starts_at, row.starts_at).isoformat())


def _entry(alert: There | Alert, status: str, ends_at: str) -> Entry:
    return {
        "status": status,
        "labels": dict(alert.labels),
        "annotations": dict(alert.annotations),
        "startsAt": alert.starts_at.isoformat(),
        "endsAt": ends_at,
        "generatorURL": alert.generator_url,
        "fingerprint": alert.fingerprint,
    }


def _readable(entries: Iterable[Entry], looked: Looked) -> list[Entry]:
    """Those that the intake will take: one that it refuses would come back with every look."""
    taken = []
    for entry in entries:
        try:
            SOURCES.get(SOURCE).parse(_body([entry]), {})
            taken.append(entry)
        except Malformed as error:
            looked.unreadable += 1
            log.warning("alert_not_mended", fingerprint=entry["fingerprint"], reason=str(error))
    return taken


def _body(entries: Sequence[Entry]) -> bytes:
    """A webhook body, version 4, marked as ours."""
    status = "firing" if any(entry["status"] == "firing" for entry in entries) else "resolved"
    empty = {"groupLabels": {}, "commonLabels": {}, "commonAnnotations": {}, "externalURL": ""}
    head = {"version": "4", "groupKey": RECEIVER, "receiver": RECEIVER, "status": status}
    return json.dumps(head | empty | {"alerts": entries}).encode()


def _key(fingerprint: str, starts_at: datetime) -> Key:
    return fingerprint, starts_at.replace(microsecond=starts_at.microsecond // 1000 * 1000)


def _parts(items: Sequence[Any], size: int) -> list[Sequence[Any]]:
    return [items[at : at + size] for at in range(0, len(items), size)]
