"""Incident to ranked findings: look at every service in scope at once, judge, rank.

Crash rule: looking changes nothing in the world, and a diagnosis that died is simply made again under a new fence.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime
from time import monotonic
from typing import Any, Protocol

import structlog

from sre_platform.catalog.domain import Change, Target, Topology, depth, downstream
from sre_platform.clients.supervisor import Supervisor
from sre_platform.detection.measure import Measurer
from sre_platform.diagnosis.domain import Evidence, Finding, Rule
from sre_platform.kernel.clock import now
from sre_platform.kernel.registry import Registry
from sre_platform.playbook.schema import Playbook

LOOK_DEADLINE_S = 8.0  # what is late by then is reported missing, not waited for
MAX_LOOKERS = 16
log = structlog.get_logger()


@dataclass(frozen=True)
class Scene:
    """The world as the collectors may see it."""

    opened_at: datetime
    changes: Mapping[str, Sequence[Change]]
    measurer: Measurer
    supervisor: Supervisor


class Collector(Protocol):
    """Looks at one service and says what it saw. Raises SreError when it cannot see. ``Params`` is its manifest."""

    name: str
    Params: type[Any]

    def collect(self, target: Target, scene: Scene, params: Any) -> Evidence: ...


COLLECTORS: Registry[Collector] = Registry("sre_platform.diagnosis.collectors", "collector")
RULES: Registry[Rule] = Registry("sre_platform.diagnosis.rules", "rule")


@dataclass(frozen=True)
class Ranked:
    """A finding, the rule that made it and the digest of the playbook that answers it."""

    finding: Finding
    rule: str
    playbook: str


def look(playbooks: Mapping[str, Playbook], topology: Topology, service: str, scene: Scene) -> list[Evidence]:
    """All that the playbooks want to see of ``service`` and what it depends on, in parallel, within the deadline."""
    wanted = {call.name: call.params for book in playbooks.values() for call in book.collect}
    jobs = [(name, params, topology[s]) for s in downstream(topology, service) for name, params in wanted.items()]
    started = monotonic()
    pool = ThreadPoolExecutor(max_workers=min(MAX_LOOKERS, len(jobs) or 1))
    futures = [(pool.submit(_collect, name, params, target, scene), name, target) for name, params, target in jobs]
    wait([future for future, _, _ in futures], timeout=LOOK_DEADLINE_S)
    pool.shutdown(wait=False, cancel_futures=True)
    late = f"was not there after {monotonic() - started:.1f} s, and was not waited for."
    return [
        future.result() if future.done() and not future.cancelled() else _missing(name, target, f"{name} {late}")
        for future, name, target in futures
    ]


def _collect(name: str, params: Mapping[str, Any], target: Target, scene: Scene) -> Evidence:
    try:
        collector = COLLECTORS.get(name)
        return collector.collect(target, scene, collector.Params(**params))
    except Exception as error:  # a plugin may raise anything; one that cannot see must not blind the others
        log.info("evidence_missing", collector=name, service=target.service, reason=str(error))
        return _missing(name, target, str(error))


def _missing(name: str, target: Target, reason: str) -> Evidence:
    return Evidence(name, target.service, now(), missing=reason)


def judge(playbooks: Mapping[str, Playbook], evidence: Sequence[Evidence]) -> list[Ranked]:
    """Every rule of every playbook over every service; only findings that are sure enough for their playbook. Pure."""
    seen: dict[str, dict[str, Evidence]] = {}
    for item in evidence:
        seen.setdefault(item.service, {})[item.collector] = item
    found = []
    for digest, book in playbooks.items():
        for rule in book.diagnose.rules:
            findings = (RULES.get(rule).judge(service, items) for service, items in seen.items())
            sure = (f for f in findings if f and f.confidence >= book.diagnose.min_confidence)
            found += [Ranked(finding, rule, digest) for finding in sure]
    return found


def rank(found: Sequence[Ranked], topology: Topology) -> list[Ranked]:
    """Surest first; of two that are equally sure, the one further down the dependencies (a root, not a symptom)."""

    def order(item: Ranked) -> tuple[float, int, str]:
        return (-item.finding.confidence, -depth(topology, item.finding.service), item.rule)

    return sorted(found, key=order)
