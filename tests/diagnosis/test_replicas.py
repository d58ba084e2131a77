"""Of many replicas the worst, the median and the best are looked at, one after the other."""

import threading
from dataclasses import replace
from time import monotonic, sleep

import pytest

from sre_platform.catalog.domain import Replica, Target
from sre_platform.diagnosis import investigate, replicas
from sre_platform.diagnosis.domain import Evidence, Finding
from sre_platform.diagnosis.investigate import COLLECTORS, RULES, judge, look
from sre_platform.kernel.registry import Registry
from tests.diagnosis.scene import OPENED, scene
from tests.diagnosis.test_investigate import book
from tests.fakes.wire import Answer, serving


def named(*names):
    return [Replica(name=name) for name in names]


@pytest.mark.parametrize(
    ("values", "chosen"),
    [
        ([1], "a"),
        ([1, 2], "ba"),
        ([2, 3, 1], "bac"),
        ([1, 5, 3, 4, 2], "bca"),
        ([7, 7, 7, 7], "acd"),
        ([0, float("inf"), 0, 0], "bcd"),
    ],
)
def test_the_worst_the_median_and_the_best(values, chosen):
    known = named(*"abcdef"[: len(values)])
    by_name = {("s", replica.name): value for replica, value in zip(known, values, strict=True)}
    assert "".join(replica.name for replica in replicas.choose(known, "s", by_name)) == chosen


@pytest.mark.parametrize(
    ("page", "value"),
    [
        (b"# HELP go_goroutines x\n# TYPE go_goroutines gauge\ngo_goroutines 42\n", 42),
        (b'a 1\ngo_goroutines{pod="x"} 1.5e+03\n', 1500),
        (b"go_goroutines_total 5\n", None),
        (b"go_goroutines ...\n", None),
        (b"", None),
    ],
)
def test_how_many_goroutines_a_page_tells_of(page, value):
    assert replicas.counted(page) == value


class Watched:
    """A collector that counts how many of it run at once, by service."""

    def __init__(self, name="watched", heavy=True, per_replica=True, takes=0.05):
        self.name, self.heavy, self.per_replica, self.takes = name, heavy, per_replica, takes
        self.running, self.most, self.seen, self.lock = {}, {}, [], threading.Lock()
        self.Params = COLLECTORS.get("process").Params

    def collect(self, target, scene, params):
        with self.lock:
            self.seen.append(target.label)
            self.running[target.service] = self.running.get(target.service, 0) + 1
            self.most[target.service] = max(self.most.get(target.service, 0), self.running[target.service])
        sleep(self.takes)
        with self.lock:
            self.running[target.service] -= 1
        return Evidence(self.name, target.service, OPENED, {"at": target.replica})


@pytest.fixture
def watched(monkeypatch):
    one, two = Watched(), Watched("watched_too")
    plain = Watched("plain", heavy=False, per_replica=False)
    registry = Registry("none", "collector")
    registry._loaded = {collector.name: collector for collector in (one, two, plain)}
    monkeypatch.setattr(investigate, "COLLECTORS", registry)
    return one, two, plain


def page(call):
    return Answer(200, b"go_goroutines %s\n" % call.path.rpartition("/")[2].encode())


def test_heavy_looks_at_a_service_never_overlap_and_services_do_not_wait_for_each_other(watched):
    one, two, _ = watched
    with serving(page) as wire:
        many = tuple(Replica(name=f"r{n}", metrics_url=f"{wire.url}/{n * 7 % 10}") for n in range(10))
        topology = {
            "front": Target("front", depends_on=("back",), replicas=many),
            "back": Target("back", replicas=many[:2]),
        }
        found = look({"a": book("[watched, plain, watched_too]")}, topology, "front", scene())
    assert [(e.service, e.collector, e.replica) for e in found] == [
        ("front", "plain", ""),
        *[("front", name, replica) for replica in ("r7", "r2", "r0") for name in ("watched", "watched_too")],
        ("back", "plain", ""),
        *[("back", name, replica) for replica in ("r1", "r0") for name in ("watched", "watched_too")],
    ]
    assert all(not e.missing and e.data["at"] == e.replica for e in found)
    assert (one.most, two.most) == ({"front": 1, "back": 1}, {"front": 1, "back": 1})
    front = [label for label in one.seen if label.startswith("front")]
    assert front == ["front (r7)", "front (r2)", "front (r0)"]


def test_a_replica_that_does_not_answer_is_the_worst_and_is_waited_for_once(watched, monkeypatch):
    monkeypatch.setattr(replicas, "ANSWER_S", 1.0)
    ended = threading.Event()
    with serving(page) as well, serving(lambda _call: (ended.wait(20), Answer())[1]) as hung:
        many = [Replica(name=f"r{n}", metrics_url=f"{well.url}/{n}") for n in range(4)]
        target = Target("front", replicas=(*many, Replica(name="hung", metrics_url=f"{hung.url}/1")))
        began = monotonic()
        found = look({"a": book("[watched]")}, {"front": target}, "front", scene())
        took = monotonic() - began
        ended.set()
    assert [e.replica for e in found] == ["hung", "r2", "r0"]
    assert took < 10, "half of what waiting for the hung one would take"


class Held:
    """Turns of which some are held by others, as often as is said."""

    def __init__(self, **held):
        self.held, self.taken, self.back = held, [], []

    def take(self, services):
        refused = {}
        for service in services:
            self.held[service] = self.held.get(service, 0) - 1
            if self.held[service] >= 0:
                refused[service] = f"ann looks hard at {service} just now."
            else:
                self.taken.append(service)
        return refused

    def give_back(self, services):
        self.back += services


def test_who_does_not_get_the_turn_is_told_why_and_the_others_are_there(watched, monkeypatch):
    monkeypatch.setattr(investigate, "TURN_WAIT_S", 0.1)
    one, _, _ = watched
    topology = {"front": Target("front", depends_on=("back",)), "back": Target("back")}
    turns = Held(front=99)
    found = look({"a": book("[watched, plain]")}, topology, "front", replace(scene(), turns=turns))
    assert [(e.service, e.collector, e.missing) for e in found] == [
        ("front", "watched", "ann looks hard at front just now."),
        ("front", "plain", ""),
        ("back", "watched", ""),
        ("back", "plain", ""),
    ]
    assert one.seen == ["back"]
    assert (turns.taken, turns.back) == (["back"], ["back"])


def test_looks_that_only_wait_keep_no_heavy_look_waiting(watched, monkeypatch):
    monkeypatch.setattr(investigate, "MAX_LOOKERS", 2)
    monkeypatch.setattr(investigate, "LOOK_DEADLINE_S", 0.5)
    watched[2].takes = 0.4
    topology = {f"s{n}": Target(f"s{n}", depends_on=(f"s{n + 1}",)) for n in range(4)}
    found = look({"a": book("[plain, watched]")}, topology, "s0", scene())
    assert [e.collector for e in found if not e.missing].count("watched") == 4


def test_a_turn_that_is_free_soon_is_waited_for(watched):
    turns = Held(front=2)
    [seen] = look({"a": book("[watched]")}, {"front": Target("front")}, "front", replace(scene(), turns=turns))
    assert (seen.missing, turns.back) == ("", ["front"])


def test_a_heavy_look_that_is_late_keeps_its_turn(watched, monkeypatch):
    monkeypatch.setattr(investigate, "LOOK_DEADLINE_S", 0.2)
    watched[0].takes = 0.6
    turns = Held()
    [seen] = look({"a": book("[watched]")}, {"front": Target("front")}, "front", replace(scene(), turns=turns))
    assert "watched was not there after 0." in seen.missing
    assert (turns.taken, turns.back) == (["front"], [])


def test_what_several_playbooks_want_of_one_collector_is_joined(watched):
    with_queries = [
        book(f"[prometheus_window: {{queries: {{{name}: up}}, minutes: {m}}}]") for name, m in (("a", 5), ("b", 9))
    ]
    wanted = investigate._wanted(dict(enumerate(with_queries)))
    assert wanted == {"prometheus_window": {"queries": {"a": "up", "b": "up"}, "minutes": 9}}


class Sure:
    """A rule that is as sure as the evidence of ``watched`` says."""

    name = "sure"

    def judge(self, service, evidence):
        sure = evidence["watched"].data.get("sure") if "watched" in evidence else evidence["plain"].data.get("sure")
        return Finding("c", "f", service, sure, "growth", [f"{service} is bad."]) if sure else None


@pytest.fixture
def sure(monkeypatch):
    registry = Registry("none", "rule")
    registry._loaded = {"sure": Sure()}
    monkeypatch.setattr(investigate, "RULES", registry)
    assert RULES is not registry


def at(replica, sure, collector="watched"):
    return Evidence(collector, "front", OPENED, {"sure": sure}, replica=replica)


def test_each_replica_is_judged_and_the_surest_finding_says_where_it_was_seen(sure):
    books = {"digest": book("[process]", rules="[sure]")}
    [found] = judge(books, [at("a", 0.8), at("b", 0.9), at("c", None), at("", 0.1, "plain")])
    assert found.finding.confidence == 0.9
    assert found.finding.because == [
        "front is bad.",
        "Seen at 2 of the 3 replicas that were looked at: a, b; not at c.",
    ]


def test_what_is_true_of_the_whole_service_is_found_once_and_of_no_replica(sure):
    books = {"digest": book("[process]", rules="[sure]")}
    shared = at("", 0.9, "plain")
    others = [Evidence("other", "front", OPENED, replica=name) for name in "ab"]
    [found] = judge(books, [shared, *others])
    assert found.finding.because == ["front is bad."]
    [alone] = judge(books, [shared])
    assert alone == found
