import pytest

from sre_platform.guardrails.models import RemediationPolicy, every_policy, halted, policies, set_kill_switch

pytestmark = pytest.mark.django_db


def test_the_kill_switch_is_off_until_somebody_throws_it():
    assert halted() == ""
    set_kill_switch(True, "ann", "migration")
    assert halted() == "migration (by ann)"
    set_kill_switch(False, "ann", "done")
    assert halted() == ""


def test_a_switch_thrown_without_a_reason_still_stops():
    set_kill_switch(True, "ann", "")
    assert halted() == "no reason given (by ann)"


def test_a_policy_does_not_act_unless_somebody_says_so():
    assert RemediationPolicy.objects.create(name="new").mode == "observe"


def test_policies_in_force_come_by_precedence():
    RemediationPolicy.objects.create(name="b", precedence=20)
    RemediationPolicy.objects.create(name="z", precedence=10, mode="auto", service="pay*")
    RemediationPolicy.objects.create(name="a", precedence=20)
    RemediationPolicy.objects.create(name="off", precedence=1, enabled=False)
    assert [policy.name for policy in policies()] == ["z", "a", "b"]
    assert (policies()[0].mode, policies()[0].service) == ("auto", "pay*")
    assert [(policy.name, policy.enabled) for policy in every_policy()] == [
        ("off", False),
        ("z", True),
        ("a", True),
        ("b", True),
    ]
