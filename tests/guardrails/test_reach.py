"""How many instances stay ready, and how many one action may take away: what is not known is denied."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sre_platform.guardrails.domain import Answer, Reach, Request
from sre_platform.guardrails.guards.blast_radius import BlastRadius
from sre_platform.guardrails.guards.healthy_share import HealthyShare
from tests.guardrails.test_guards import RESTART, facts, policy

GUARDS = [HealthyShare(), BlastRadius()]


def reaching(total, ready, takes) -> Request:
    return replace(RESTART, restarts=True, reach=Reach(total, ready, takes))


def healthy(reach, share=0.5):
    return HealthyShare().judge(reaching(*reach), facts(policies=[policy(min_healthy_share=share)]))


def blast(reach, share=0.5):
    return BlastRadius().judge(reaching(*reach), facts(policies=[policy(max_blast_share=share)]))


@pytest.mark.parametrize(
    ("reach", "share", "answer"),
    [((4, 4, 2), 0.5, "allow"), ((4, 4, 3), 0.5, "deny"), ((4, 3, 2), 0.5, "deny"), ((4, 4, 4), 0.0, "allow")],
)
def test_enough_instances_stay_ready(reach, share, answer):
    got, reason = healthy(reach, share)
    left = reach[1] - reach[2]
    assert got == answer
    assert reason == f"{left} of 4 instances of payments stay ready ({left / 4:.0%}); policy auto wants {share:.0%}."


@pytest.mark.parametrize(
    ("reach", "share", "answer"),
    [((4, 4, 2), 0.5, "allow"), ((4, 4, 3), 0.5, "deny"), ((4, 2, 2), 0.4, "deny"), ((10, 10, 1), 0.1, "allow")],
)
def test_one_action_takes_only_so_many_away(reach, share, answer):
    got, reason = blast(reach, share)
    total, _, takes = reach
    assert got == answer
    assert reason == (
        f"It takes away {takes} of {total} instances of payments at once ({takes / total:.0%});"
        f" policy auto allows {share:.0%}."
    )


def test_a_single_instance_is_replaced_as_it_is():
    assert healthy((1, 1, 1), 1.0) == (Answer.ALLOW, "payments has one instance, of which no share could stay.")
    assert blast((1, 1, 1), 0.0) == (Answer.ALLOW, "payments has one instance, of which no share could stay.")


@pytest.mark.parametrize("guard", GUARDS)
def test_what_restarts_has_to_know_what_it_takes_away(guard):
    answer, reason = guard.judge(replace(RESTART, restarts=True), facts())
    assert answer is Answer.DENY
    assert reason == "It is not known how many instances of payments restart_service takes away."


@pytest.mark.parametrize("guard", GUARDS)
@pytest.mark.parametrize("reach", [None, Reach(3, 0, 0), Reach(0, 0, 0)])
def test_what_takes_no_ready_instance_away_is_allowed(guard, reach):
    answer, reason = guard.judge(replace(RESTART, reach=reach), facts())
    assert (answer, reason) == (Answer.ALLOW, "restart_service takes no ready instance of payments away.")


@pytest.mark.parametrize("reach", [(0, 0, 1), (2, 1, 2), (2, 3, 1), (3, 3, -1), (-1, 1, 1)])
def test_figures_that_cannot_be_are_denied(reach):
    assert healthy(reach, 0.0)[0] is Answer.DENY
    assert blast(reach, 1.0)[0] is Answer.DENY


@given(st.integers(-2, 9), st.integers(-2, 9), st.integers(-2, 9), st.floats(0, 1), st.floats(0, 1))
def test_whatever_the_figures_never_more_is_taken_than_the_policy_says(total, ready, takes, healthy_share, blast_share):
    if healthy((total, ready, takes), healthy_share)[0] is Answer.ALLOW and takes and total != 1:
        assert (ready - takes) / total >= healthy_share
    if blast((total, ready, takes), blast_share)[0] is Answer.ALLOW and takes and total != 1:
        assert 0 < takes / total <= blast_share


def test_a_share_that_is_no_number_allows_nothing():
    assert healthy((4, 4, 1), float("nan"))[0] is Answer.DENY
    assert blast((4, 4, 1), float("nan"))[0] is Answer.DENY
