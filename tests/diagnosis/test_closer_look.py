"""A service is looked at closer only when the first glance names no cause that is conclusive."""

from dataclasses import replace

import pytest

from sre_platform.catalog.domain import Replica, Target
from sre_platform.diagnosis import investigate
from sre_platform.diagnosis.collectors import go_goroutines, go_profiles, perf_stat
from sre_platform.diagnosis.domain import Finding
from sre_platform.diagnosis.investigate import CONCLUSIVE, LOOK_DEADLINE_S, SURE, conclusive, diagnose
from sre_platform.kernel.registry import Registry
from sre_platform.settings import SRE_LEASE_S
from tests.diagnosis.scene import scene
from tests.diagnosis.test_investigate import book
from tests.diagnosis.test_replicas import Watched, page
from tests.fakes.wire import serving

BOOKS = {"digest": book("[glance, profile]", rules="[says]")}
FRONT = {"front": Target("front")}


class Says:
    """A rule whose finding is given to it: at the first glance, and once the profile is there."""

    name = "says"
    first = closer = None

    def judge(self, service, evidence):
        return self.closer if "profile" in evidence else self.first


@pytest.fixture
def looked(monkeypatch):
    """The rule, and a function that diagnoses and returns the causes and which collectors were asked."""
    glance, profile, rule = Watched("glance", takes=0), Watched("profile", takes=0), Says()
    profile.closer = True
    for kind, plugins in (("COLLECTORS", (glance, profile)), ("RULES", (rule,))):
        registry = Registry("none", kind)
        registry._loaded = {plugin.name: plugin for plugin in plugins}
        monkeypatch.setattr(investigate, kind, registry)

    def run(topology=FRONT, books=BOOKS):
        evidence, ranked = diagnose(books, topology, "front", scene(), list)
        return [item.finding.cause for item in ranked], [(e.collector, e.replica) for e in evidence]

    return rule, run


def found(cause, confidence=0.8, kind="growth"):
    return Finding(cause, "f", "front", confidence, kind, ["b"])


@pytest.mark.parametrize("first", [found("proven", kind="gc-proof"), found("down", kind="probe"), found("sure", SURE)])
def test_what_is_conclusive_is_not_looked_at_closer(looked, first):
    rule, run = looked
    rule.first, rule.closer = first, found("never")
    assert run() == ([first.cause], [("glance", "")])


@pytest.mark.parametrize("first", [None, found("leak?"), found("bad_release", 0.85, "change")])
def test_else_it_is_and_all_that_was_seen_is_judged_together(looked, first):
    rule, run = looked
    rule.first, rule.closer = first, found("hot_spot", 0.9, "profile")
    assert run() == (["hot_spot"], [("glance", ""), ("profile", "")])


def test_nobody_is_looked_at_closer_if_no_playbook_wants_it(looked):
    rule, run = looked
    rule.first = found("leak?")
    assert run(books={"digest": book("[glance]", rules="[says]")}) == (["leak?"], [("glance", "")])
    rule.first, rule.closer = None, found("hot_spot", 0.9, "profile")
    assert run(books={"digest": book("[profile]", rules="[says]")}) == (["hot_spot"], [("profile", "")])


def test_the_closer_look_is_at_the_same_replicas(looked):
    _, run = looked
    with serving(page) as wire:
        many = tuple(Replica(name=f"r{n}", metrics_url=f"{wire.url}/{n}") for n in range(5))
        _, seen = run({"front": Target("front", replicas=many)})
        asked = len(wire.calls)
    assert seen == [(name, replica) for name in ("glance", "profile") for replica in ("r4", "r2", "r0")]
    assert asked == 5, "each was asked once how it is"


def test_what_is_judged_is_what_bounded_makes_of_it(looked):
    rule, _ = looked
    rule.first = found("leak?")

    def marked(seen):
        return [replace(item, data={**item.data, "bounded": len(seen)}) for item in seen]

    evidence, _ = diagnose(BOOKS, FRONT, "front", scene(), marked)
    assert [item.data["bounded"] for item in evidence] == [2, 2]


def test_both_looks_fit_into_a_workers_lease():
    assert 2 * LOOK_DEADLINE_S < SRE_LEASE_S - 10


def test_which_collectors_wait_for_the_closer_look():
    assert go_profiles.GoProfiles.closer
    assert perf_stat.PerfStat.closer
    assert not hasattr(go_goroutines.GoGoroutines, "closer")
    assert conclusive(found("x", 0.5, "lock-cycle"))
    assert "change" not in CONCLUSIVE
