import asyncio

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.test import AsyncClient
from django.urls import reverse

from sre_platform.incidents.models import Incident
from sre_platform.tickets.models import Ticket
from sre_platform.web import stream
from tests.web import factories

pytestmark = pytest.mark.django_db
WAIT_S = 5


@pytest.fixture(autouse=True)
def _looks_often(monkeypatch):
    monkeypatch.setattr(stream, "LOOK_EVERY_S", 0.01)


async def _open(user, incident: Incident):
    client = AsyncClient()
    await client.aforce_login(user)
    answer = await client.get(reverse("incident-stream", args=[incident.pk]))
    return answer, aiter(answer.streaming_content)


async def _next(events) -> str:
    return (await asyncio.wait_for(anext(events), WAIT_S)).decode()


def test_a_change_is_told_and_the_end_ends_it(staff):
    story = factories.verifying()

    @async_to_sync
    async def watch():
        answer, events = await _open(staff, story.incident)
        assert answer["Content-Type"] == "text/event-stream"
        assert (await _next(events)).startswith("retry:")
        assert (await _next(events)).startswith("event: changed\n")
        await sync_to_async(story.tell)(1, "lease_expired", "A worker went away.")
        assert await _next(events) == f"event: changed\ndata: {await _seq(story)}\n\n"
        await sync_to_async(story.tell)(1, "fixed", "Fixed.", to="resolved")
        assert (await _next(events)).startswith("event: changed\n")
        assert (await _next(events)).startswith("event: ended\n")
        with pytest.raises(StopAsyncIteration):
            await _next(events)

    watch()


async def _seq(story) -> int:
    return (await story.incident.timeline.alatest("seq")).seq


def test_a_ticket_that_is_not_delivered_keeps_it_open():
    story = factories.resolved()
    Ticket.objects.update(due_at=story.at)

    @async_to_sync
    async def watch():
        events = stream.events(story.incident.pk)
        await _next(events)
        assert "changed" in await _next(events)
        await Ticket.objects.aupdate(due_at=None)
        assert "changed" in await _next(events)
        assert "ended" in await _next(events)

    watch()


def test_silence_is_broken_by_a_heartbeat_and_ends_after_a_while():
    story, clock = factories.opened(), iter([0, 0, 0, 16, 16, 16, stream.LASTS_S])

    @async_to_sync
    async def watch():
        return [event async for event in stream.events(story.incident.pk, lambda: next(clock))]

    assert [event.split(b":")[0] for event in watch()] == [b"retry", b"event", b""]


def test_there_is_no_stream_of_nothing_and_none_without_a_login(staff):
    @async_to_sync
    async def ask():
        client = AsyncClient()
        locked = await client.get("/incidents/999/stream")
        await client.aforce_login(staff)
        return locked.status_code, (await client.get("/incidents/999/stream")).status_code

    assert ask() == (302, 404)
