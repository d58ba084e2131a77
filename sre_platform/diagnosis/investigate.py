"""Incident to ranked findings: look at every service in scope at once, judge, rank.

Services are looked at closer (profiles) only when the first glance names no cause by proof, by a probe, or surely.
What slows a service down (a heavy look) is done to one replica after the other, by one worker at a time, and to a
sample of the replicas only; everything else at once. docs/decisions/0008 says how it is judged.

Crash rule: looking changes nothing in the world, and a diagnosis that died is simply made again under a new fence.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from time import monotonic, sleep
from typing import Any, Protocol

import structlog

from sre_platform.catalog.domain import Change, Target, Topology, downstream
from sre_platform.clients.supervisor import Supervisor
from sre_platform.detection.measure import Measurer
from sre_platform.diagnosis import replicas
from sre_platform.diagnosis.domain import Evidence, Finding, Kind, Ranked, Rule
from sre_platform.diagnosis.rca import ranking
from sre_platform.kernel.clock import now
from sre_platform.kernel.errors import Unavailable, Unknown
from sre_platform.kernel.registry import Registry
from sre_platform.playbook.schema import Call, Playbook

__all__ = ["COLLECTORS", "RULES", "Baseline", "Collector", "Ranked", "Scene", "capture", "judge", "look", "rank"]

LOOK_DEADLINE_S = 8.0  # what is late by then is reported missing, not waited for
MAX_LOOKERS = 16
TURN_WAIT_S, TURN_ASKED_EVERY_S = 2.0, 0.25  # for a service that somebody else looks hard at
# What needs no closer look: proofs, a process that is not there or does not answer, and what is this sure.
CONCLUSIVE: frozenset[Kind] = frozenset({"gc-proof", "lock-cycle", "probe"})
SURE = 0.9
log = structlog.get_logger()


class Turns(Protocol):
    """Who may look hard at a service. ``take`` returns a sentence for each service that somebody else looks at."""

    def take(self, services: Iterable[str]) -> Mapping[str, str]: ...

    def give_back(self, services: Iterable[str]) -> None: ...


class NobodyElse:
    """Turns where there is only one who looks."""

    def take(self, services: Iterable[str]) -> Mapping[str, str]:  # noqa: ARG002
        return {}

    def give_back(self, services: Iterable[str]) -> None:
        pass


@dataclass(frozen=True)
class Baseline:
    """Profiles (``cpu``, ``heap``) of a release on a good day. ``at`` is when they were taken."""

    release: str
    at: datetime
    profiles: Mapping[str, bytes]


@dataclass(frozen=True)
class Scene:
    """The world as the collectors may see it. ``until`` is when the look has to be over, in monotonic seconds.

    ``sampled`` holds the replicas that were chosen, by service: a closer look is at the same ones.
    """

    opened_at: datetime
    changes: Mapping[str, Sequence[Change]]
    measurer: Measurer
    supervisor: Supervisor
    prometheus_url: str = ""
    baselines: Mapping[str, Baseline] = field(default_factory=dict)
    turns: Turns = field(default_factory=NobodyElse)
    until: float = math.inf
    sampled: dict[str, list[Target]] = field(default_factory=dict)

    def left_s(self, most: float) -> float:
        """So many of ``most`` seconds as are left. Raises Unavailable when none are."""
        left = min(most, self.until - monotonic())
        if left <= 0:
            raise Unavailable("The time for looking was over before this could be asked.")
        return left

    def pause(self, seconds: float) -> None:
        """Wait between two looks. Raises Unavailable when there would be no time for the second one."""
        if self.left_s(seconds) < seconds:
            raise Unavailable("The time for looking would be over before the second look.")
        sleep(seconds)


class Collector(Protocol):
    """Looks at one service and says what it saw. Raises SreError when it cannot see. ``Params`` is its manifest.

    With ``per_replica = True`` it is given one replica's addresses; with ``heavy = True`` too it may slow that down,
    and is never run twice at once on one service. With ``closer = True`` it is asked only when the first glance did
    not suffice.
    """

    name: str
    Params: type[Any]

    def collect(self, target: Target, scene: Scene, params: Any) -> Evidence: ...


COLLECTORS: Registry[Collector] = Registry("sre_platform.diagnosis.collectors", "collector")
RULES: Registry[Rule] = Registry("sre_platform.diagnosis.rules", "rule")


@dataclass(frozen=True, eq=False)
class _Job:
    """One look: a collector at one service or replica. ``seen`` is filled by whoever runs it."""

    collector: str
    params: Mapping[str, Any]
    target: Target
    seen: list[Evidence] = field(default_factory=list)

    def run(self, scene: Scene) -> None:
        self.seen.append(_collect(self.collector, self.params, self.target, scene))

    def missing(self, reason: str) -> Evidence:
        return _missing(self.collector, self.target, reason)


def diagnose(
    playbooks: Mapping[str, Playbook],
    topology: Topology,
    service: str,
    scene: Scene,
    bounded: Callable[[Sequence[Evidence]], list[Evidence]],
) -> tuple[list[Evidence], list[Ranked]]:
    """Look, judge and rank; closer, if the first glance names no cause that is conclusive and a playbook wants it.

    Returns what was seen, as ``bounded`` makes it before it is judged, and the findings, the likeliest first.
    """
    seen = look(playbooks, topology, service, scene, closer=False)
    evidence = bounded(seen)
    ranked = rank(judge(playbooks, evidence), topology, evidence)
    if ranked and conclusive(ranked[0].finding):
        return evidence, ranked
    if more := look(playbooks, topology, service, scene, closer=True):
        evidence = bounded([*seen, *more])
        ranked = rank(judge(playbooks, evidence), topology, evidence)
    return evidence, ranked


def conclusive(finding: Finding) -> bool:
    """Whether a closer look would hardly change the answer: then nobody is profiled for it, and no time is lost."""
    return finding.evidence in CONCLUSIVE or finding.confidence >= SURE


def look(
    playbooks: Mapping[str, Playbook], topology: Topology, service: str, scene: Scene, closer: bool | None = None
) -> list[Evidence]:
    """What the playbooks want to see of ``service`` and what it depends on, in parallel, within the deadline.

    With ``closer`` only what the closer look is for, without it only the rest; by default all. In the order of the
    services; of each, replica by replica, worst first, in the order of the collectors.
    """
    wanted = _wanted(playbooks)
    if closer is not None:
        wanted = {name: params for name, params in wanted.items() if _trait(name, "closer") is closer}
    return _look([topology[name] for name in downstream(topology, service)], wanted, scene)


def capture(target: Target, calls: Sequence[Call], scene: Scene) -> list[Evidence]:
    """What these calls see of one service, in turn and within the deadline as in a diagnosis; nothing is judged."""
    return _look([target], _each_once(calls), scene)


def _look(targets: Sequence[Target], wanted: Mapping[str, Mapping[str, Any]], scene: Scene) -> list[Evidence]:
    if not wanted:
        return []
    began = monotonic()
    scene = replace(scene, until=began + LOOK_DEADLINE_S)
    with _lookers() as light, _lookers() as heavy:  # so that what only waits keeps no heavy look waiting
        jobs = _jobs(targets, wanted, scene, light)
        refused = _run(jobs, scene, light, heavy)
    late = f"was not there after {monotonic() - began:.1f} s, and was not waited for."
    return [
        job.seen[0] if job.seen else job.missing(refused.get(job.target.service) or f"{job.collector} {late}")
        for job in jobs
    ]


@contextmanager
def _lookers() -> Iterator[Executor]:
    """Threads that are not waited for in the end: what has not begun by then is not begun."""
    pool = ThreadPoolExecutor(max_workers=MAX_LOOKERS)
    try:
        yield pool
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _wanted(playbooks: Mapping[str, Playbook]) -> dict[str, Mapping[str, Any]]:
    return _each_once(call for book in playbooks.values() for call in book.collect)


def _each_once(calls: Iterable[Call]) -> dict[str, Mapping[str, Any]]:
    """Each collector once, with the parameters of all calls: mappings are joined, else the last one counts."""
    wanted: dict[str, Mapping[str, Any]] = {}
    for call in calls:
        wanted[call.name] = _joined(wanted.get(call.name, {}), call.params)
    return wanted


def _joined(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    both = {key: {**one[key], **other[key]} for key in one.keys() & other.keys() if _are_mappings(one[key], other[key])}
    return {**one, **other, **both}


def _are_mappings(*values: Any) -> bool:
    return all(isinstance(value, Mapping) for value in values)


def _jobs(
    targets: Sequence[Target], wanted: Mapping[str, Mapping[str, Any]], scene: Scene, pool: Executor
) -> list[_Job]:
    per_replica = [name for name in wanted if _trait(name, "per_replica")]
    unknown = [target for target in targets if per_replica and target.service not in scene.sampled]
    scene.sampled.update(replicas.samples(unknown, pool))
    jobs = []
    for target in targets:
        of_service = [name for name in wanted if not target.replicas or name not in per_replica]
        jobs += [_Job(name, wanted[name], target) for name in of_service]
        for one in scene.sampled[target.service] if target.replicas and per_replica else ():
            jobs += [_Job(name, wanted[name], one) for name in per_replica]
    return jobs


def _trait(collector: str, trait: str) -> bool:
    try:
        return bool(getattr(COLLECTORS.get(collector), trait, False))
    except Unknown:  # said when it is asked to look
        return False


def _run(jobs: Sequence[_Job], scene: Scene, light_pool: Executor, heavy_pool: Executor) -> Mapping[str, str]:
    """Start all looks and wait for them; returns why the heavy ones at some services were not allowed."""
    heavy: dict[str, list[_Job]] = {}
    for job in jobs:
        if _trait(job.collector, "heavy"):
            heavy.setdefault(job.target.service, []).append(job)
    light = [light_pool.submit(job.run, scene) for job in jobs if not _trait(job.collector, "heavy")]
    turns: dict[str, Future[None]] = {}
    try:
        refused = _start_in_turn(heavy, turns, scene, heavy_pool)
        wait([*light, *turns.values()], timeout=max(0.0, scene.until - monotonic()))
    finally:  # who is late keeps the turn until it runs out: it may still be at it
        scene.turns.give_back([service for service, future in turns.items() if future.done()])
    return refused


def _start_in_turn(
    heavy: Mapping[str, Sequence[_Job]], turns: dict[str, Future[None]], scene: Scene, pool: Executor
) -> Mapping[str, str]:
    """Begin to look hard at every service whose turn can be had, waiting a little for those that cannot."""
    waiting, until = set(heavy), monotonic() + TURN_WAIT_S
    refused: Mapping[str, str] = {}
    while waiting:
        refused = scene.turns.take(waiting)
        for service in sorted(waiting - refused.keys()):
            turns[service] = pool.submit(_one_after_the_other, heavy[service], scene)
        waiting = set(refused)
        if not waiting or monotonic() > until:
            break
        sleep(TURN_ASKED_EVERY_S)
    return refused


def _one_after_the_other(jobs: Sequence[_Job], scene: Scene) -> None:
    for job in jobs:
        job.run(scene)


def _collect(name: str, params: Mapping[str, Any], target: Target, scene: Scene) -> Evidence:
    try:
        collector = COLLECTORS.get(name)
        return replace(collector.collect(target, scene, collector.Params(**params)), replica=target.replica)
    except Exception as error:  # a plugin may raise anything; one that cannot see must not blind the others
        log.info("evidence_missing", collector=name, service=target.label, reason=str(error))
        return _missing(name, target, str(error))


def _missing(name: str, target: Target, reason: str) -> Evidence:
    return Evidence(name, target.service, now(), missing=reason, replica=target.replica)


def judge(playbooks: Mapping[str, Playbook], evidence: Sequence[Evidence]) -> list[Ranked]:
    """Every rule of every playbook over every service; only findings that are sure enough for their playbook. Pure.

    A service with replicas is judged replica by replica; of what a rule finds there the surest stays.
    """
    groups = _groups(evidence)
    found = []
    for digest, book in playbooks.items():
        for rule in book.diagnose.rules:
            findings = (_judge_service(RULES.get(rule), service, seen) for service, seen in groups.items())
            sure = (f for f in findings if f and f.confidence >= book.diagnose.min_confidence)
            found += [Ranked(finding, rule, digest) for finding in sure]
    return found


def _groups(evidence: Sequence[Evidence]) -> dict[str, dict[str, dict[str, Evidence]]]:
    """By service, replica and collector; what is true of the whole service stands with each of its replicas."""
    of_service: dict[str, dict[str, Evidence]] = {}
    of_replicas: dict[str, dict[str, dict[str, Evidence]]] = {}
    for item in evidence:
        own = of_service.setdefault(item.service, {})
        mine = of_replicas.setdefault(item.service, {}).setdefault(item.replica, {}) if item.replica else own
        mine[item.collector] = item
    return {
        service: {name: own | seen for name, seen in of_replicas.get(service, {"": {}}).items()}
        for service, own in of_service.items()
    }


def _judge_service(rule: Rule, service: str, replicas_seen: Mapping[str, Mapping[str, Evidence]]) -> Finding | None:
    """The surest of what the rule finds at the replicas (the worst one's, of equally sure), and where it was seen."""
    found = {name: finding for name, seen in replicas_seen.items() if (finding := rule.judge(service, seen))}
    if not found:
        return None
    surest = max(found.values(), key=lambda finding: finding.confidence)
    if len(found) == len(replicas_seen) and all(finding == surest for finding in found.values()):
        return surest  # it is about the service as a whole
    where = f"Seen at {len(found)} of the {len(replicas_seen)} replicas that were looked at: {', '.join(found)}"
    others = [name for name in replicas_seen if name not in found]
    return replace(surest, because=[*surest.because, f"{where}{'; not at ' + ', '.join(others) if others else ''}."])


def rank(found: Sequence[Ranked], topology: Topology, evidence: Sequence[Evidence] = ()) -> list[Ranked]:
    """The likeliest cause first, each with what supports it, what speaks against it and what would decide. Pure."""
    return ranking.rank(found, topology, evidence)
