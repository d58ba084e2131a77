"""Owners of incidents that die, or are overtaken, at a chosen place: right before an effect is when they are asked."""

from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count

from sre_platform.incidents import record
from sre_platform.incidents.domain import State
from sre_platform.incidents.models import Incident
from sre_platform.kernel.clock import now


class Died(BaseException):
    """The process is gone: no ``except Exception`` may see this."""


def incident(state: State = State.APPROVED, service: str = "payments", **fields) -> Incident:
    key = fields.pop("key", service)
    return Incident.objects.create(
        key=key, service=service, title=f"{service} fails", state=state, opened_at=now(), due_at=now(), **fields
    )


def take(incident_id: int, owner: str = "somebody") -> record.Lease:
    """The lease of a new owner, whoever had it before: his time is over."""
    over = now() - timedelta(seconds=1)
    Incident.objects.filter(pk=incident_id, claimed_until__gt=over).update(claimed_until=over)
    Incident.objects.filter(pk=incident_id).update(due_at=over)
    lease = record.claim(incident_id, owner, 30)
    assert lease is not None
    return lease


@dataclass(frozen=True)
class Mortal(record.Lease):
    """Dies when it is asked for the ``last``-th time whether it still holds."""

    last: int = 0
    asked: count = field(default_factory=lambda: count(1))

    def confirm(self) -> None:
        super().confirm()
        if next(self.asked) == self.last:
            raise Died


@dataclass(frozen=True)
class Overtaken(Mortal):
    """Somebody else takes over right before the ``last``-th question."""

    def confirm(self) -> None:
        if next(self.asked) == self.last:
            take(self.incident_id, "the next owner")
        record.Lease.confirm(self)


def with_fate(kind: type[Mortal], lease: record.Lease, last: int) -> Mortal:
    return kind(lease.incident_id, lease.state, lease.fence, last)
