"""A drill's result: healed only when the right cause led to the right action alone, and users were well again."""

from datetime import UTC, datetime, timedelta

import pytest

from sre_platform.chaos.experiment import Expect
from sre_platform.chaos.scoring import Happened, Rolled, score

FAULT_AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
HEALED = Expect(
    name="sre_platform",
    outcome="healed",
    cause="leak",
    service="orders",
    site="lab/orders/quote_v2.go:35",
    action="rollback_release",
)
NOTHING = Expect(name="sre_platform", outcome="no_action")
CAUSE = {"cause": "leak", "service": "orders", "where": "lab/orders/quote_v2.go:35"}
ROLLBACK = {"action": "rollback_release", "target": "orders", "says": "Roll back", "state": "kept"}
RESTART = ROLLBACK | {"action": "restart_service"}


def at(seconds):
    return FAULT_AT + timedelta(seconds=seconds)


def entry(name, seconds, **data):
    return {"name": name, "at": at(seconds), "reason": "r", "data": data}


def happened(*names, state="resolved", steps=(ROLLBACK,), cause=CAUSE, incident=1):
    opened = entry("opened", 2.0, starts_at=at(1.0).isoformat(), received_at=at(1.5).isoformat())
    moves = names or ("cause_found", "allowed", "steps_done", "fixed")
    timeline = [opened, *(entry(name, 3.0 + n, checks=[{"name": name}]) for n, name in enumerate(moves))]
    return Happened(incident, state, timeline, cause, list(steps), [{"reference": str(incident)}])


def outcome(expect, *incidents, ran=True):
    report = score("orders/leak", expect, FAULT_AT, incidents, ran)
    assert report.expected == (not report.unexpected)
    return report.outcome, list(report.unexpected), report.wrong_actions


def test_healed():
    assert outcome(HEALED, happened()) == ("healed", [], 0)


def test_the_report_holds_the_stages_from_the_faults_clock():
    report = score("orders/leak", HEALED, FAULT_AT, [happened()], True)
    assert report.stages == {
        "detected": 1.0, "received": 1.5, "diagnosed": 3.0, "decided": 4.0, "acted": 5.0, "verified": 6.0,
    }  # fmt: skip
    assert (report.verification, report.ticket, report.incidents) == ([{"name": "fixed"}], {"reference": "1"}, [1])
    assert report.as_json()["experiment"] == "orders/leak"


@pytest.mark.parametrize(
    ("expect", "incidents", "ran", "result", "problem", "wrong"),
    [
        (NOTHING, [], True, "no_action", None, 0),
        (NOTHING, [happened("alerts_cleared", steps=(), cause={})], True, "no_action", None, 0),
        (NOTHING, [], False, "failed", "the outcome is failed, not no_action", 0),
        (NOTHING, [happened()], True, "healed", "1 actions were wrong", 1),
        (HEALED, [], True, "no_action", "the outcome is no_action, not healed", 0),
        (HEALED, [happened()], False, "failed", "the outcome is failed, not healed", 0),
        (HEALED, [happened("cause_found", "allowed", "steps_done")], True, "failed", "not healed", 0),
        (HEALED, [happened(state="escalated")], True, "escalated", "the outcome is escalated, not healed", 0),
        (HEALED, [happened(state="remediated")], True, "failed", "the outcome is failed, not healed", 0),
        (HEALED, [happened(steps=(RESTART,))], True, "healed", "1 actions were wrong", 1),
        (HEALED, [happened(steps=(ROLLBACK | {"target": "payments"},))], True, "healed", "1 actions were wrong", 1),
        (HEALED, [happened(steps=(RESTART, ROLLBACK))], True, "healed", "1 actions were wrong", 1),
        (HEALED, [happened(steps=(ROLLBACK, ROLLBACK))], True, "healed", "1 actions were wrong", 1),
        (HEALED, [happened(), happened(incident=2)], True, "healed", "1 actions were wrong", 1),
        (HEALED, [happened(), happened(incident=2, state="escalated", steps=())], True, "escalated", "not healed", 0),
        (HEALED, [happened(cause=CAUSE | {"cause": "hung"})], True, "healed", "the cause is hung, not leak", 0),
        (HEALED, [happened(cause=CAUSE | {"service": "front"})], True, "healed", "the service is front, not orders", 0),
        (HEALED, [happened(cause=CAUSE | {"where": "x.go:1"})], True, "healed", "the where is x.go:1, not lab", 0),
        (HEALED, [happened(cause=CAUSE | {"where": ""})], True, "healed", "the where is not known, not lab", 0),
    ],
)
def test_scores(expect, incidents, ran, result, problem, wrong):
    got, problems, wrong_actions = outcome(expect, *incidents, ran=ran)
    assert (got, wrong_actions) == (result, wrong)
    assert any(problem in text for text in problems) if problem else problems == []


def test_the_incident_that_was_acted_on_is_the_one_that_is_compared():
    symptom = happened("alerts_cleared", steps=(), cause=CAUSE | {"service": "front"})
    assert outcome(HEALED, symptom, happened(incident=2)) == ("healed", [], 0)


def test_without_a_fault_nothing_is_timed():
    report = score("orders/leak", HEALED, None, [happened()], True)
    assert set(report.stages.values()) == {None}


ROLLED_BACK = Expect(name="sre_platform", outcome="rolled_back")
PROMOTED = Expect(name="sre_platform", outcome="promoted")


def rolled(state="rolled_back", decided="rolling_back"):
    names = ("started", "weights_set", decided, "weights_set", state)
    return Rolled(7, "payments", state, [entry(name, float(n)) for n, name in enumerate(names)])


@pytest.mark.parametrize(
    ("expect", "incidents", "rollouts", "ran", "result", "problem"),
    [
        (ROLLED_BACK, [], [rolled()], True, "rolled_back", None),
        (PROMOTED, [], [rolled("promoted", "promoting")], True, "promoted", None),
        (ROLLED_BACK, [happened("alerts_cleared", steps=(), cause={})], [rolled()], True, "rolled_back", None),
        (ROLLED_BACK, [], [rolled("promoted", "promoting")], True, "promoted", "the outcome is promoted"),
        (PROMOTED, [], [rolled()], True, "rolled_back", "the outcome is rolled_back"),
        (ROLLED_BACK, [], [rolled("failed")], True, "failed", "the outcome is failed"),
        (ROLLED_BACK, [], [rolled("walking")], True, "failed", "the outcome is failed"),
        (ROLLED_BACK, [], [rolled()], False, "failed", "the outcome is failed"),
        (ROLLED_BACK, [], [], True, "no_action", "there were 0 roll-outs, not 1"),
        (ROLLED_BACK, [], [rolled(), rolled()], True, "rolled_back", "there were 2 roll-outs, not 1"),
        (ROLLED_BACK, [happened()], [rolled()], True, "healed", "1 actions were wrong"),
        (ROLLED_BACK, [happened(state="escalated", steps=())], [rolled()], True, "escalated", "is escalated"),
        (NOTHING, [], [rolled()], True, "rolled_back", "a roll-out of payments was not expected"),
    ],
)
def test_scores_of_roll_outs(expect, incidents, rollouts, ran, result, problem):
    report = score("payments/canary", expect, FAULT_AT, incidents, ran, rollouts)
    assert report.outcome == result
    assert any(problem in text for text in report.unexpected) if problem else report.expected
    assert list(report.rollouts) == [7] * len(rollouts)


def test_the_report_holds_the_stages_of_a_roll_out():
    report = score("payments/canary", ROLLED_BACK, FAULT_AT, [], True, [rolled()])
    times = {name: seconds for name, seconds in report.stages.items() if seconds is not None}
    assert times == {"decided": 2.0, "acted": 3.0, "verified": 4.0}
