"""Whose turn it is to look hard at a service: one at a time, over all workers on all machines.

Crash rules: a turn is a lease, so a worker that dies with one only keeps others from looking hard until it has run
out. Everything that a hard look sends is bounded by the deadline of the whole look, which is shorter than the lease:
a worker that was paused finds its time over before it sends more. Giving back asks for the fence, so that nobody gives
back what somebody else has taken since.
"""

import os
import socket
from collections.abc import Iterable, Mapping
from datetime import timedelta
from functools import reduce
from operator import or_

from django.db import transaction
from django.db.models import F, Q

from sre_platform.diagnosis.models import LookTurn
from sre_platform.kernel.clock import now

LEASE_S = 12.0  # LOOK_DEADLINE_S and half of it again


class DatabaseTurns:
    """The turns of one diagnosis, kept in rows. Not for threads: whoever starts the looks takes and gives back."""

    def __init__(self) -> None:
        self.owner = f"{socket.gethostname()}:{os.getpid()}"
        self._fences: dict[str, int] = {}

    @transaction.atomic
    def take(self, services: Iterable[str]) -> Mapping[str, str]:
        """Take the turn of each service that is free; returns why not for each that is not. Four statements at most."""
        wanted, moment = sorted(set(services)), now()
        LookTurn.objects.bulk_create([LookTurn(service=name) for name in wanted], ignore_conflicts=True)
        rows = list(LookTurn.objects.select_for_update().filter(service__in=wanted).order_by("service"))
        free = [row for row in rows if row.held_until is None or row.held_until <= moment]
        LookTurn.objects.filter(service__in=[row.service for row in free]).update(
            held_by=self.owner, held_until=moment + timedelta(seconds=LEASE_S), fence=F("fence") + 1
        )
        self._fences |= {row.service: row.fence + 1 for row in free}
        return {row.service: _refusal(row) for row in rows if row not in free}

    def give_back(self, services: Iterable[str]) -> None:
        """End these turns, if they are still ours."""
        mine = [Q(service=name, fence=self._fences.pop(name)) for name in sorted(services) if name in self._fences]
        if mine:
            LookTurn.objects.filter(reduce(or_, mine)).update(held_by="", held_until=None)


def _refusal(row: LookTurn) -> str:
    return (
        f"{row.held_by} looks hard at {row.service} just now, until {row.held_until:%H:%M:%S} UTC at the latest:"
        " two at once would slow it down."
    )
