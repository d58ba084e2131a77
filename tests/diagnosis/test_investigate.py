"""Looking at all services at once, judging them, and putting what was found in order."""

import threading
import xmlrpc.client
from time import monotonic

import pytest

from sre_platform.catalog.domain import Target
from sre_platform.diagnosis import investigate
from sre_platform.diagnosis.domain import Finding
from sre_platform.diagnosis.investigate import Ranked, judge, look, rank
from sre_platform.playbook.schema import parse_playbook
from tests.diagnosis.scene import scene, seen
from tests.fakes.supervisor import supervising
from tests.fakes.wire import Answer, serving


def book(collect, rules="[process_down]", min_confidence=0.5):
    return parse_playbook(f"""
name: a-book
summary: s
match: {{alerts: ["*"]}}
collect: {collect}
diagnose: {{rules: {rules}, min_confidence: {min_confidence}}}
remediate: [restart_service]
""")


def shop(**orders):
    return {
        "front": Target("front", process="front", depends_on=("orders", "cache")),
        "orders": Target("orders", process="orders", depends_on=("payments",), **orders),
        "payments": Target("payments"),
        "search": Target("search", process="search"),
    }


def test_everything_wanted_is_collected_once_of_the_service_and_of_what_it_depends_on():
    books = {"a": book("[process]"), "b": book("[process, recent_changes]")}
    with supervising("front", "orders", "search") as fake:
        found = look(books, shop(), "front", scene(supervisor=fake.url))
    assert [(e.service, e.collector) for e in found] == [
        (service, collector)
        for service in ("front", "orders", "payments")
        for collector in ("process", "recent_changes")
    ]
    assert [e.service for e in found if e.missing] == ["payments"]
    assert found[0].data["state"] == "RUNNING"


def test_what_is_late_is_missing_and_the_others_are_there(monkeypatch):
    monkeypatch.setattr(investigate, "LOOK_DEADLINE_S", 0.3)
    ended = threading.Event()
    with serving(lambda _call: (ended.wait(5), Answer())[1]) as hung, supervising("front", "orders") as fake:
        began = monotonic()
        topology = shop(health_url=f"{hung.url}/healthz")
        books = {"a": book("[process, health: {tries: 1, timeout_s: 3}]")}
        found = look(books, topology, "front", scene(supervisor=fake.url))
        took = monotonic() - began
        ended.set()
    assert took < 0.8
    by_key = {(e.service, e.collector): e for e in found}
    late = by_key["orders", "health"]
    assert late.missing.startswith("health was not there after 0.")
    assert late.data == {}
    assert by_key["orders", "process"].data["state"] == "RUNNING"


def test_the_deadline_leaves_time_within_a_workers_lease():
    assert investigate.LOOK_DEADLINE_S <= 8.0


@pytest.mark.parametrize(
    ("collect", "reason"),
    [
        ("[telepathy]", "There is no collector 'telepathy'; known are: go_goroutines, go_profiles, "),
        ("[health: {tries: 99}]", "less than or equal to 5"),
        ("[process]", "No process supervisor is configured"),
    ],
)
def test_a_collector_that_cannot_look_says_why(collect, reason):
    [missing] = look({"a": book(collect)}, shop(), "search", scene())
    assert reason in missing.missing


def test_a_collector_that_breaks_does_not_blind_the_others():
    nonsense = xmlrpc.client.dumps(({"name": "orders"},), methodresponse=True).encode()
    with serving(Answer(200, nonsense)) as wire:
        process, changes = look({"a": book("[process, recent_changes]")}, shop(), "search", scene(supervisor=wire.url))
    assert "statename" in process.missing
    assert changes.data["changes"] == []


def test_no_playbook_wants_nothing():
    assert look({}, shop(), "front", scene()) == []


DOWN = seen("process", process="payments", state="EXITED", pid=0, up_s=0, down_s=9, exit_status=1)["process"]


def test_only_findings_that_are_sure_enough_for_their_playbook_count():
    books = {"sure": book("[process]"), "unsure": book("[process]", min_confidence=0.96)}
    [found] = judge(books, [DOWN])
    assert (found.playbook, found.rule, found.finding.service) == ("sure", "process_down", "payments")
    assert judge({}, [DOWN]) == []


def test_exactly_as_sure_as_wanted_is_sure_enough():
    assert len(judge({"a": book("[process]", min_confidence=0.95)}, [DOWN])) == 1


def a_finding(service, confidence, rule="r"):
    return Ranked(Finding("c", "f", service, confidence, "probe", ["b"]), rule, "digest")


def test_the_surest_first_then_the_root_then_by_name():
    found = [
        a_finding("front", 0.8),
        a_finding("payments", 0.8, "z"),
        a_finding("payments", 0.8, "a"),
        a_finding("orders", 0.8),
        a_finding("front", 0.9),
    ]
    ordered = [(i.finding.service, i.finding.confidence, i.rule) for i in rank(found, shop())]
    assert ordered == [
        ("front", 0.9, "r"), ("payments", 0.8, "a"), ("payments", 0.8, "z"), ("orders", 0.8, "r"), ("front", 0.8, "r"),
    ]  # fmt: skip
