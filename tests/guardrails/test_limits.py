"""Limits: what is counted together, for how long, and that no limit is passed because something is not known."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sre_platform.guardrails.domain import Answer, Limit, Request
from sre_platform.guardrails.guards.limits import Limits
from tests.guardrails.test_guards import facts, past

HERE = Request(7, "payments", "restart_service", "hung_service", cluster="eu")
HOUR = Limit("hourly", "all", max_actions=2, window_s=3600)


def said(limit, before=(), request=HERE):
    return Limits().judge(request, facts(limits=[limit], past=list(before)))


def done(**changes):
    return replace(past(incident=changes.pop("incident", 1)), **{"cluster": "eu"} | changes)


def test_without_a_limit_nothing_is_limited():
    assert Limits().judge(HERE, facts(past=[past()] * 99)) == (Answer.ALLOW, "No limit is about it.")


def test_the_limit_and_its_figures_are_named():
    assert said(HOUR, [done()]) == (Answer.ALLOW, "hourly: 1 of 2 actions in all within 3600 s.")
    reason = "Limit hourly is reached: 2 of 2 actions in all within 3600 s."
    assert said(HOUR, [done(), done(target="orders")]) == (Answer.DENY, reason)
    assert said(replace(HOUR, max_actions=0))[0] is Answer.DENY


@pytest.mark.parametrize(
    ("per", "counted", "where"),
    [
        ("service", {"target": "payments", "action": "other", "cluster": "us"}, "on payments"),
        ("cluster", {"target": "orders", "action": "other", "cluster": "eu"}, "in cluster eu"),
        ("cluster", {"target": "orders", "action": "other", "cluster": ""}, "in cluster eu"),
        ("action", {"target": "orders", "action": "restart_service", "cluster": "us"}, "of restart_service"),
        ("all", {"target": "orders", "action": "other", "cluster": "us"}, "in all"),
        ("what nobody knows", {"target": "orders", "action": "other", "cluster": "us"}, "in all"),
    ],
)
def test_what_is_counted_together(per, counted, where):
    limit = Limit("tight", per, max_actions=1, window_s=600)
    assert said(limit, [done(**counted)]) == (
        Answer.DENY,
        f"Limit tight is reached: 1 of 1 actions {where} within 600 s.",
    )
    others = {"service": {"target": "orders"}, "cluster": {"cluster": "us"}, "action": {"action": "other"}}
    if per in others:
        assert said(limit, [done(**others[per])] * 9)[0] is Answer.ALLOW


@pytest.mark.parametrize("pattern", [{"service": "orders"}, {"cluster": "us-*"}, {"action": "roll*"}])
def test_a_limit_about_something_else_neither_counts_nor_limits(pattern):
    narrow = replace(HOUR, max_actions=0, **pattern)
    assert said(narrow)[0] is Answer.ALLOW


def test_only_what_a_limit_is_about_is_counted():
    limit = replace(HOUR, max_actions=1, service="pay*")
    assert said(limit, [done(target="orders")])[0] is Answer.ALLOW
    assert said(limit, [done(target="payroll")])[0] is Answer.DENY


def test_what_is_long_ago_counts_no_more_unless_it_is_active():
    limit = Limit("minute", "all", max_actions=1, window_s=60)
    edge, inside = past(ago_s=60), past(ago_s=59.9)
    assert (said(limit, [edge])[0], said(limit, [inside])[0]) == (Answer.ALLOW, Answer.DENY)
    assert said(limit, [past(ago_s=9999, active=True)])[0] is Answer.DENY
    assert said(limit, [past(ago_s=-30)])[0] is Answer.DENY, "begun by a clock that is ahead"


def test_at_once_counts_only_what_is_active():
    limit = Limit("few", "all", max_actions=99, window_s=3600, at_once=2)
    over, active = done(), done(active=True)
    assert said(limit, [over] * 9 + [active]) == (
        Answer.ALLOW,
        "few: 10 of 99 actions in all within 3600 s, 1 of 2 at once.",
    )
    assert said(limit, [active] * 2)[0] is Answer.DENY
    assert said(replace(limit, at_once=0), [active] * 9)[0] is Answer.ALLOW


@pytest.mark.parametrize("limit", [Limit("c", "cluster", 9, 60), Limit("c", "all", 9, 60, cluster="eu")])
def test_a_limit_about_clusters_denies_what_runs_in_an_unknown_one(limit):
    reason = "Limit c is about clusters, and the catalog names none for payments."
    assert said(limit, request=replace(HERE, cluster="")) == (Answer.DENY, reason)
    assert said(limit)[0] is Answer.ALLOW


@given(st.lists(st.booleans(), max_size=12), st.integers(0, 6), st.integers(0, 6))
def test_it_is_allowed_exactly_while_both_figures_are_below_their_bounds(active, most, at_once):
    limit = Limit("l", "all", most, 3600, at_once=at_once)
    allowed = said(limit, [done(active=one) for one in active])[0] is Answer.ALLOW
    assert allowed == (len(active) < most and (at_once == 0 or sum(active) < at_once))


@given(st.permutations([replace(HOUR, max_actions=0), replace(HOUR, name="b"), replace(HOUR, name="c", per="service")]))
def test_of_many_limits_one_that_is_reached_is_enough(limits):
    assert Limits().judge(HERE, facts(limits=limits))[0] is Answer.DENY
