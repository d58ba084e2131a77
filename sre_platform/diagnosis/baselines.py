"""Profiles of a release on a good day: one CPU and one heap profile, taken once, for a bad day to be compared with.

Crash rule: a profile and the row that names it are written in one transaction; who dies before has taken nothing.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import datetime, timedelta
from time import monotonic

import structlog
from django.db import transaction
from django.db.models import QuerySet

from sre_platform.catalog.domain import Change, Target, Topology
from sre_platform.clients import pprof, releases
from sre_platform.diagnosis import models, store
from sre_platform.diagnosis.investigate import Baseline, Turns
from sre_platform.incidents.domain import ENDED
from sre_platform.incidents.models import Incident
from sre_platform.kernel.clock import now
from sre_platform.kernel.errors import SreError

# A release has to run so long before it counts as good; caches are warm by then and a bad one has been noticed.
SETTLED = timedelta(minutes=10)
CPU_SECONDS = 5
PROFILES: Mapping[str, str] = {"heap": "heap", "cpu": f"profile?seconds={CPU_SECONDS}"}
PROFILE_S = 8.0  # less than a turn lasts
MAX_BYTES = 32 * 1024 * 1024
FOR_S = 20.0  # then the next minute's tick goes on
KEPT_RELEASES = 3  # of each service
log = structlog.get_logger()


def newest(running: Mapping[str, str]) -> dict[str, Baseline]:
    """By service the profiles of the newest release but the one that is ``running`` there. One query."""
    rows = models.Baseline.objects.filter(service__in=running).select_related("blob").order_by("-taken_at", "kind")
    found: dict[str, Baseline] = {}
    for row in rows if running else ():
        if row.release == running[row.service]:
            continue
        known = found.get(row.service) or Baseline(row.release, row.taken_at, {})
        if known.release == row.release:
            profiles = {**known.profiles, row.kind: row.blob.content}
            found[row.service] = Baseline(row.release, known.at, profiles)
    return found


def take(topology: Topology, changes: Callable[[str, datetime], Collection[Change]], turns: Turns) -> list[str]:
    """Take what is missing of the releases that run now; returns what was taken, a sentence each.

    Only of services with ``baseline`` in the catalog, only while no incident is open, and of one process each.
    """
    if Incident.objects.exclude(state__in=sorted(ENDED)).exists():
        return []
    taken: list[str] = []
    until = monotonic() + FOR_S
    for target, release in _settled(topology, changes):
        if monotonic() > until:
            break
        missing = PROFILES.keys() - set(_of(target.service, release).values_list("kind", flat=True))
        taken += [said for kind in sorted(missing) if (said := _in_turn(target, release, kind, turns))]
    return taken


def _in_turn(target: Target, release: str, kind: str, turns: Turns) -> str:
    """One profile, unless somebody else looks hard at the service just now; what was taken, or the empty string."""
    if turns.take([target.service]):
        return ""
    try:
        return _take(target, release, kind)
    except SreError as error:
        log.info("baseline_missing", service=target.service, kind=kind, reason=str(error))
        return ""
    finally:
        turns.give_back([target.service])


def _settled(
    topology: Topology, changes: Callable[[str, datetime], Collection[Change]]
) -> Iterator[tuple[Target, str]]:
    """The services that want a baseline and whose release has run undisturbed for long enough."""
    first = int(now().timestamp()) // 60 % max(1, len(topology))  # one that never answers may not keep others waiting
    targets = list(topology.values())
    for target in targets[first:] + targets[:first]:
        place = target.at(target.replicas[0]) if target.replicas else target
        if not (target.baseline and place.pprof_url) or changes(target.service, now() - SETTLED):
            continue
        if release := releases.running(target.release_link):
            yield place, release


def _of(service: str, release: str) -> QuerySet[models.Baseline]:
    return models.Baseline.objects.filter(service=service, release=release)


def _take(target: Target, release: str, kind: str) -> str:
    door = pprof.Door(target.pprof_url, *target.pprof_env)
    content = door.fetch(PROFILES[kind], deadline_s=PROFILE_S, silence_s=PROFILE_S, max_bytes=MAX_BYTES)
    document = store.document(kind, "profile", content)
    with transaction.atomic():
        store.write_blobs([document])
        models.Baseline.objects.get_or_create(
            service=target.service,
            release=release,
            kind=kind,
            defaults={"blob_id": document.sha256, "taken_at": now()},
        )
        _forget_older(target.service)
    return f"{kind} of {target.service} {release}"


def _forget_older(service: str) -> None:
    rows = models.Baseline.objects.filter(service=service)
    kept = list(dict.fromkeys(rows.order_by("-taken_at").values_list("release", flat=True)))[:KEPT_RELEASES]
    rows.exclude(release__in=kept).delete()
