"""The commands, as a person or a script calls them."""

import json

import pytest
import yaml
from django.core.management import CommandError, call_command

from sre_platform.detection.models import AlertRule
from sre_platform.engine.syncing import sync_catalog
from sre_platform.guardrails.models import halted

pytestmark = pytest.mark.django_db


def said(capsys, *words, **options):
    call_command(*words, **options)
    return capsys.readouterr().out


def test_a_drill_without_a_stack_is_refused_with_the_remedy(monkeypatch):
    monkeypatch.delenv("SRE_LAB_DIR", raising=False)
    with pytest.raises(CommandError, match=r"is not running.* Start it with `make demo`") as refused:
        call_command("drill", "payments/hung")
    assert refused.value.returncode == 2


def test_a_drill_that_does_not_exist_lists_the_known():
    with pytest.raises(CommandError, match="payments/hung") as refused:
        call_command("drill", "payments/nothing")
    assert refused.value.returncode == 2


def test_the_list_of_drills_is_json_for_a_machine(capsys):
    assert "orders/goroutine-leak" in json.loads(said(capsys, "drill", list=True, json=True))


def test_the_kill_switch_says_how_it_stands(capsys):
    assert said(capsys, "kill_switch") == "Automation is running.\n"
    assert "stopped: deploy night" in said(capsys, "kill_switch", "on", reason="deploy night")
    assert halted()
    assert json.loads(said(capsys, "kill_switch", json=True))["stopped"] is True
    assert json.loads(said(capsys, "kill_switch", "off", json=True)) == {"stopped": False, "reason": ""}


def test_sync_tells_a_machine_what_changed_and_what_was_refused(capsys, tmp_path):
    (tmp_path / "bad.yaml").write_text("name: [")
    with pytest.raises(SystemExit) as ended:
        call_command("sync", playbooks=tmp_path, json=True)
    report = json.loads(capsys.readouterr().out)
    assert (ended.value.code, report["changed"], len(report["refused"])) == (1, [], 1)


def test_exported_rules_are_what_a_prometheus_loads(capsys, settings):
    catalog = settings.BASE_DIR / "experiments" / "lab" / "catalog.yaml"
    named = dict.fromkeys(variables(catalog.read_text()), "http://127.0.0.1:1")
    named |= {"SRE_LAB_DIR": "/srv/lab", "SRE_LAB_LOG_DIR": "/srv/lab/log"}
    sync_catalog(catalog, named)
    [group] = yaml.safe_load(said(capsys, "export_rules", interval=5.0))["groups"]
    exported = {(rule["alert"], rule["labels"]["service"]) for rule in group["rules"]}
    assert exported == set(AlertRule.objects.filter(enabled=True).values_list("name", "service"))
    assert group["interval"] == "5s"


def variables(text):
    return {word.partition("}")[0] for word in text.split("${")[1:]}
