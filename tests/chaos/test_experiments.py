"""Every experiment that we ship can run, breaks what it says, and expects what can come of it."""

import importlib
import inspect
from typing import Any

import pytest
import yaml
from chaoslib.experiment import ensure_experiment_is_valid
from django.conf import settings

from sre_platform.chaos import experiment
from sre_platform.chaos.scoring import Happened, score
from sre_platform.kernel.clock import now
from sre_platform.playbook.schema import parse_playbook
from sre_platform.remediation.steps import ACTIONS

FOLDER = settings.BASE_DIR / "experiments"
NAMES = experiment.names(FOLDER)
PLAYBOOKS = [parse_playbook(path.read_text(), path.name) for path in (settings.BASE_DIR / "playbooks").rglob("*.yaml")]
SERVICES = [row["name"] for row in yaml.safe_load((FOLDER / "lab" / "catalog.yaml").read_text())["services"]]


def loaded(name: str):
    return experiment.load(experiment.find(FOLDER, name))


def activities(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [*document["steady-state-hypothesis"]["probes"], *document["method"], *document.get("rollbacks", [])]


def test_there_are_experiments_and_negative_controls():
    assert {"orders/goroutine-leak", "payments/bad-release", "payments/hung", "payments/killed"} <= set(NAMES)
    assert [name for name in NAMES if loaded(name)[1].outcome == "no_action"] == [
        name for name in NAMES if name.startswith("controls/")
    ]


@pytest.mark.parametrize("name", NAMES)
def test_chaos_toolkit_takes_it(name):
    assert ensure_experiment_is_valid(loaded(name)[0]) is None  # it raises what it does not take


@pytest.mark.parametrize("name", NAMES)
def test_its_functions_take_the_arguments_that_it_gives(name):
    for activity in activities(loaded(name)[0]):
        provider = activity["provider"]
        function = getattr(importlib.import_module(provider["module"]), provider["func"])
        given = provider.get("arguments", {})
        assert inspect.signature(function).bind(**given).arguments.keys() == given.keys()


@pytest.mark.parametrize("name", NAMES)
def test_it_takes_back_what_it_breaks(name):
    document, _ = loaded(name)
    broken = {a["provider"]["module"] for a in document["method"] if a["provider"]["func"] == "inject"}
    restored = {a["provider"]["module"] for a in document.get("rollbacks", []) if a["provider"]["func"] == "restore"}
    assert broken - {"sre_platform.chaos.faults.nothing"} == restored


@pytest.mark.parametrize("name", [n for n in NAMES if loaded(n)[1].outcome in ("rolled_back", "promoted")])
def test_a_roll_out_is_waited_for_leaves_nothing_and_must_not_harm_users(name):
    document, expect = loaded(name)
    called = [activity["provider"]["func"] for activity in activities(document)]
    assert {"rollout_ended", "users_were_well", "no_rollout_is_left"} <= set(called)
    waits = sum(a["provider"].get("arguments", {}).get("timeout_s", 0) for a in document["method"])
    assert waits < expect.timeout_s


@pytest.mark.parametrize("name", NAMES)
def test_users_have_to_be_well_before_and_after(name):
    [probe] = loaded(name)[0]["steady-state-hypothesis"]["probes"]
    assert (probe["provider"]["func"], probe["tolerance"]) == ("users_are_well", True)


@pytest.mark.parametrize("name", NAMES)
def test_what_it_expects_can_come_of_it(name):
    document, expect = loaded(name)
    if expect.outcome != "healed" and not expect.taken_back:
        assert (expect.cause, expect.service, expect.action) == ("", "", "")
        return
    assert name.startswith(f"{expect.service}/")
    assert expect.service in SERVICES
    assert expect.action in ACTIONS.names()
    waits = sum(a["provider"].get("arguments", {}).get("timeout_s", 0) for a in document["method"])
    assert waits < expect.timeout_s


@pytest.mark.parametrize("name", [name for name in NAMES if loaded(name)[1].taken_back])
def test_what_is_taken_back_is_left_to_people_and_the_release_before_it_has_to_run_again(name):
    document, expect = loaded(name)
    assert expect.outcome == "escalated"
    [deployed] = [a["provider"]["arguments"] for a in document["method"] if a["name"].startswith("deploy ")]
    [runs] = [a["provider"]["arguments"] for a in document["method"] if a["provider"]["func"] == "release_runs"]
    assert (runs["service"], runs["release"]) == (deployed["service"], deployed["release"])


@pytest.mark.parametrize("name", [name for name in NAMES if loaded(name)[1].outcome == "healed"])
@pytest.mark.parametrize("other", ["cause", "service", "action", "target"])
def test_healed_for_another_reason_or_by_another_action_is_a_failed_drill(name, other):
    expect = loaded(name)[1]
    cause = {"cause": expect.cause, "service": expect.service, "where": expect.site}
    step = {"action": expect.action, "target": expect.service}

    def report(cause, step):
        entries = [{"name": "fixed", "at": now(), "reason": "", "data": {}}]
        return score(name, expect, None, [Happened(1, "resolved", entries, cause, [step], [])], True)

    assert report(cause, step).expected
    wrong = report(cause | {other: "another"}, step) if other in cause else report(cause, step | {other: "another"})
    assert (wrong.expected, wrong.wrong_actions) == (False, 0 if other in cause else 1)


@pytest.mark.parametrize("name", [name for name in NAMES if loaded(name)[1].site])
def test_the_place_that_it_expects_is_there(name):
    file, _, line = loaded(name)[1].site.rpartition(":")
    text = (FOLDER / file).read_text().splitlines()[int(line) - 1]
    wanted = {
        "orders/goroutine-leak": "answers <- answer",
        "payments/cpu": "for i := range uint64(1 << 16) {",
        "payments/crash-loop": "most[name] = maxCents",
        "payments/hung": "t.mu.Lock()",
    }
    assert text.strip() == wanted[name]


def test_the_leak_is_broken_on_purpose():
    file, _, line = loaded("orders/goroutine-leak")[1].site.rpartition(":")
    before = (FOLDER / file).read_text().splitlines()[: int(line)]
    assert any("Broken on purpose" in text for text in before[-20:])


@pytest.mark.parametrize("book", [book for book in PLAYBOOKS if book.proof], ids=lambda book: book.name)
def test_experiments_that_prove_a_playbook_expect_one_of_its_actions(book):
    """A playbook that names none asks before it acts (guardrails/guards/proven.py)."""
    for name in book.proof:
        assert loaded(name)[1].action in [call.name for call in book.remediate]


def test_every_fault_module_is_a_drop_in():
    folder = settings.BASE_DIR / "sre_platform" / "chaos" / "faults"
    for path in sorted(set(folder.glob("*.py")) - {folder / "__init__.py"}):
        module = importlib.import_module(f"sre_platform.chaos.faults.{path.stem}")
        assert module.__doc__
        assert module.inject.__doc__
        assert module.restore.__doc__
