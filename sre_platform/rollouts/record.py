"""The one writer of roll-outs: start, claim, move, note, keep. Every write asks whether the roll-out is still mine.

Crash rules, as for incidents: a claim is a lease that is renewed while its owner lives. What is wanted of the world (a
state with its weights) is written, with its reason, before it is done, and a new owner brings the world to it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F, Q, QuerySet

from sre_platform.catalog.models import Change
from sre_platform.clients.traffic import BASELINE_ONLY
from sre_platform.kernel.clock import now
from sre_platform.kernel.errors import Lost, Rejected
from sre_platform.kernel.redaction import redact, redact_text
from sre_platform.kernel.storable import storable, storable_text
from sre_platform.rollouts.models import Rollout, RolloutEvent, RolloutSample
from sre_platform.rollouts.walk import ENDED, Move, State, Step, Wish, weights

# A walk is asked for every second; an owner that has been silent for so long is gone.
LEASE_S = 10.0
# An hour of samples, one a second: a walk that takes longer keeps its newest.
MOST_SAMPLES = 3600
# Where people have to know; who aborted it knows.
TOLD = (State.WAITS_FOR_PERSON, State.ROLLING_BACK, State.ROLLED_BACK, State.FAILED, State.PROMOTED)


@dataclass(frozen=True)
class Lease:
    """The right to work on a roll-out, valid while nobody has claimed it with a higher fence."""

    rollout_id: int
    fence: int

    def row(self) -> QuerySet[Rollout]:
        """The roll-out as a queryset that is empty once the lease is lost."""
        return Rollout.objects.filter(pk=self.rollout_id, fence=self.fence, ended_at=None)

    def confirm(self) -> None:
        """Raise Lost when somebody else has taken over. Asked right before every effect on the world; renews."""
        moment = now()
        until = moment + timedelta(seconds=LEASE_S)
        if not self.row().filter(claimed_until__gt=moment).update(claimed_until=until):
            raise Lost(f"Roll-out {self.rollout_id} has been taken over by somebody else.")

    def write(self, **values: Any) -> None:
        """Change the row. Raises Lost."""
        if not self.row().update(**values):
            raise Lost(f"Roll-out {self.rollout_id} has been taken over by somebody else.")


@transaction.atomic
def start(
    service: str, releases: tuple[str, str], router: str, steps: list[Step], step_s: float, by: str, reason: str
) -> Rollout:
    """Write a new roll-out from the first of ``releases`` to the second, due now. Raises Rejected for a second one."""
    moments = dict.fromkeys(("started_at", "state_since", "step_since", "due_at"), now())
    rollout = Rollout(
        service=service, baseline=releases[0], canary=releases[1], router=router, step_s=step_s, **moments
    )
    rollout.steps, rollout.wanted = [step.as_json() for step in steps], BASELINE_ONLY.as_json()
    rollout.started_by, rollout.reason = storable_text(by), storable_text(reason)
    try:
        with transaction.atomic():
            rollout.save(force_insert=True)
    except IntegrityError as error:
        raise Rejected(f"A roll-out of {service} is on its way already.") from error
    said = f"{by} started it: {service} from {releases[0]} to {releases[1]}, {', '.join(map(str, steps))}."
    _append(rollout.pk, "started", said, {"steps": rollout.steps, "step_s": step_s, "reason": reason}, 0, State.PENDING)
    return rollout


def due(limit: int) -> list[int]:
    """Roll-outs that have to be looked at and that nobody holds."""
    moment = now()
    free = Q(claimed_until__isnull=True) | Q(claimed_until__lte=moment)
    rows = Rollout.objects.filter(free, due_at__lte=moment, ended_at=None).order_by("due_at")
    return list(rows.values_list("pk", flat=True)[:limit])


@transaction.atomic
def claim(rollout_id: int, owner: str) -> Lease | None:
    """Take a due roll-out; None when it is not due, has ended, or somebody holds it."""
    moment = now()
    free = Q(claimed_until__isnull=True) | Q(claimed_until__lte=moment)
    rows = Rollout.objects.filter(free, pk=rollout_id, ended_at=None, due_at__lte=moment)
    before = rows.values_list("claimed_by", flat=True).first()
    until = moment + timedelta(seconds=LEASE_S)
    if before is None or not rows.update(claimed_by=owner, claimed_until=until, fence=F("fence") + 1):
        return None
    fence = Rollout.objects.values_list("fence", flat=True).get(pk=rollout_id)
    if before:
        _append(rollout_id, "lease_expired", f"{before} did not finish in time; {owner} took over.", {}, fence)
    return Lease(rollout_id, fence)


def release(lease: Lease, in_s: float) -> None:
    """Give it back, due again in so many seconds. Raises Lost."""
    lease.write(due_at=now() + timedelta(seconds=in_s), claimed_by="", claimed_until=None)


@transaction.atomic
def move(lease: Lease, rollout: Rollout, to: Move, data: Mapping[str, Any]) -> None:
    """Write where it goes and what the router is to be brought to, before any of it is done. Raises Lost."""
    moment, same_step = now(), to.step == rollout.step and rollout.state != State.STARTING
    wanted = weights(to.state, rollout.plan, to.step)
    values: dict[str, Any] = {
        "state": to.state,
        "step": to.step,
        "state_since": moment,
        "step_since": rollout.step_since if same_step else moment,
        "wanted": wanted.as_json() if to.state is not State.PROMOTING else rollout.wanted,
        "ending": to.ending,
        "reason": rollout.reason if rollout.state == State.ROLLING_BACK else to.reason,  # the end keeps its why
    }
    if to.state in TOLD:
        values["tell_at"] = moment
    if to.state in ENDED:
        values |= {"ended_at": moment, "due_at": None, "claimed_by": "", "claimed_until": None}
    lease.write(**values)
    # Only the wish that was seen is fulfilled: one that came since is looked at next.
    Rollout.objects.filter(pk=lease.rollout_id, wish=rollout.wish).update(wish=Wish.NONE)
    _append(lease.rollout_id, to.state.value, to.reason, data, lease.fence, to.state)


@transaction.atomic
def note(lease: Lease, name: str, reason: str, data: Mapping[str, Any] | None = None, **values: Any) -> None:
    """Add an event, and change fields of the row with it, without moving. Raises Lost."""
    lease.write(**values, fence=lease.fence)
    _append(lease.rollout_id, name, reason, data or {}, lease.fence)


@transaction.atomic
def want(lease: Lease, wanted: Mapping[str, Any], reason: str) -> None:
    """Write weights that are wanted, before the router gets them. Raises Lost."""
    note(lease, "weights_wanted", reason, {"weights": dict(wanted)}, wanted=dict(wanted))


@transaction.atomic
def moves_baseline(lease: Lease, rollout: Rollout, before: str, after: str) -> None:
    """Keep ``rollout.facts``; the new release of the baseline is a deploy that diagnosis knows of. Raises Lost.

    The way back is none: a service's last deploy stays the one that brought what was bad.
    """
    lease.write(facts=rollout.facts)
    if after == rollout.canary:
        key = {"service": rollout.service, "kind": "deploy", "at": rollout.state_since, "after": after}
        Change.objects.get_or_create(**key, defaults={"before": before, "by": f"roll-out {rollout.pk}"})


@transaction.atomic
def keep(lease: Lease, sample: RolloutSample | None, counters: Mapping[str, Any]) -> None:
    """Store a reading and what was served since the last one. Raises Lost."""
    values: dict[str, Any] = {"counters": dict(counters)}
    if sample:
        values["samples_taken"] = sample.number + 1
        sample.save(force_insert=True)
        if sample.number >= MOST_SAMPLES:
            RolloutSample.objects.filter(rollout=sample.rollout_id, number__lte=sample.number - MOST_SAMPLES).delete()
    lease.write(**values)


@transaction.atomic
def ask(rollout_id: int, wish: Wish, person: str) -> bool:
    """A person asks for something; False when the roll-out has ended, is on its way back, or was asked to go back."""
    rows = Rollout.objects.filter(pk=rollout_id, ended_at=None).exclude(state=State.ROLLING_BACK)
    rows = rows if wish is Wish.ABORT else rows.exclude(wish=Wish.ABORT)
    if not rows.update(wish=wish, wish_by=storable_text(person)[:150], due_at=now()):
        return False
    said = {"abort": "take it back", "go_on": "go on to the next step", "promote": "promote it"}[wish]
    _append(rollout_id, "asked", f"{person} asked to {said}.", {"wish": wish.value}, 0)
    return True


def _append(rollout_id: int, name: str, reason: str, data: Mapping[str, Any], fence: int, to: State | str = "") -> None:
    said, facts = storable_text(redact_text(reason)), storable(redact(dict(data)))
    RolloutEvent.objects.create(
        rollout_id=rollout_id, at=now(), name=name, to_state=to, reason=said, data=facts, fence=fence
    )
