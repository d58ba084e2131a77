"""A policy's plan in place of the playbook's ladder, and how far a policy lets it be followed."""

import pytest

from sre_platform.guardrails.models import RemediationPolicy
from sre_platform.incidents.domain import State
from sre_platform.playbook import library
from tests.engine.story import LADDER, STRICT, delivered, drive, fire, install, last, strict

pytestmark = pytest.mark.django_db
LOOK = [{"capture_evidence": {"collect": [{"log_templates": {}}]}}]
RESTART = {"restart_service": {}, "first": LOOK}


def planned(name="planned", plan=(RESTART,), **fields):
    fields = {"mode": "auto", "cooldown_s": 0, "precedence": 1, "action": "nothing at all"} | fields
    return RemediationPolicy.objects.create(name=name, plan=list(plan), **fields)


def proposed(shop, **service):
    """What is decided on for payments, whose ladder begins with a rollback."""
    install(shop, mode="approve", **service)
    strict()
    incident = drive(fire(), State.AWAITING_APPROVAL)
    return incident.steps.repairs().get()


def test_without_a_plan_it_is_the_playbooks_ladder(shop):
    assert proposed(shop).action == "rollback_release"


def test_a_plan_replaces_the_ladder_and_each_action_is_judged_by_the_policy_that_covers_it(shop):
    planned()
    step = proposed(shop)
    assert (step.action, step.policy) == ("restart_service", "all v1")
    assert [one.action for one in step.led_by.all()] == ["capture_evidence"]


@pytest.mark.parametrize(
    ("fields", "action"),
    [
        ({"tier": "gold", "environment": "prod*", "service": "pay*", "cause": "bad_*"}, "restart_service"),
        ({"tier": "silver"}, "rollback_release"),
        ({"environment": "staging"}, "rollback_release"),
        ({"service": "orders"}, "rollback_release"),
        ({"cause": "hung_service"}, "rollback_release"),
        ({"enabled": False}, "rollback_release"),
    ],
)
def test_a_plan_is_for_what_its_policy_covers(shop, fields, action):
    planned(**fields)
    assert proposed(shop, tier="gold", environment="production").action == action


def test_the_first_policy_with_a_plan_counts(shop):
    planned("second", plan=["rollback_release"], precedence=2)
    planned("without", plan=[], precedence=0)
    planned("first", precedence=1, mode="observe")
    assert proposed(shop).action == "restart_service"


def test_what_only_a_plan_adds_to_a_playbook_is_asked_about(shop):
    planned()
    install(shop)
    library.store(LADDER.sub("remediate: [rollback_release]\n", STRICT), "tests")
    incident = drive(fire(), State.AWAITING_APPROVAL)
    assert "No experiment proves the playbook bad-release with restart_service" in last(incident).reason


@pytest.mark.parametrize(
    ("mode", "said"),
    [
        ("suggest", "Policy all only suggests rollback_release: a person may do it."),
        ("observe", "Policy all is set to observe: it does not act."),
    ],
)
def test_what_would_be_done_is_written_down_and_people_are_called(shop, mode, said):
    install(shop, mode=mode)
    incident = drive(fire())
    assert (incident.state, shop.supervisor.effects, shop.release) == ("escalated", [], "v2")
    entry = last(incident)
    assert entry.reason == f"Roll payments back from v2 to v1: {said}"
    assert [effect["verb"] for effect in entry.data["plan"]["effects"]] == ["link", "stop", "start"]
    assert entry.data["policy"] == "all v1"
    assert f"Roll payments back from v2 to v1: {said}" in delivered(incident).body
