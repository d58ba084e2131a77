"""What would be done if a cause were found, told with no incident."""

import json

import pytest
from django.core.management import CommandError, call_command

from sre_platform.engine.work import GUARDS
from sre_platform.guardrails.models import RemediationPolicy
from sre_platform.playbook import library
from sre_platform.playbook.models import PlaybookVersion
from tests.engine.explained import RESTART, document
from tests.engine.story import install, strict

pytestmark = pytest.mark.django_db


def test_a_finding_that_nobody_has_made(shop, capsys):
    install(shop)
    told = document(shop, capsys, *RESTART)
    assert (told["incident"], told["state"], told["history"]) == (None, None, [])
    proposing = {name for option in told["options"] for name in option["playbooks"]}
    assert proposing == {
        b.name for b in library.in_force().values() if "restart_service" in [c.name for c in b.remediate]
    }
    assert all(option["undo"] == {"leave": "running"} for option in told["options"])
    RemediationPolicy.objects.create(name="never", cause="hung_*", mode="observe", precedence=1)
    told = document(shop, capsys, *RESTART)
    assert (told["allowed"], told["verdict"]["guard"]) == (False, "policy")
    assert "Policy never is set to observe" in told["would"]


def test_an_action_that_no_playbook_proposes_is_not_proven(shop, capsys):
    install(shop)
    PlaybookVersion.objects.update(in_force=False)
    told = document(shop, capsys, *RESTART)
    [option] = told["options"]
    asking = [guard["guard"] for guard in option["guards"] if guard["answer"] == "ask"]
    assert (option["playbooks"], told["verdict"]["answer"]) == ([], "ask")
    assert asking == ["evidence_first", "proven"]


def test_playbooks_that_would_be_judged_alike_are_told_once(shop, capsys):
    install(shop)
    strict()
    told = document(shop, capsys, *RESTART)
    keys = [(json.dumps(o["params"]), o["verdict"]["guard"]) for o in told["options"]]
    assert len(keys) == len(set(keys))
    assert "bad-release" in {name for option in told["options"] for name in option["playbooks"]}


def test_a_supervisor_that_does_not_answer_is_why_it_cannot_be_done(shop, capsys, settings):
    install(shop)
    settings.SRE_SUPERVISOR_URL = ""
    told = document(shop, capsys, *RESTART)
    assert {option["cannot"] for option in told["options"]} == {
        "No process supervisor is configured. Set SRE_SUPERVISOR_URL."
    }
    assert told["would"].startswith("Nothing would be done")


def test_a_plugin_that_fails_is_no_refusal(shop, monkeypatch):
    install(shop)
    monkeypatch.setattr(GUARDS.get("storm"), "judge", lambda *_: ("perhaps", ""), raising=True)
    with pytest.raises(CommandError, match="ValueError: 'perhaps' is not a valid Answer") as refused:
        call_command("explain", *RESTART)
    assert refused.value.returncode == 2
