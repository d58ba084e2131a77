"""Server-sent events: a page learns that its incident has changed, and asks for what is new itself."""

import asyncio
from collections.abc import AsyncIterator, Callable
from time import monotonic

from asgiref.sync import sync_to_async
from django.contrib.auth.decorators import login_required
from django.db import connection
from django.db.models import Max
from django.http import Http404, HttpRequest, StreamingHttpResponse

from sre_platform.incidents.models import Incident
from sre_platform.tickets.models import Ticket
from sre_platform.web.pages import is_live

LOOK_EVERY_S = 0.5
HEARTBEAT_S = 15.0
LASTS_S = 600.0  # then the browser connects again, and with it the session is checked again
RECONNECT_MS = 2000

Snapshot = tuple[tuple, tuple]


@login_required
async def incident(_request: HttpRequest, incident_id: int) -> StreamingHttpResponse:
    """``changed`` whenever the incident or its tickets have; ``ended`` once nothing more will come."""
    if not await Incident.objects.filter(pk=incident_id).aexists():
        raise Http404(f"There is no incident {incident_id}.")
    answer = StreamingHttpResponse(events(incident_id), content_type="text/event-stream")
    answer.headers["Cache-Control"] = "no-store"
    answer.headers["X-Accel-Buffering"] = "no"  # nginx would hold the events back
    return answer


async def events(incident_id: int, clock: Callable[[], float] = monotonic) -> AsyncIterator[bytes]:
    """The stream's bytes. The first event comes at once, because the page may be older than the connection."""
    began = said = clock()
    known: Snapshot | None = None
    yield f"retry: {RECONNECT_MS}\n\n".encode()
    while clock() - began < LASTS_S:
        seen = await sync_to_async(look)(incident_id)
        if seen != known:
            known, said = seen, clock()
            yield _event("changed", seen)
            if _over(seen):
                yield _event("ended", seen)
                return
        elif clock() - said >= HEARTBEAT_S:
            said = clock()
            yield b": still here\n\n"
        await asyncio.sleep(LOOK_EVERY_S)


def look(incident_id: int) -> Snapshot:
    """What the page depends on, in two short queries.

    The connection is given back each time, so that many viewers do not take the database away from the workers.
    """
    rows = Incident.objects.filter(pk=incident_id).annotate(seq=Max("timeline__seq"))
    incident = rows.values_list("state", "seq", "fence", "claimed_by").first() or ()
    tickets = Ticket.objects.filter(incident_id=incident_id).order_by("pk")
    seen = incident, tuple(tickets.values_list("pk", "actual", "wanted", "due_at", "trouble"))
    if not connection.in_atomic_block:
        connection.close()
    return seen


def _over(seen: Snapshot) -> bool:
    incident, tickets = seen
    return not incident or not is_live(incident[0], any(due_at for _, _, _, due_at, _ in tickets))


def _event(name: str, seen: Snapshot) -> bytes:
    seq = seen[0][1] if seen[0] else 0
    return f"event: {name}\ndata: {seq}\n\n".encode()
