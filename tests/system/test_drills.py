"""Every experiment against the real stack: real services, real faults, real repairs."""

import json

import pytest

from sre_platform.chaos import experiment
from sre_platform.embedded import envoy
from tests.system.stack import HOME, Stack

pytestmark = [pytest.mark.system, pytest.mark.timeout(200)]
STAGES = ["detected", "received", "diagnosed", "decided", "acted", "verified"]
EXPERIMENTS = {
    name: experiment.load(experiment.find(HOME / "experiments", name))[1]
    for name in experiment.names(HOME / "experiments")
}
CONTROLS = [name for name in EXPERIMENTS if name.startswith("controls/")]
BREAKER = "orders/retry-storm"
BACK_WITHIN_S = 5.0  # of the breach being visible
# What the short run leaves out: another drill shows the same way through the line.
SLOW = {"payments/good-canary", "payments/harmful-rollback", "payments/cpu", BREAKER, "payments/disk-filling"}


def drills(*outcomes: str) -> list[object]:
    """The experiments that expect one of these outcomes, but no controls."""
    names = [name for name, expect in EXPERIMENTS.items() if expect.outcome in outcomes and name not in CONTROLS]
    return [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in names]


def test_every_experiment_is_one_of_these() -> None:
    assert {expect.outcome for expect in EXPERIMENTS.values()} <= {
        "healed", "escalated", "rolled_back", "promoted", "no_action",
    }  # fmt: skip
    assert all(expect.taken_back for expect in EXPERIMENTS.values() if expect.outcome == "escalated")
    assert set(EXPERIMENTS) >= SLOW


@pytest.mark.parametrize("name", drills("healed"))
def test_a_fault_is_healed_by_the_right_action_for_the_right_reason(stack: Stack, name: str) -> None:
    code, report, progress = stack.drill(name)
    expect = EXPERIMENTS[name]
    assert (code, report["outcome"], report["unexpected"]) == (0, "healed", []), progress
    assert report["wrong_actions"] == 0
    assert [(action["action"], action["target"]) for action in report["actions"]] == [(expect.action, expect.service)]
    times = [report["stages"][stage] for stage in STAGES]
    assert times == sorted(times)
    assert report["verification"]
    unmet = [check for check in report["verification"] if not check["met"]]
    # A dependency that nobody asks any more, because its breaker is open, has nothing that could be measured.
    assert all(check["neighbour"] and check["met"] is None for check in unmet) if name == BREAKER else not unmet
    assert report["ticket"]["actual"] in ("open", "closed")
    [incident] = report["incidents"]
    assert stack.rows("select on_purpose from incidents_incident where id = ?", incident) == [(1,)]


@pytest.mark.parametrize("name", drills("escalated"))
def test_what_harms_is_taken_back_by_itself_and_left_to_people(stack: Stack, name: str) -> None:
    code, report, progress = stack.drill(name)
    assert (code, report["outcome"], report["unexpected"], report["wrong_actions"]) == (0, "escalated", [], 0), progress
    [step] = report["actions"]
    assert (step["action"], step["target"], step["state"]) == (
        EXPERIMENTS[name].action,
        EXPERIMENTS[name].service,
        "undone",
    )
    times = [
        report["stages"][stage] for stage in ("detected", "received", "diagnosed", "acted", "verified", "taken_back")
    ]
    assert times == sorted(times)
    assert report["ticket"]["actual"] == "open"
    undos = stack.rows("select state from remediation_step where undoes_id is not null order by id desc limit 1")
    assert undos == [("kept",)]


@pytest.mark.skipif(envoy.executable() is None, reason="there is no Envoy on this machine, so there is no router")
@pytest.mark.timeout(500)
@pytest.mark.parametrize("name", drills("rolled_back", "promoted"))
def test_a_canary_gets_what_it_deserves_and_no_user_is_harmed(stack: Stack, name: str) -> None:
    steps = stack.rows("select count(*) from remediation_step")
    code, report, progress = stack.drill(name, EXPERIMENTS[name].timeout_s + 30)
    assert (code, report["outcome"], report["unexpected"]) == (0, EXPERIMENTS[name].outcome, []), progress
    assert (report["actions"], report["wrong_actions"], len(report["rollouts"])) == ([], 0, 1)
    assert stack.rows("select count(*) from remediation_step") == steps
    assert report["stages"]["acted"] - report["stages"]["decided"] < BACK_WITHIN_S
    weights = stack.rows("select actual from rollouts_rollout where id = ?", report["rollouts"][0])
    assert json.loads(weights[0][0])["canary"] == 0


@pytest.mark.parametrize("name", CONTROLS)
def test_a_negative_control_ends_with_no_action(stack: Stack, name: str) -> None:
    steps = stack.rows("select count(*) from remediation_step")
    code, report, progress = stack.drill(name)
    assert (code, report["outcome"], report["actions"]) == (0, "no_action", []), progress
    assert stack.rows("select count(*) from remediation_step") == steps


def test_an_alert_that_resolved_before_anybody_looked_is_on_record(stack: Stack) -> None:
    _, report, progress = stack.drill("controls/resolved-before-looked")
    [incident] = report["incidents"]
    ended = stack.rows("select state from incidents_incident where id = ?", incident)
    names = [name for (name,) in stack.rows("select name from incidents_timelineentry where incident_id = ?", incident)]
    assert ended == [("resolved",)], progress
    assert "alerts_cleared" in names
    assert "cause_found" not in names
