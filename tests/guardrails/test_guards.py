"""Each guard hit and missed; what many say together; and that nothing whatever goes on while people have stopped it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sre_platform.engine.work import GUARDS
from sre_platform.guardrails.domain import (
    Answer,
    Facts,
    Judgement,
    PastAction,
    Policy,
    Reach,
    Request,
    considered,
    judge,
    verdict,
)

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
AUTO = Policy("auto", "*", "*", "*", "auto", cooldown_s=300, max_actions=2)
RESTART = Request(7, "payments", "restart_service", "hung_service", labels={"automation": "allowed"})


def facts(halted="", policies=(AUTO,), past=(), **more):
    return Facts(NOW, halted, policies, past, **more)


def past(incident=1, target="payments", action="restart_service", ago_s=60.0, active=False):
    return PastAction(incident, target, action, NOW - timedelta(seconds=ago_s), active)


def policy(mode="auto", **changes):
    fields = {"name": mode, "service": "*", "cause": "*", "action": "*", "cooldown_s": 300.0, "max_actions": 2}
    return Policy(**fields | changes, mode=mode)


def said(name, known, request=RESTART):
    return GUARDS.get(name).judge(request, known)


def test_all_guards_are_registered():
    assert GUARDS.names() == [
        "attempt_budget",
        "blast_radius",
        "cooldown",
        "dependency_in_trouble",
        "error_budget",
        "evidence_first",
        "flapping",
        "freeze",
        "has_undo",
        "healthy_share",
        "kill_switch",
        "limits",
        "one_per_target",
        "policy",
        "proven",
        "rollout",
        "scope",
        "storm",
    ]


def test_kill_switch():
    assert said("kill_switch", facts()) == (Answer.ALLOW, "Automation is not stopped.")
    answer, reason = said("kill_switch", facts(halted="migration (by ann)"))
    assert answer is Answer.DENY
    assert "migration (by ann)" in reason


def test_storm():
    assert said("storm", facts())[0] is Answer.ALLOW
    answer, reason = said("storm", facts(storm="incident 7 is a storm of alerts"))
    assert (answer, "incident 7" in reason) == (Answer.DENY, True)


def test_flapping():
    assert said("flapping", facts())[0] is Answer.ALLOW
    assert said("flapping", facts(flapping="HighErrorRatio")) == (Answer.ASK, "HighErrorRatio comes and goes.")


def test_proven():
    assert said("proven", facts())[0] is Answer.ALLOW
    answer, reason = said("proven", facts(unproven="host-memory"))
    assert (answer, "host-memory" in reason) == (Answer.ASK, True)


def test_rollout():
    assert said("rollout", facts(moving={"orders": "Roll-out 3"}))[0] is Answer.ALLOW
    answer, reason = said("rollout", facts(moving={"payments": "Roll-out 3"}))
    assert (answer, reason) == (Answer.DENY, "Roll-out 3 is moving payments at this moment.")


def test_has_undo():
    assert said("has_undo", facts())[0] is Answer.ALLOW
    answer, reason = said("has_undo", facts(), Request(7, "db", "drop_cache", "x", irreversible="the cache is gone"))
    assert answer is Answer.ASK
    assert "the cache is gone" in reason


def test_evidence_first():
    destroys = replace(RESTART, destroys="the heap")
    assert said("evidence_first", facts()) == (Answer.ALLOW, "restart_service destroys no evidence.")
    reason = "restart_service destroys the heap, and none of it is captured first."
    assert said("evidence_first", facts(), destroys) == (Answer.ASK, reason)
    reason = "Evidence is captured before restart_service destroys the heap."
    assert said("evidence_first", facts(), replace(destroys, captured=True)) == (Answer.ALLOW, reason)


@pytest.mark.parametrize(
    ("mode", "answer"),
    [
        ("auto", Answer.ALLOW),
        ("approve", Answer.ASK),
        ("suggest", Answer.DENY),
        ("observe", Answer.DENY),
        ("typo", Answer.DENY),
    ],
)
def test_policy_mode(mode, answer):
    assert said("policy", facts(policies=[policy(mode)]))[0] is answer


@pytest.mark.parametrize(
    ("changes", "mode", "answer"),
    [
        ({"environment": "production"}, "observe", Answer.DENY),
        ({"tier": "gold", "environment": "prod*"}, "approve", Answer.ASK),
        ({"environment": "production"}, "auto", Answer.ALLOW),
        ({"environment": "production", "service": "orders"}, "observe", Answer.ALLOW),
        ({"environment": "production", "enabled": False}, "observe", Answer.ALLOW),
    ],
)
def test_of_what_is_not_known_the_stricter_policy_counts(changes, mode, answer):
    strict = policy(mode, **changes)
    assert said("policy", facts(policies=[strict, AUTO]))[0] is answer
    assert said("policy", facts(policies=[AUTO, strict]))[0] is Answer.ALLOW, "it would come later"
    known = replace(RESTART, tier="bronze", environment="staging")
    assert said("policy", facts(policies=[strict, AUTO]), known)[0] is Answer.ALLOW


def test_a_policy_that_may_be_meant_names_what_is_not_known():
    strict = policy("observe", tier="gold", environment="production")
    reason = said("policy", facts(policies=[strict, AUTO]))[1]
    assert reason.startswith("The tier and environment of payments is not known, so it may be that: Policy observe")
    partly = replace(RESTART, environment="staging")
    assert said("policy", facts(policies=[strict, AUTO]), partly)[0] is Answer.ALLOW


@pytest.mark.parametrize(
    "name", ["policy", "attempt_budget", "blast_radius", "cooldown", "error_budget", "healthy_share"]
)
def test_without_a_policy_whoever_needs_its_figures_denies(name):
    reason = "No policy covers restart_service on payments for hung_service."
    request = replace(RESTART, reach=Reach(3, 3, 1))
    assert said(name, facts(policies=[]), request) == (Answer.DENY, reason)
    assert said(name, facts(policies=[policy(enabled=False)]), request) == (Answer.DENY, reason)


@pytest.mark.parametrize(
    "elsewhere", [{"service": "orders"}, {"service": "PAYMENTS"}, {"cause": "process_*"}, {"action": "rollback_*"}]
)
def test_a_policy_covers_only_what_all_its_patterns_match(elsewhere):
    assert said("policy", facts(policies=[policy(**elsewhere)]))[0] is Answer.DENY
    assert said("policy", facts(policies=[policy(service="pay*", cause="hung_*", action="re*")]))[0] is Answer.ALLOW


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({}, ""),
        ({"service": "pay*", "cause": "hung_*", "action": "re*"}, ""),
        ({"service": "orders"}, "service payments is not orders"),
        (
            {"service": "PAYMENTS", "cause": "hung", "action": "roll*"},
            "service payments is not PAYMENTS, cause hung_service is not hung, action restart_service is not roll*",
        ),
        ({"enabled": False}, "it is not enabled"),
    ],
)
def test_a_policy_says_why_it_does_not_cover(changes, why):
    assert policy(**changes).mismatch(RESTART) == why
    assert policy(**changes).covers(RESTART) is (not why)


def test_every_policy_is_considered_and_the_first_that_covers_counts():
    known = [policy(name="off", enabled=False), policy(name="other", cause="x"), policy(name="a"), policy(name="b")]
    held = considered(RESTART, facts(policies=known))
    assert [(one.policy.name, bool(one.mismatch), one.counts) for one in held] == [
        ("off", True, False),
        ("other", True, False),
        ("a", False, True),
        ("b", False, False),
    ]
    assert held[1].as_json()["why_not"] == "cause hung_service is not x"
    assert considered(RESTART, facts(policies=())) == []


def test_of_two_equal_policies_only_one_counts():
    assert [one.counts for one in considered(RESTART, facts(policies=[policy(), policy()]))] == [True, False]


def test_of_policies_that_cover_the_first_counts():
    assert said("policy", facts(policies=[policy("approve"), policy("auto")]))[0] is Answer.ASK
    assert said("policy", facts(policies=[policy("approve", service="orders"), policy("auto")]))[0] is Answer.ALLOW


@pytest.mark.parametrize(
    ("before", "answer"),
    [
        ([], Answer.ALLOW),
        ([past(ago_s=299)], Answer.DENY),
        ([past(ago_s=300)], Answer.ALLOW),
        ([past(ago_s=900), past(ago_s=10)], Answer.DENY),
        ([past(target="orders")], Answer.ALLOW),
        ([past(action="rollback_release")], Answer.ALLOW),
        ([past(ago_s=-5)], Answer.DENY),
    ],
)
def test_cooldown(before, answer):
    assert said("cooldown", facts(past=before))[0] is answer


def test_a_cooldown_names_its_figures_and_one_that_is_no_number_is_never_over():
    reason = "restart_service was done on payments 60 s ago; its cooldown is 300 s."
    assert said("cooldown", facts(past=[past()])) == (Answer.DENY, reason)
    nonsense = facts(past=[past(ago_s=9e6)], policies=[policy(cooldown_s=float("nan"))])
    assert said("cooldown", nonsense)[0] is Answer.DENY


@pytest.mark.parametrize(
    ("before", "answer"),
    [
        ([past(incident=7)], Answer.ALLOW),
        ([past(incident=7), past(incident=7, action="rollback_release")], Answer.DENY),
        ([past(incident=1), past(incident=2), past(incident=3)], Answer.ALLOW),
    ],
)
def test_attempt_budget_counts_this_incidents_actions(before, answer):
    got, reason = said("attempt_budget", facts(past=before))
    tried = sum(item.incident_id == 7 for item in before)
    assert (got, reason) == (answer, f"{tried} actions were tried for this incident; policy auto allows 2.")


@pytest.mark.parametrize(
    ("before", "answer"),
    [
        ([past(incident=1, active=True)], Answer.DENY),
        ([past(incident=1, active=False)], Answer.ALLOW),
        ([past(incident=7, active=True)], Answer.ALLOW),
        ([past(incident=1, target="orders", active=True)], Answer.ALLOW),
    ],
)
def test_one_per_target(before, answer):
    got, reason = said("one_per_target", facts(past=before))
    assert got is answer
    assert (reason == "Incident 1 is acting on payments right now.") == (answer is Answer.DENY)


ANSWERS = st.lists(st.sampled_from(Answer))


@given(ANSWERS)
def test_deny_wins_over_ask_wins_over_allow_and_nothing_is_a_denial(answers):
    got = verdict([Judgement(f"g{n}", answer, "r") for n, answer in enumerate(answers)])
    worst = next((a for a in (Answer.DENY, Answer.ASK, Answer.ALLOW) if a in answers), Answer.DENY)
    assert got.answer is worst
    if worst is not Answer.ALLOW and answers:
        assert got.guard == f"g{answers.index(worst)}"


class Plugin:
    """A guard as somebody else may write it."""

    name = "plugin"

    def __init__(self, answer):
        self.answer = answer

    def judge(self, request, facts):
        return self.answer, "because"


def test_a_plain_text_denial_is_a_denial_and_nonsense_is_no_permission():
    assert verdict(judge([Plugin("deny")], RESTART, facts())).answer is Answer.DENY
    for nonsense in (None, True, "yes"):
        with pytest.raises(ValueError, match="not a valid Answer"):
            judge([Plugin(nonsense)], RESTART, facts())


names = st.sampled_from(["payments", "orders", "restart_service", "rollback_release", "hung_service", "*"])
policies = st.lists(
    st.builds(
        Policy, names, names, names, names, st.sampled_from(["observe", "suggest", "approve", "auto"]),
        st.floats(0, 1e6), st.integers(0, 99),
    )
)  # fmt: skip
moments = st.integers(-(10**7), 10**7).map(lambda seconds: NOW + timedelta(seconds=seconds))
actions = st.lists(st.builds(PastAction, st.integers(1, 9), names, names, moments, st.booleans()))
labels = st.sampled_from([{}, {"automation": "allowed"}])
requests = st.builds(
    Request, st.integers(1, 9), names, names, names, st.sampled_from(["", "gone for good"]), labels=labels
)


@given(requests, policies, actions, st.text(min_size=1))
def test_whatever_the_facts_nothing_is_touched_while_automation_is_stopped(request, known, before, reason):
    assert verdict(judge(GUARDS, request, Facts(NOW, reason, known, before))).answer is Answer.DENY


@given(requests, policies, actions)
def test_nothing_acts_alone_unless_a_policy_says_auto_and_it_can_be_undone(request, known, before):
    world = Facts(NOW, "", known, before)
    got = verdict(judge(GUARDS, request, world)).answer
    covering = world.policy(request)
    if got is Answer.ALLOW:
        assert covering is not None
        assert (covering.mode, request.irreversible) == ("auto", "")
        assert request.labels["automation"] == "allowed"
