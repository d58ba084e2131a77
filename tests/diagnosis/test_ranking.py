"""The root before the symptom, proof before signs, and what was changed lately before what was not."""

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sre_platform.catalog.domain import Target
from sre_platform.diagnosis.domain import Evidence, Finding, Ranked, Site
from sre_platform.diagnosis.rca.ranking import KINDS, WOULD_DECIDE, rank
from tests.diagnosis.scene import OPENED

SHOP = {
    "front": Target("front", depends_on=("orders",)),
    "orders": Target("orders", depends_on=("payments",)),
    "payments": Target("payments"),
    "search": Target("search"),
}


def a(service, confidence, kind="growth", cause="c", rule="r", **more):
    return Ranked(Finding(cause, more.pop("family", "f"), service, confidence, kind, ["b"], **more), rule, "digest")


def order(*found, topology=SHOP, evidence=()):
    return [(item.finding.service, item.finding.cause) for item in rank(found, topology, evidence)]


def test_a_cause_on_a_dependency_beats_what_it_may_have_caused_further_up():
    up, root = a("orders", 0.85, cause="pile-up"), a("payments", 0.8, "probe", "hung")
    assert order(up, root) == [("payments", "hung"), ("orders", "pile-up")]


def test_a_finding_that_is_much_surer_is_no_symptom():
    assert order(a("orders", 0.97, "gc-proof"), a("payments", 0.75, "change"))[0][0] == "orders"


def test_services_that_have_nothing_to_do_with_each_other_are_ordered_by_confidence():
    assert [s for s, _ in order(a("payments", 0.8), a("search", 0.85))] == ["search", "payments"]


def test_of_equally_sure_findings_the_kind_of_evidence_decides():
    found = [a("search", 0.8, kind, kind) for kind in reversed(KINDS)]
    assert [cause for _, cause in order(*found)] == list(KINDS)
    assert set(WOULD_DECIDE) == set(KINDS)


def test_a_lock_cycle_stands_before_its_pile_up_however_sure_that_is():
    pile = a("orders", 0.97, "gc-proof", "mutex_missing_unlock", family="lock-wait")
    leak = a("orders", 0.97, "gc-proof", "chan_send_no_receiver", family="chan-send")
    cycle = a("orders", 0.9, "lock-cycle", "lock_order")
    assert [cause for _, cause in order(pile, cycle, leak)] == [
        "chan_send_no_receiver",
        "lock_order",
        "mutex_missing_unlock",
    ]


def test_services_that_depend_on_each_other_are_ordered_all_the_same():
    ring = {"a": Target("a", depends_on=("b",)), "b": Target("b", depends_on=("a",))}
    assert order(a("a", 0.8), a("b", 0.82), topology=ring) == [("b", "c"), ("a", "c")]


def test_the_order_does_not_depend_on_the_order_of_the_findings():
    found = [
        a(service, confidence, kind, cause, rule)
        for service in SHOP
        for confidence, kind in [(0.8, "growth"), (0.85, "change"), (0.9, "lock-cycle")]
        for cause, rule in [("x", "r1"), ("y", "r2")]
    ]
    first = rank(found, SHOP)
    for seed in range(20):
        assert rank(random.Random(seed).sample(found, len(found)), SHOP) == first


SITE = Site("shop.Quote", "/build/shop/orders/quote.go", 35)


def changes(*ranges, path="orders/quote.go", before_s=40.0, **more):
    commit = {"id": "c0ffee1234567890", "by": "ann", "at": "", "says": "Ask for quotes", "files": {path: list(ranges)}}
    deploy = {"kind": "deploy", "seconds_before": before_s, "before": "v1", "after": "v2", "commits": [commit]} | more
    return [Evidence("recent_changes", "orders", OPENED, {"changes": [deploy], "running": "v2"})]


def the(found, evidence):
    [item] = rank([found], SHOP, evidence)
    return item.finding


def test_a_line_that_a_recent_deploy_changed_is_surer_and_says_by_whom():
    found = the(a("orders", 0.8, site=SITE), changes([30, 36]))
    assert found.confidence == pytest.approx(0.9)
    assert found.because == [
        "b",
        "Line /build/shop/orders/quote.go:35 was changed by commit c0ffee123456 'Ask for quotes' by ann, deployed 40 s"
        " before the incident.",
    ]
    long_ago = the(a("orders", 0.8, site=SITE), changes([30, 36], before_s=1200.0))
    assert 0.8 < long_ago.confidence < 0.82


def test_a_line_that_no_recent_commit_touched_speaks_against_it():
    found = the(a("orders", 0.8, site=SITE), changes([1, 34], [36, 99]))
    assert (found.confidence, found.because) == (0.8, ["b"])
    assert found.against == ("/build/shop/orders/quote.go:35 is in none of the 1 commit that v2 brought 40 s before.",)


@pytest.mark.parametrize(
    ("file", "path", "same"),
    [
        ("/build/orders/quote.go", "orders/quote.go", True),
        ("example.com/shop/orders/quote.go", "services/orders/quote.go", True),
        ("orders/quote.go", "orders/quote.go", True),
        ("/build/main.go", "main.go", True),
        ("C:\\build\\orders\\quote.go", "orders/quote.go", True),
        ("/build/payments/quote.go", "orders/quote.go", False),
        ("/go/pkg/mod/github.com/x/orders@v1.2.3/main.go", "main.go", False),
        ("/go/pkg/mod/github.com/x/orders@v1.2.3/orders/quote.go", "orders/quote.go", False),
    ],
)
def test_which_file_of_the_repository_a_line_of_the_binary_is_in(file, path, same):
    found = the(a("orders", 0.8, site=replace(SITE, file=file)), changes([35, 35], path=path))
    assert (found.confidence > 0.8) is same


@pytest.mark.parametrize("change", [{"after": "v3"}, {"seconds_before": -5.0}])
def test_a_change_that_did_not_bring_the_running_code_says_nothing(change):
    found = the(a("orders", 0.8, site=SITE), changes([35, 35], **change))
    assert (found.confidence, found.because) == (0.8, ["b"])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"kind": "config", "before": "a=1", "after": "a=2"},
            "The config from a=1 to a=2 came 40 s before the incident.",
        ),
        ({"commits": []}, "The deploy from v1 to v2 came 40 s before the incident."),
        ({"commits": None, "before": ""}, "The deploy to v2 came 40 s before the incident."),
    ],
)
def test_a_change_of_which_no_lines_are_known_counts_a_little_for_how_near_it_was(change, said):
    found = the(a("orders", 0.8, site=SITE), changes([35, 35], **change))
    assert (found.confidence, found.because) == (pytest.approx(0.82), ["b", said])
    long_ago = the(a("orders", 0.8), changes([35, 35], before_s=1200.0))
    assert 0.8 < long_ago.confidence < 0.803


def test_a_finding_that_is_about_the_change_does_not_count_it_twice():
    found = the(a("orders", 0.8, "change", "bad_release"), changes([35, 35]))
    assert (found.confidence, found.because) == (0.8, ["b"])


def test_a_bad_release_stands_behind_the_line_in_it_that_is_to_blame():
    line, release = a("orders", 0.7, site=SITE, cause="leak"), a("orders", 0.9, "change", "bad_release")
    assert [cause for _, cause in order(line, release, evidence=changes([35, 35]))] == ["leak", "bad_release"]
    assert [cause for _, cause in order(line, release, evidence=changes([1, 1]))] == ["bad_release", "leak"]


def test_findings_that_disagree_and_what_was_not_seen_speak_against_it():
    one, other = a("orders", 0.9, cause="x"), a("orders", 0.8, "probe", cause="y")
    first, second = (item.finding for item in rank([one, other], SHOP))
    assert first.against == (
        "Two findings disagree: the evidence of orders also speaks for y (probe, confidence 0.80).",
    )
    assert "also speaks for x (growth, confidence 0.90)" in second.against[0]
    unseen = [
        Evidence("host", "orders", OPENED, missing="No pid."),
        Evidence("host", "payments", OPENED, missing="Not said."),
        Evidence("go_trace", "orders", OPENED, missing="The catalog names no log_file for orders."),
    ]
    assert the(one, unseen).against == ("host could not be seen: No pid.",)
    assert the(one, ()).would_decide == (WOULD_DECIDE["growth"],)


def test_what_a_rule_says_itself_is_not_replaced():
    own = a("orders", 0.8, against=["Own."], would_decide=["Look there."])
    found = the(own, [Evidence("host", "orders", OPENED, missing="No pid.")])
    assert (list(found.against), list(found.would_decide)) == (["Own."], ["Look there."])


@pytest.mark.parametrize(("given", "kept"), [(1.7, 1.0), (-0.2, 0.0), (0.5, 0.5)])
def test_confidence_stays_between_0_and_1(given, kept):
    assert the(a("orders", given, site=SITE), ()).confidence == kept
    assert 0 <= the(a("orders", given, site=SITE), changes([35, 35])).confidence <= 1


def test_a_service_that_the_catalog_no_longer_knows_is_ranked_too():
    assert order(a("gone", 0.8), a("front", 0.8)) == [("front", "c"), ("gone", "c")]


KIND = st.sampled_from([*KINDS, "unheard-of"])
FOUND = st.builds(
    lambda service, confidence, kind, cause, rule, family, line: a(
        service, confidence, kind, cause, rule, family=family, site=replace(SITE, line=line) if line else None
    ),
    st.sampled_from([*SHOP, "gone"]),
    st.floats(allow_nan=False, min_value=-2, max_value=2),
    KIND,
    st.sampled_from("xyz"),
    st.sampled_from("rst"),
    st.sampled_from(["f", "lock-wait"]),
    st.sampled_from([0, 35, 36]),
)


@given(st.lists(FOUND, max_size=12), st.randoms(use_true_random=False))
def test_whatever_was_found_keeps_all_findings_in_one_order_and_confidences_in_bounds(found, chance):
    evidence = changes([35, 35])
    ranked = rank(found, SHOP, evidence)
    assert len(ranked) == len(found)
    assert all(0 <= item.finding.confidence <= 1 for item in ranked)
    shuffled = sorted(found, key=lambda _: chance.random())
    assert rank(shuffled, SHOP, evidence) == ranked
    assert all(item.finding.would_decide or item.finding.evidence == "unheard-of" for item in ranked)
