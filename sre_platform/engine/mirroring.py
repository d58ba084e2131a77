"""Silences to and from an Alertmanager.

Its own ones are mirrored here; what it has forgotten ends here. Those made here are posted to it once; ended there by a
person, they end here as well. ``expired`` is a person's wish and is carried out there, wherever the silence is from.

Crash rules: a posted silence carries a mark in its comment. Who dies between posting it and remembering its id finds
the mark at the next look, and posts nothing. A look posts a silence to one Alertmanager only, because several may be
one cluster, which then passes it on.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import structlog

from sre_platform.clients.alertmanager import Alertmanager
from sre_platform.clients.alertmanager import Silence as There
from sre_platform.incidents import quiet
from sre_platform.incidents.models import Silence
from sre_platform.kernel.clock import now
from sre_platform.kernel.errors import Malformed, Rejected
from sre_platform.kernel.storable import storable, storable_text

MOST_POSTED = 20  # in one look
EXPIRED = "expired"
_MARK = re.compile(r"\[sre-platform:[0-9a-f-]{36}\]")
log = structlog.get_logger()
Known = Mapping[str, There]


@dataclass
class Mirrored:
    """How many silences were taken from there, ended here and ended there; which were posted; how many were refused."""

    taken: int = 0
    posted: list[int] = field(default_factory=list)
    ended_here: int = 0
    ended_there: int = 0
    refused: int = 0


def mirror(manager: Alertmanager, done: Mirrored) -> None:
    """Bring one Alertmanager's silences and ours together. Raises what the client raises."""
    there = {silence.id: silence for silence in manager.silences()}
    rows = list(Silence.objects.filter(origin="", ends_at__gt=now()).order_by("pk"))
    marked = _marked(there)
    ours = {row.pk: _id_there(row, manager, there, marked) for row in rows}
    _take(manager, {key: silence for key, silence in there.items() if key not in ours.values()}, done)
    for row in rows:
        _give(manager, row, there.get(ours[row.pk]), done)


def mark(row: Silence) -> str:
    """What stands in the comment of a posted silence."""
    return f"[sre-platform:{row.key}]"


def _marked(there: Known) -> dict[str, str]:
    """The id of each silence that carries a mark, by the mark; one in force goes before one that has expired."""
    by_state = sorted(there.values(), key=lambda silence: silence.state != EXPIRED)
    return {match[0]: silence.id for silence in by_state if (match := _MARK.search(silence.comment))}


def _id_there(row: Silence, manager: Alertmanager, there: Known, marked: Mapping[str, str]) -> str:
    """The id that a silence made here has there: as remembered, or found by its mark; empty when there is none."""
    remembered = str(row.posted.get(manager.url, ""))
    return remembered if remembered in there else marked.get(mark(row), "")


def _take(manager: Alertmanager, there: Known, done: Mirrored) -> None:
    rows = {row.external_id: row for row in Silence.objects.filter(origin=manager.url)}
    for key, silence in there.items():
        row = rows.get(key) or Silence(origin=manager.url, external_id=key)
        if row.expired and silence.state != EXPIRED:
            manager.expire_silence(key)
            done.ended_there += 1
        elif row.pk or silence.state != EXPIRED:
            _copy(row, silence, done)
    gone = [row.pk for key, row in rows.items() if key not in there]
    done.ended_here += Silence.objects.filter(pk__in=gone, ends_at__gt=now()).update(ends_at=now())


def _copy(row: Silence, silence: There, done: Mirrored) -> None:
    """Bring a mirrored row to what is there; one whose matchers mean nothing here is left out, its alerts are loud."""
    wanted: dict[str, Any] = {
        "matchers": storable(silence.matchers),
        "starts_at": silence.starts_at,
        "ends_at": silence.ends_at,
        "comment": storable_text(silence.comment)[:500],
        "by": storable_text(silence.created_by)[:150],
    }
    if row.pk and all(getattr(row, name) == value for name, value in wanted.items()):
        return
    try:
        quiet.parse_matchers(wanted["matchers"])
    except Malformed as error:
        done.refused += 1
        log.warning("silence_not_mirrored", origin=row.origin, silence=silence.id, reason=str(error))
        return
    for name, value in wanted.items():
        setattr(row, name, value)
    row.save()
    done.taken += 1


def _give(manager: Alertmanager, row: Silence, silence: There | None, done: Mirrored) -> None:
    if silence is None:
        if not row.expired and row.pk not in done.posted and len(done.posted) < MOST_POSTED:
            _post(manager, row, done)
        return
    _remember(row, manager, silence.id)
    if row.expired and silence.state != EXPIRED:
        manager.expire_silence(silence.id)
        done.ended_there += 1
    elif silence.state == EXPIRED and not row.expired:
        done.ended_here += Silence.objects.filter(pk=row.pk).update(expired=True)


def _post(manager: Alertmanager, row: Silence, done: Mirrored) -> None:
    try:
        matchers = [matcher.as_json() for matcher in row.as_value().matchers]
        comment, by = f"{row.comment} {mark(row)}".strip(), row.by or "sre-platform"
        silence_id = manager.put_silence(matchers, row.starts_at, row.ends_at, by, comment)
    except (Malformed, Rejected) as error:
        done.refused += 1
        log.warning("silence_not_posted", silence=row.pk, reason=str(error))
        return
    done.posted.append(row.pk)
    _remember(row, manager, silence_id)


def _remember(row: Silence, manager: Alertmanager, silence_id: str) -> None:
    if row.posted.get(manager.url) != silence_id:
        row.posted = row.posted | {manager.url: silence_id}
        Silence.objects.filter(pk=row.pk).update(posted=row.posted)
