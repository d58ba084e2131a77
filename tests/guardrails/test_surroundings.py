"""Opt-in, freeze windows, dependencies in trouble, and what is left of the error budget."""

from dataclasses import replace

import pytest

from sre_platform.guardrails.domain import Answer, Freeze
from sre_platform.guardrails.guards.dependency_in_trouble import DependencyInTrouble
from sre_platform.guardrails.guards.error_budget import ErrorBudget
from sre_platform.guardrails.guards.freeze import FreezeWindow
from sre_platform.guardrails.guards.scope import Scope
from tests.guardrails.test_guards import RESTART, facts, policy

HOW = "to let automation touch it, give it the label automation: allowed in the catalog."


def test_only_what_is_labelled_is_in_scope():
    assert Scope().judge(RESTART, facts()) == (Answer.ALLOW, "payments is labelled automation: allowed.")


@pytest.mark.parametrize(
    ("labels", "has"),
    [
        ({}, "payments is not labelled automation"),
        ({"automation": "forbidden"}, "payments is labelled automation: forbidden"),
        ({"automation": "Allowed"}, "payments is labelled automation: Allowed"),
        ({"Automation": "allowed", "allowed": "automation"}, "payments is not labelled automation"),
    ],
)
def test_what_is_not_in_scope_is_denied_and_says_how_to_opt_in(labels, has):
    assert Scope().judge(replace(RESTART, labels=labels), facts()) == (Answer.DENY, f"{has}; {HOW}")


def frozen(place, **patterns):
    request = replace(RESTART, environment=place)
    return FreezeWindow().judge(request, facts(freezes=[Freeze("year-end", "books are closed", **patterns)]))


def test_an_open_freeze_window_denies_with_its_reason():
    assert frozen("production") == (Answer.DENY, "Freeze window year-end is open: books are closed.")
    assert FreezeWindow().judge(RESTART, facts()) == (Answer.ALLOW, "No freeze window for payments is open.")


@pytest.mark.parametrize(
    ("patterns", "answer"),
    [
        ({"service": "pay*"}, Answer.DENY),
        ({"service": "orders"}, Answer.ALLOW),
        ({"environment": "prod*"}, Answer.DENY),
        ({"environment": "staging"}, Answer.ALLOW),
        ({"service": "orders", "environment": "prod*"}, Answer.ALLOW),
    ],
)
def test_a_freeze_window_is_for_its_services_and_environments(patterns, answer):
    assert frozen("production", **patterns)[0] is answer


def test_an_unknown_environment_may_be_the_frozen_one():
    answer, reason = frozen("", environment="production")
    assert answer is Answer.DENY
    assert reason == "Freeze window year-end is open (the environment of payments is not known): books are closed."
    assert frozen("", environment="production", service="orders")[0] is Answer.ALLOW


def trouble(*services, restarts=True, needs=("redis", "database")):
    request = replace(RESTART, restarts=restarts, needs=needs)
    return DependencyInTrouble().judge(request, facts(troubled=dict.fromkeys(services, "HighLatency")))


def test_a_victim_is_not_restarted():
    reason = "HighLatency fires on database, which payments depends on: a restart does not help a victim."
    assert trouble("database", "payments") == (Answer.DENY, reason)
    assert trouble("database", "redis")[1].startswith("HighLatency fires on redis"), "the nearest is named"


def test_what_is_no_victim_may_be_restarted_and_a_victim_may_be_helped_otherwise():
    assert trouble("payments", "orders") == (
        Answer.ALLOW,
        "No alert fires on the 2 services that payments depends on.",
    )
    assert trouble("redis", restarts=False) == (Answer.ALLOW, "restart_service restarts nothing.")
    assert trouble("redis", needs=())[0] is Answer.ALLOW


def budget(left, wanted=0.25):
    budgets = {} if left == "nobody asked" else {"payments": left, "orders": 1.0}
    return ErrorBudget().judge(RESTART, facts(policies=[policy(min_budget_left=wanted)], budgets=budgets))


@pytest.mark.parametrize(("left", "answer"), [(1.0, "allow"), (0.25, "allow"), (0.2, "deny"), (-3.0, "deny")])
def test_a_policy_may_want_error_budget_to_be_left(left, answer):
    assert budget(left) == (answer, f"{left:.0%} of the error budget of payments is left; policy auto wants 25%.")


@pytest.mark.parametrize("left", [None, "nobody asked"])
def test_a_budget_that_is_not_known_is_not_there(left):
    reason = "What is left of the error budget of payments could not be measured; policy auto wants 25%."
    assert budget(left) == (Answer.DENY, reason)
    assert budget(left, wanted=0) == (Answer.ALLOW, "Policy auto asks for no error budget.")


@pytest.mark.parametrize(("left", "wanted"), [(float("nan"), 0.1), (0.5, float("nan"))])
def test_what_is_no_number_is_no_budget(left, wanted):
    assert budget(left, wanted)[0] is Answer.DENY
