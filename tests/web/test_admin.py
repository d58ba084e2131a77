import json

import pytest
from django.contrib import admin
from django.urls import reverse

from sre_platform.catalog.models import Service
from sre_platform.detection.models import AlertRule
from sre_platform.guardrails.models import FreezeWindow, KillSwitch, PolicyVersion, RemediationPolicy, halted
from sre_platform.incidents.models import Incident
from sre_platform.intake import tokens
from sre_platform.intake.models import Delivery, IntakeToken
from sre_platform.intake.receive import Arrived, receive_all
from sre_platform.playbook.library import store
from sre_platform.playbook.models import PlaybookVersion
from tests.web import factories

pytestmark = pytest.mark.django_db
OURS = [model for model in admin.site._registry if model.__module__.startswith("sre_platform.")]
TERMS = {"source": "*", "mapping": "{}", "hmac_header": "X-Hub-Signature-256"}
MAPPING = {"starts_at": "since", "constants": {"alertname": "A"}}
EDITED = {"Service", "Change", "AlertRule", "PlaybookVersion", "IntakeToken", "RemediationPolicy", "KillSwitch"}
EDITED |= {"Silence", "MaintenanceWindow", "InhibitionRule", "ActionLimit", "FreezeWindow"}
POLICY = {"name": "lab", "precedence": 1, "mode": "auto", "cooldown_s": 1, "max_actions": 2, "plan": "[]"}
POLICY |= dict.fromkeys(("service", "tier", "environment", "cause", "action"), "*")
POLICY |= {"min_healthy_share": 0.5, "max_blast_share": 0.5, "min_budget_left": 0}


def url(model, page: str, *args) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=args)


@pytest.mark.parametrize("model", OURS, ids=lambda model: model.__name__)
def test_every_model_can_be_listed_searched_and_opened(web, model):
    factories.resolved(), factories.escalated(), store(factories.PLAYBOOK, "tests"), tokens.issue("here")
    KillSwitch.objects.create(pk=1)
    assert web.get(url(model, "changelist"), {"q": "payments"}).status_code == 200
    for row in model.objects.all()[:1]:
        assert web.get(url(model, "change", row.pk)).status_code == 200


@pytest.mark.parametrize("model", OURS, ids=lambda model: model.__name__)
def test_what_the_platform_wrote_is_not_edited(web, model):
    factories.resolved()
    if model.__name__ not in EDITED:
        assert web.get(url(model, "add")).status_code == 403
        for row in model.objects.all()[:1]:
            assert web.post(url(model, "change", row.pk), {}).status_code == 403
            assert web.post(url(model, "delete", row.pk), {"post": "yes"}).status_code == 403


def test_an_incident_leads_to_its_page(web):
    story = factories.opened()
    page = web.get(url(Incident, "change", story.incident.pk)).content.decode()
    assert reverse("incident", args=[story.incident.pk]) in page


def test_editing_a_playbook_makes_a_new_version(web):
    first, _ = store(factories.PLAYBOOK, "tests")
    text = factories.PLAYBOOK.replace("nobody receives", "nobody reads")
    answer = web.post(url(PlaybookVersion, "change", first.pk), {"text": text.replace("\n", "\r\n"), "_continue": "1"})
    old, new = PlaybookVersion.objects.order_by("version")
    assert (old.pk, old.text, old.in_force) == (first.pk, factories.PLAYBOOK, False)
    assert (new.version, new.text, new.in_force, new.source) == (2, text, True, "edited by ada")
    assert answer["Location"] == url(PlaybookVersion, "change", new.pk)


def test_saving_a_playbook_unchanged_makes_none(web):
    first, _ = store(factories.PLAYBOOK, "tests")
    web.post(url(PlaybookVersion, "change", first.pk), {"text": factories.PLAYBOOK})
    assert PlaybookVersion.objects.get() == first


@pytest.mark.parametrize(
    ("before", "after", "complaint"),
    [
        ("summary", "sumary", "did you mean"),
        ("goroutine-leak", "other-name", "add another playbook"),
        ("match: {", "match: [", "YAML"),
    ],
)
def test_a_bad_playbook_is_refused_at_its_field_and_the_old_one_stays(web, before, after, complaint):
    first, _ = store(factories.PLAYBOOK, "tests")
    answer = web.post(url(PlaybookVersion, "change", first.pk), {"text": factories.PLAYBOOK.replace(before, after)})
    [error] = answer.context["adminform"].form.errors["text"]
    assert complaint in error
    assert PlaybookVersion.objects.get() == first


def test_old_versions_can_be_read_and_put_in_force_again_but_not_edited(web):
    old, _ = store(factories.PLAYBOOK, "tests")
    store(factories.PLAYBOOK.replace("receives", "reads"), "tests")
    assert factories.PLAYBOOK.splitlines()[1] in web.get(url(PlaybookVersion, "change", old.pk)).content.decode()
    assert web.post(url(PlaybookVersion, "change", old.pk), {"text": "x"}).status_code == 403
    assert web.post(url(PlaybookVersion, "delete", old.pk), {"post": "yes"}).status_code == 403
    web.post(url(PlaybookVersion, "changelist"), {"action": "put_in_force", "_selected_action": [old.pk]})
    newest = PlaybookVersion.objects.get(in_force=True)
    assert (newest.version, newest.text) == (3, factories.PLAYBOOK)


def test_a_new_playbook_is_added_as_version_1(web):
    web.post(url(PlaybookVersion, "add"), {"text": factories.PLAYBOOK})
    row = PlaybookVersion.objects.get()
    assert (row.name, row.version, row.in_force) == ("goroutine-leak", 1, True)


def test_a_token_is_revoked_here_but_neither_made_nor_shown(web):
    tokens.issue("prometheus", "a-token")
    row = IntakeToken.objects.get()
    page = web.get(url(IntakeToken, "change", row.pk)).content.decode()
    assert row.digest not in page
    assert row.digest not in web.get(url(IntakeToken, "changelist")).content.decode()
    assert web.get(url(IntakeToken, "add")).status_code == 403
    assert tokens.sender("Bearer a-token").name == "prometheus"
    web.post(url(IntakeToken, "change", row.pk), TERMS | {"revoked": "on"})
    assert tokens.sender("Bearer a-token") is None


def test_revoking_from_the_list_ends_a_token_at_once(web):
    tokens.issue("prometheus", "a-token")
    assert tokens.sender("Bearer a-token")
    key = IntakeToken.objects.get().pk
    web.post(url(IntakeToken, "changelist"), {"action": "revoke", "_selected_action": [key]})
    assert tokens.sender("Bearer a-token") is None


def test_a_senders_mapping_is_edited_for_all_its_tokens_and_a_bad_one_is_refused(web):
    tokens.issue("zabbix", source="generic", mapping=MAPPING)
    tokens.rotate("zabbix")
    row = IntakeToken.objects.latest("pk")
    better = MAPPING | {"labels": {"service": "host\0"}}
    terms = TERMS | {"source": "generic", "mapping": json.dumps(better)}
    assert web.post(url(IntakeToken, "change", row.pk), terms).status_code == 302
    assert [token.mapping["labels"] for token in IntakeToken.objects.all()] == [{"service": "host\ufffd"}] * 2
    bad = web.post(url(IntakeToken, "change", row.pk), terms | {"mapping": '{"starts_at": "since"}'})
    assert "alertname is needed" in str(bad.context["adminform"].form.errors)
    bad = web.post(url(IntakeToken, "change", row.pk), terms | {"hmac_secret_ref": "hunter2"})
    assert "the secret itself is never stored" in str(bad.context["adminform"].form.errors)
    assert IntakeToken.objects.latest("pk").mapping == IntakeToken.objects.first().mapping != MAPPING


def test_the_kill_switch_remembers_who_threw_it(web):
    web.post(url(KillSwitch, "add"), {"on": "on", "reason": "Maintenance"})
    assert halted() == "Maintenance (by ada)"
    assert web.get(url(KillSwitch, "add")).status_code == 403
    web.post(url(KillSwitch, "change", 1), {"reason": "done"})
    assert halted() == ""


def test_policies_services_and_rules_are_edited(web):
    web.post(url(RemediationPolicy, "add"), POLICY)
    assert RemediationPolicy.objects.get().mode == "auto"
    web.post(url(Service, "add"), {"name": "payments", "depends_on": '["redis"]', "objectives": "[]"})
    assert Service.objects.get().depends_on == ["redis"]
    bad = web.post(url(Service, "add"), {"name": "orders", "depends_on": "[]", "objectives": '[{"x": 1}]'})
    assert "objectives" in bad.context["adminform"].form.errors


def test_an_edited_alert_rule_gets_a_new_version_number(web):
    fields = {
        "name": "Queue",
        "service": "orders",
        "op": ">",
        "threshold": "5",
        "for_s": "0",
        "severity": "warning",
        "labels": "{}",
    }
    fields |= {"sli": '{"kind": "gauge", "metric": "queue_depth"}', "enabled": "on"}
    web.post(url(AlertRule, "add"), fields)
    rule = AlertRule.objects.get()
    assert rule.version == 1
    web.post(url(AlertRule, "change", rule.pk), fields | {"threshold": "6"})
    assert AlertRule.objects.get().version == 2
    bad = web.post(url(AlertRule, "change", rule.pk), fields | {"sli": '{"kind": "nonsense", "metric": "x"}'})
    assert "sli" in bad.context["adminform"].form.errors


def test_a_delivery_shows_its_body_as_text(web):
    row = receive_all([Arrived("alertmanager", b'{"a": "<script>"}\xff')])[0]
    page = web.get(url(Delivery, "change", row.pk)).content.decode()
    assert "&lt;script&gt;" in page


def test_who_may_edit_a_service_cannot_have_workers_run_or_read_anything(web):
    row = Service.objects.create(name="payments", exec=["ssh", "a"])
    answer = web.get(url(Service, "change", row.pk)).context["adminform"].form
    fields = {name: answer[name].value() or "" for name in answer.fields}
    fields |= {"depends_on": "[]", "objectives": "[]", "pprof_auth": "{}", "pid": "7", "owner": "ann"}
    attempt = {"exec": '["sh", "-c", "id"]', "replicas": '[{"name": "a", "exec": ["sh"]}]', "log_file": '"/etc/shadow"'}
    web.post(url(Service, "change", row.pk), fields | attempt | {"repository": "/srv"})
    row.refresh_from_db()
    assert (row.owner, row.pid) == ("ann", 7)
    assert (row.exec, row.replicas, row.log_file, row.repository) == (["ssh", "a"], [], [], "")


def test_whoever_changes_a_policy_is_kept_with_its_version(web):
    web.post(url(RemediationPolicy, "add"), POLICY)
    row = RemediationPolicy.objects.get()
    changed = url(RemediationPolicy, "change", row.pk)
    web.post(changed, POLICY | {"mode": "approve", "plan": '[{"restart_service": {}}]'})
    web.post(changed, POLICY | {"mode": "approve", "plan": '[{"restart_service": {}}]'})
    kept = PolicyVersion.objects.order_by("version").values_list("version", "by", "content__mode", "policy")
    assert list(kept) == [(1, "ada", "auto", row.pk), (2, "ada", "approve", row.pk)]
    assert row.versions.first().content["plan"] == [{"restart_service": {}}]


@pytest.mark.parametrize(
    ("plan", "complaint"),
    [
        ('["reboot"]', "There is no action &#x27;reboot&#x27;"),
        ('[{"restart_service": {"left": 1}}]', "restart_service: left: extra inputs are not permitted"),
        ('{"restart_service": {}}', "plan: input should be a valid tuple"),
        (json.dumps(["restart_service"] * 21), "plan: tuple should have at most 20 items"),
    ],
)
def test_a_plan_that_could_not_be_followed_is_refused_at_its_field(web, plan, complaint):
    answer = web.post(url(RemediationPolicy, "add"), POLICY | {"plan": plan})
    assert complaint in str(answer.context["adminform"].form.errors["plan"])
    assert not RemediationPolicy.objects.exists()


def test_a_freeze_window_that_never_opens_is_refused(web):
    fields = {"name": "year-end", "reason": "books", "service": "*", "environment": "*", "timezone": "UTC"}
    fields |= {"first_start_0": "2026-12-24", "first_start_1": "00:00:00", "duration_s": 60}
    answer = web.post(url(FreezeWindow, "add"), fields | {"rrule": "FREQ=NEVER"})
    assert "FREQ has to be one of" in str(answer.context["adminform"].form.errors)
    assert web.post(url(FreezeWindow, "add"), fields).status_code == 302
