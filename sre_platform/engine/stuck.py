"""Work that should have gone on: each check names what is stuck, who held it and why, and what to do next.

Every query takes at most LIMIT rows, by an index that holds only what is open, or the newest rows by their key.
"""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

from django.db.models import Exists, OuterRef, Q, Subquery

from sre_platform.engine import checks
from sre_platform.engine.checks import Check, Look, Stuck, ago
from sre_platform.engine.line import LINE
from sre_platform.incidents import record
from sre_platform.incidents.domain import State
from sre_platform.incidents.models import Incident, TimelineEntry
from sre_platform.intake import ledger
from sre_platform.intake.models import Alert, Delivery
from sre_platform.kernel.clock import now
from sre_platform.remediation.models import Step
from sre_platform.rollouts import walk as rollout_walk
from sre_platform.rollouts.models import Rollout
from sre_platform.tickets.models import Ticket

LIMIT = 20
DIGESTED_WITHIN = timedelta(seconds=30)
ADVANCED_WITHIN = timedelta(seconds=60)
PLACED_WITHIN = timedelta(seconds=60)
TOLD_WITHIN = timedelta(seconds=60)
OPEN_LOOKED_AT, ALERTS_LOOKED_AT, ENTRIES_LOOKED_AT, CHAINS_LOOKED_AT = 200, 10_000, 500, 50
WALKED_WITHIN = timedelta(seconds=30)
BACK_WITHIN = timedelta(seconds=rollout_walk.PROMOTED_WITHIN_S)  # the longest part of a way back: the baseline's
FIRST = "If broker, beat or workers are not well, see to those first."


def deliveries() -> Check:
    """Webhooks that were acknowledged and not digested. O(pending) by the index of what is pending."""
    rows = Delivery.objects.filter(state=Delivery.State.PENDING, received_at__lt=now() - DIGESTED_WITHIN)
    late = [
        Stuck(f"delivery {pk}", f"from {source}, received {ago(at)}, is not digested.")
        for pk, source, at in rows.order_by("id").values_list("pk", "source", "received_at")[:LIMIT]
    ]
    return _said("deliveries", late, "webhook", "digested late", f"{FIRST} Else read the workers' log for `delivery`.")


def put_aside() -> Check:
    """Webhooks that were acknowledged and given up on: their alerts are in no incident. O(the newest 10,000)."""
    rows = ledger.aside().values_list("pk", "source", "received_at", "fate")[:LIMIT]
    late = [Stuck(f"delivery {pk}", f"from {source}, received {ago(at)}. {fate}") for pk, source, at, fate in rows]
    advice = "The workers' log has the traceback. Once it is mended, `manage.py redigest` takes them up again."
    return _said("put aside", late, "webhook", "put aside", advice)


def incidents() -> Check:
    """Incidents whose next stage is long due and that nobody holds. O(open incidents) by the index of due times."""
    moment = now() - ADVANCED_WITHIN
    free = Q(claimed_until__isnull=True) | Q(claimed_until__lt=moment)
    newest = TimelineEntry.objects.filter(incident=OuterRef("pk")).order_by("-seq")
    rows = Incident.objects.filter(free, due_at__lt=moment).annotate(why=Subquery(newest.values("reason")[:1]))
    late = [_overdue(row) for row in rows.order_by("due_at")[:LIMIT]]
    return _said("incidents", late, "incident", "overdue", f"{FIRST} Else read the workers' log for `incident`.")


def _overdue(row: Any) -> Stuck:
    holder = f"{row.claimed_by} held it and is gone" if row.claimed_by else "nobody has taken it"
    stage = LINE[State(row.state)].__name__ if State(row.state) in LINE else "no stage"
    last = f" The last thing that happened: {row.why}" if row.why else ""
    return Stuck(f"incident {row.pk}", f"{stage} was due {ago(row.due_at or now())}; {holder}.{last}")


def stages() -> Check:
    """Open incidents whose present stage failed or lost its worker. O(200 open incidents and their entries)."""
    moved = TimelineEntry.objects.filter(incident=OuterRef("incident"), seq__gt=OuterRef("seq")).exclude(to_state="")
    looked_at = Incident.objects.filter(due_at__isnull=False).order_by("due_at").values_list("pk", flat=True)
    failed = TimelineEntry.objects.filter(
        ~Exists(moved),
        incident__in=list(looked_at[:OPEN_LOOKED_AT]),
        name__in=[record.STAGE_FAILED, record.LEASE_EXPIRED],
    )
    newest = {pk: (at, why) for pk, at, why in failed.order_by("seq").values_list("incident", "at", "reason")}
    late = [Stuck(f"incident {pk}", f"{why} That was {ago(at)}.") for pk, (at, why) in list(newest.items())[:LIMIT]]
    advice = "After three failures people get it. The workers' log has the traceback, under `incident`."
    return _said("stages", late, "incident", "whose stage failed", advice)


def tickets() -> Check:
    """Tickets that are not yet as wanted, and could not be delivered or are late. O(open tickets) by their index."""
    rows = Ticket.objects.filter(due_at__isnull=False)
    rows = rows.filter(~Q(trouble="") | Q(due_at__lt=now() - TOLD_WITHIN)).order_by("due_at")[:LIMIT]
    late = [
        Stuck(f"ticket {row.pk}", f"for incident {row.incident_id} at {row.system}: {row.trouble or 'is overdue.'}")
        for row in rows.only("incident_id", "system", "trouble")
    ]
    return _said("tickets", late, "ticket", "undelivered", "See whether the ticket system is reachable and lets us in.")


def steps() -> Check:
    """Repairs that were begun and whose owner is gone. O(open incidents and their steps).

    While a repair is being verified nobody needs to hold it, even when it is not known whether it was done.
    """
    held = Q(incident__claimed_until__gte=now())
    acting = [State.APPROVED, State.UNHEALTHY]
    rows = Step.objects.filter(state=Step.State.APPLYING, incident__due_at__isnull=False, incident__state__in=acting)
    late = [
        Stuck(f"step {row.pk}", f"of incident {row.incident_id}, on {row.target}: {row.says}")
        for row in rows.exclude(held).order_by("pk").only("incident_id", "target", "says")[:LIMIT]
    ]
    advice = f"{FIRST} The next owner looks at the target before it does anything."
    return _said("steps", late, "repair", "begun and not ended", advice)


def alerts() -> Check:
    """Firing alerts that belong to no incident, and are not quiet. O(10,000): the newest alerts by their key."""
    newest = Alert.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    rows = Alert.objects.filter(
        pk__gt=newest - ALERTS_LOOKED_AT,
        resolved=False,
        quiet="",
        membership__isnull=True,
        received_at__lt=now() - PLACED_WITHIN,
    )
    late = [
        Stuck(f"alert {pk}", f"{name} on {service or 'no service'} fires, and no incident is about it.")
        for pk, name, service in rows.order_by("pk").values_list("pk", "name", "service")[:LIMIT]
    ]
    return _said("alerts", late, "firing alert", "without an incident", "Its delivery's fate says what became of it.")


def chains() -> Check:
    """The timelines of the 50 incidents that changed last. O(their entries)."""
    newest = TimelineEntry.objects.order_by("-pk").values_list("incident_id", flat=True)[:ENTRIES_LOOKED_AT]
    changed = list(dict.fromkeys(newest))[:CHAINS_LOOKED_AT]
    broken = [(pk, seq) for pk in changed if (seq := record.broken_link(pk)) is not None]
    late = [Stuck(f"incident {pk}", f"entry {seq} of its timeline is missing or was changed.") for pk, seq in broken]
    advice = "Somebody wrote to the database from outside. Compare with a backup; the entries after it are suspect too."
    return _said("chains", late, "timeline", "broken", advice)


def rollouts() -> Check:
    """Roll-outs that nobody walks, or that do not come back: canaries keep traffic. O(open ones) by their index."""
    moment = now() - WALKED_WITHIN
    free = Q(claimed_until__isnull=True) | Q(claimed_until__lt=moment)
    rows = Rollout.objects.filter(free, ended_at=None, due_at__lt=moment).order_by("due_at")[:LIMIT]
    late = [
        Stuck(f"roll-out {row.pk}", f"of {row.service} is {row.state}, and nobody has looked since {ago(row.due_at)}.")
        for row in rows
        if row.due_at
    ]
    since = now() - BACK_WITHIN
    open_ones = Rollout.objects.filter(due_at__isnull=False, state=rollout_walk.State.ROLLING_BACK)
    for row in open_ones.filter(state_since__lt=since).order_by("state_since")[:LIMIT]:
        last = row.events.last()
        said = f"of {row.service} has been on its way back since {ago(row.state_since)}: {last.reason if last else ''}"
        late.append(Stuck(f"roll-out {row.pk}", said))
    advice = f"{FIRST} Else `manage.py rollout abort`, or give all traffic to the baseline at the router."
    return _said("rollouts", late, "roll-out", "that nobody walks, or that does not come back", advice)


def _said(name: str, late: Sequence[Stuck], thing: str, how: str, advice: str) -> Check:
    if not late:
        return Check(name, True, f"No {thing} {how}.")
    more = " or more" if len(late) >= LIMIT else ""
    return Check(name, False, f"{len(late)}{more} {thing}{'' if len(late) == 1 else 's'} {how}.", advice, tuple(late))


WORK: Sequence[Look] = [deliveries, put_aside, incidents, stages, tickets, steps, alerts, chains, rollouts]
ALL: Sequence[Sequence[Look]] = [
    [checks.database, checks.beat, checks.workers, checks.sweep, checks.auditor, *WORK],
    [checks.broker],
    [checks.alertmanager],
    [checks.prometheus],
]


def unwell(found: Iterable[Check]) -> list[Check]:
    """Those that are not well, what could not be checked included."""
    return [check for check in found if not check.ok]


def exit_code(found: Sequence[Check]) -> int:
    """0: all well; 1: something is not, or could not be checked; 2: the database did not answer."""
    if not next(check for check in found if check.name == "database").ok:
        return 2
    return 1 if unwell(found) else 0
