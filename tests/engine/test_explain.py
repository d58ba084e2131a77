"""What would be done, told without doing it: for incidents in every state."""

from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command

from sre_platform.catalog.models import Service
from sre_platform.engine import approvals, explaining
from sre_platform.engine.work import GUARDS
from sre_platform.guardrails.models import ActionLimit, FreezeWindow, RemediationPolicy, set_kill_switch
from sre_platform.incidents.domain import State
from sre_platform.incidents.models import Incident
from sre_platform.intake.models import Alert
from sre_platform.kernel.clock import now
from sre_platform.kernel.errors import Unknown
from sre_platform.playbook.models import PlaybookVersion
from sre_platform.remediation.models import Step
from tests.engine.explained import RESTART, diagnosed, document, explained, reading_only
from tests.engine.story import alert, drive, fire, install, step_on, strict
from tests.fakes.leases import incident as bare_incident

BACK = {"to": "v2", "only_from": "v1"}

pytestmark = pytest.mark.django_db
MOST_QUERIES = 24  # for an incident; it does not grow with policies, candidates or services


def test_every_action_policy_and_guard_is_told_and_then_done_as_told(shop, capsys):
    incident = diagnosed(shop)
    RemediationPolicy.objects.create(name="orders-only", service="orders", precedence=1)
    RemediationPolicy.objects.create(name="later", precedence=200)
    RemediationPolicy.objects.create(name="off", precedence=2, enabled=False)
    told = document(shop, capsys, incident.pk)
    assert (told["state"], told["allowed"], told["held"]) == ("diagnosed", True, "")
    first, second = told["options"][0], told["options"][-1]
    assert (first["action"], first["undo"], first["cannot"]) == ("rollback_release", BACK, "")
    assert (second["action"], second["undo"]) == ("restart_service", {"leave": "running"})
    assert [(p["policy"], p["covers"], p["counts"]) for p in first["policies"]] == [
        ("orders-only", False, False),
        ("off", False, False),
        ("all", True, True),
        ("later", True, False),
    ]
    assert [p["why_not"] for p in first["policies"]][:3] == ["service payments is not orders", "it is not enabled", ""]
    assert [guard["guard"] for guard in first["guards"]] == [guard.name for guard in GUARDS]
    assert (
        first["verdict"]
        == told["verdict"]
        == {"guard": "all", "answer": "allow", "reason": f"all {len(GUARDS.names())} guards allow it."}
    )
    assert step_on(incident) is State.APPROVED
    step = incident.steps.repairs().get()
    assert (step.says, step.undo) == (first["says"], first["undo"])
    assert incident.timeline.get(name="allowed").data["guards"] == first["guards"]


def test_what_a_dry_run_shows_is_what_then_arrives_and_it_makes_none_of_it(shop, capsys):
    incident = diagnosed(shop)
    first = document(shop, capsys, incident.pk)["options"][0]
    assert first["effects"] == [
        {"verb": "link", "to": shop.link, "body": "v1"},
        {"verb": "stop", "to": "payments", "body": None},
        {"verb": "start", "to": "payments", "body": None},
    ]
    assert first["diff"][0] == {"of": "release", "before": "v2", "after": "v1"}
    assert (first["reach"], shop.supervisor.effects) == ({"total": 1, "ready": 1, "takes": 1}, [])
    drive(incident, State.REMEDIATED)
    assert incident.steps.repairs().get().plan["effects"] == first["effects"]
    assert shop.supervisor.effects == [(effect["verb"], effect["to"]) for effect in first["effects"][1:]]
    assert shop.release == first["effects"][0]["body"]


def test_what_a_policy_plans_is_told_with_its_tier_environment_and_version(shop, capsys):
    incident = diagnosed(shop)
    Service.objects.update(tier="gold", environment="production")
    fields = {"plan": ["restart_service"], "tier": "gold", "environment": "prod*", "mode": "auto", "cooldown_s": 0}
    row = RemediationPolicy.objects.create(name="gold", precedence=1, **fields)
    row.mode = "approve"
    row.save()
    told = document(shop, capsys, incident.pk)
    first = told["options"][0]
    assert first["action"] == "restart_service"
    assert (first["tier"], first["environment"]) == ("gold", "production")
    counting = first["policies"][0]
    assert (counting["policy"], counting["version"], counting["tier"], counting["environment"], counting["counts"]) == (
        "gold", 2, "gold", "prod*", True,
    )  # fmt: skip
    assert counting["plan"] == ["restart_service"]
    hypothetical = document(shop, capsys, *RESTART[:2], "--cause", "bad_release", "--action", "rollback_release")
    assert hypothetical["options"][0]["playbooks"] == [], "the plan does not hold it"


@pytest.mark.parametrize(("mode", "event"), [("approve", "needs_approval"), ("observe", "refused")])
def test_what_is_told_is_what_decide_then_says(shop, capsys, mode, event):
    incident = diagnosed(shop, mode)
    told = document(shop, capsys, incident.pk)
    assert told["allowed"] is False
    step_on(incident)
    written = incident.timeline.get(name=event)
    first = told["options"][0]
    assert written.reason == f"{first['says']}: {told['verdict']['reason']}"
    assert written.data["guards"] == first["guards"]
    assert told["verdict"]["reason"] in told["would"]


def another_incident_acts_on_it():
    Step.objects.create(
        incident=bare_incident(State.REMEDIATED, key="other"),
        cause="c",
        action="restart_service",
        target="payments",
        says="s",
        aim={},
        state=Step.State.APPLIED,
        applying_at=now() - timedelta(hours=1),
    )


@pytest.mark.parametrize(
    ("happens", "guard"),
    [
        (lambda: set_kill_switch(True, "ann", "deploy night"), "kill_switch"),
        (lambda: bare_incident(State.OPEN, key="storm", storm=True, last_alert_at=now()), "storm"),
        (another_incident_acts_on_it, "one_per_target"),
        (lambda: RemediationPolicy.objects.update(mode="suggest"), "policy"),
        (lambda: RemediationPolicy.objects.update(enabled=False), "attempt_budget"),  # the first that needs a policy
        (lambda: RemediationPolicy.objects.update(max_actions=0), "attempt_budget"),
    ],
)
def test_whatever_stands_in_the_way_is_told_as_decide_then_writes_it(shop, capsys, happens, guard):
    incident = diagnosed(shop)
    happens()
    told = document(shop, capsys, incident.pk)
    assert (told["allowed"], told["verdict"]["guard"]) == (False, guard)
    assert step_on(incident) is State.ESCALATED
    written = incident.timeline.get(name="refused")
    assert written.data["guards"] == told["options"][0]["guards"]
    assert written.reason == f"{told['options'][0]['says']}: {told['verdict']['reason']}"


def test_what_cannot_be_prepared_is_told_with_its_reason_and_the_next_counts(shop, capsys):
    incident = diagnosed(shop)
    shop.switch("v1")
    told = document(shop, capsys, incident.pk)
    first = told["options"][0]
    assert "No deploy is known that brought payments to v1" in first["cannot"]
    assert (first["guards"], first["verdict"], len(first["policies"])) == ([], None, 1)
    assert told["would"].startswith("It would be done: Restart payments")
    step_on(incident)
    assert (
        incident.timeline.get(name="allowed").data["skipped"][0] == f"rollback_release on payments: {first['cannot']}"
    )


def test_the_step_that_waits_for_approval_is_judged_and_not_held_against_itself(shop, capsys):
    RemediationPolicy.objects.create(name="once", mode="approve", precedence=1, cooldown_s=300, max_actions=1)
    install(shop)
    strict()
    incident = drive(fire(), State.AWAITING_APPROVAL)
    told = document(shop, capsys, incident.pk)
    assert (told["options"][0]["stored"], told["verdict"]["answer"]) == ("prepared", "ask")
    assert [item["event"] for item in told["history"]] == ["needs_approval"]
    assert len({(o["cause"], o["service"], o["action"]) for o in told["options"]}) == len(told["options"])
    assert all(option["verdict"]["answer"] == "ask" for option in told["options"] if option["verdict"])


def test_once_a_person_has_approved_it_would_be_done(shop, capsys):
    install(shop, "approve")
    strict()
    incident = drive(fire(), State.AWAITING_APPROVAL)
    assert approvals.decide(incident.pk, "ann", approved=True)
    told = document(shop, capsys, incident.pk)
    assert (told["state"], told["allowed"], told["verdict"]["answer"]) == ("approved", True, "ask")
    set_kill_switch(True, "ann", "deploy night")
    told = document(shop, capsys, incident.pk)
    assert (told["allowed"], told["verdict"]["guard"]) == (False, "kill_switch")


def test_an_approved_step_that_no_longer_fits_the_world_would_not_be_done(shop, capsys):
    incident = drive(diagnosed(shop), State.APPROVED)
    assert document(shop, capsys, incident.pk)["allowed"] is True
    shop.switch("v1")
    told = document(shop, capsys, incident.pk)
    assert "No deploy is known that brought payments to v1" in told["options"][0]["cannot"]
    assert (told["allowed"], told["options"][0]["cannot"] in told["would"]) == (False, True)
    Service.objects.all().delete()
    assert "knows no service 'payments' any more" in document(shop, capsys, incident.pk)["would"]


def test_a_step_that_was_begun_is_not_proposed_again(shop, capsys):
    incident = drive(diagnosed(shop), State.APPROVED)
    Step.objects.update(state=Step.State.APPLYING, applying_at=now())
    told = document(shop, capsys, incident.pk)
    assert (told["allowed"], told["would"]) == (False, "What was decided on is being carried out at this moment.")


def test_what_cannot_be_undone_says_why(shop, capsys):
    incident = drive(diagnosed(shop), State.APPROVED)
    Step.objects.update(undo=None, irreversible="the cache is gone")
    told = document(shop, capsys, incident.pk)
    assert (told["verdict"]["guard"], told["options"][0]["irreversible"]) == ("has_undo", "the cache is gone")
    assert "undo none: the cache is gone" in " ".join(explained(shop, capsys, incident.pk)[1].split())


def test_while_it_is_verified_nothing_else_is_done(shop, capsys):
    incident = diagnosed(shop)
    shop.bad = lambda: 1
    drive(incident, State.REMEDIATED)
    told = document(shop, capsys, incident.pk)
    assert (told["allowed"], "is being verified" in told["would"]) == (False, True)
    assert "rollback_release" not in [option["action"] for option in told["options"]]


def test_of_one_that_has_ended_both_are_told_what_was_said_and_what_would_be(shop, capsys):
    incident = drive(diagnosed(shop))
    assert incident.state == "resolved"
    RemediationPolicy.objects.update(mode="approve", cooldown_s=3600, max_actions=1)
    told = document(shop, capsys, incident.pk)
    [then] = told["history"]
    assert (then["event"], then["undo"], then["guards"][0]["answer"]) == ("allowed", BACK, "allow")
    assert (told["options"][0]["stored"], told["options"][0]["undo"]) == ("kept", BACK)
    assert told["verdict"]["guard"] == "policy", "its own actions do not count against it"
    assert told["would"].startswith("It has ended, so nothing is done about it any more. If it came up now: A person")


def test_what_was_only_prepared_when_people_said_no_is_prepared_afresh(shop, capsys):
    install(shop, "approve")
    strict()
    incident = drive(fire(), State.AWAITING_APPROVAL)
    assert approvals.decide(incident.pk, "ann", approved=False)
    told = document(shop, capsys, incident.pk)
    assert (told["state"], told["options"][0]["action"]) == ("escalated", "rollback_release")
    assert {option["stored"] for option in told["options"]} == {""}
    assert [(item["event"], item["reason"]) for item in told["history"]][1:] == [("rejected", "ann rejected it.")]


def test_what_an_owner_prepared_and_did_not_live_to_record_is_proposed_again(shop, capsys):
    incident = diagnosed(shop)
    before = document(shop, capsys, incident.pk)
    drive(incident, State.APPROVED)
    Incident.objects.filter(pk=incident.pk).update(state=State.DIAGNOSED)
    after = document(shop, capsys, incident.pk)
    assert (after["options"], after["would"]) == (before["options"], before["would"])
    assert step_on(incident) is State.APPROVED
    assert list(incident.steps.repairs().values_list("state", "says")) == [
        ("cancelled", before["options"][0]["says"]),
        ("prepared", before["options"][0]["says"]),
    ]


def test_alerts_that_are_gone_and_an_open_incident_are_told_first(shop, capsys):
    install(shop)
    incident = fire()
    assert "cause has not been found" in document(shop, capsys, incident.pk)["would"]
    drive(incident, State.DIAGNOSED)
    alert(status="resolved")
    told = document(shop, capsys, incident.pk)
    assert (told["allowed"], told["held"]) == (False, "All alerts resolved before anything was done.")


def test_an_incident_that_waits_for_another_says_so(shop, capsys):
    incident = diagnosed(shop)
    parent = bare_incident(State.DIAGNOSED, service="orders")
    Incident.objects.filter(pk=incident.pk).update(parent=parent)
    assert document(shop, capsys, incident.pk)["would"].startswith(f"Waits, because incident {parent.pk} is about")


def test_people_read_it_in_eighty_columns(shop, capsys):
    incident = drive(diagnosed(shop))
    RemediationPolicy.objects.create(name="orders-only", service="orders", precedence=1)
    code, said = explained(shop, capsys, incident.pk)
    assert max(len(line) for line in said.splitlines()) <= 80
    flat = " ".join(said.split())
    for shown in (
        f"Incident {incident.pk} (resolved)",
        "allowed Roll payments back from v2 to v1",
        "1. rollback_release on payments for bad_release",
        'undo {"to": "v2", "only_from": "v1"}',
        "policy orders-only v1 observe service payments is not orders",
        "policy all v1 auto covers it, and is the one that counts",
        "effect link",
        "effect stop payments",
        "changes release: v2 → v1",
        "allow kill_switch Automation is not stopped.",
    ):
        assert shown in flat
    assert code == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("999",), r"There is no incident 999; the newest are: \d+"),
        (("--service", "pay", *RESTART[2:]), "knows no service 'pay'; known are: payments"),
        ((*RESTART[:5], "reboot"), "no action 'reboot'; known are: .*restart_service, rollback_release"),
        (("--service", "payments"), "all of --service, --cause and --action"),
        ((), "Name an incident"),
        (("1", *RESTART), "Name an incident"),
    ],
)
def test_what_cannot_be_told_says_what_is_known(shop, words, said):
    install(shop)
    fire()
    with pytest.raises(CommandError, match=said) as refused:
        call_command("explain", *words)
    assert refused.value.returncode == 2


def test_credentials_are_hidden(shop, capsys):
    incident = drive(diagnosed(shop), State.APPROVED)
    Step.objects.update(undo=None, irreversible="Authorization: Bearer abcdef123456")
    for words in ((incident.pk,), (incident.pk, "--json")):
        said = explained(shop, capsys, *words)[1]
        assert "has_undo" in said
        assert "abcdef" not in said


def test_it_is_coloured_for_a_terminal_and_brackets_are_no_markup(shop, capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    incident = diagnosed(shop)
    RemediationPolicy.objects.create(name="set", service="[po]ayments[/]", precedence=1)
    said = explained(shop, capsys, incident.pk)[1]
    assert "\x1b[32mallow" in said
    assert "[po]ayments[/]" in " ".join(said.split())


def test_a_playbook_that_is_gone_is_said(shop):
    incident = diagnosed(shop)
    PlaybookVersion.objects.all().delete()
    with pytest.raises(Unknown, match="no longer holds the playbook"):
        explaining.of_incident(incident.pk)


def test_the_number_of_queries_does_not_grow(shop):
    incident = diagnosed(shop)
    with reading_only(shop) as few:
        explaining.of_incident(incident.pk)
    RemediationPolicy.objects.bulk_create(RemediationPolicy(name=f"p{n}", service="x") for n in range(50))
    Service.objects.bulk_create(Service(name=f"behind-{n}") for n in range(20))
    Service.objects.filter(name="payments").update(depends_on=[f"behind-{n}" for n in range(20)])
    ActionLimit.objects.bulk_create(ActionLimit(name=f"l{n}", max_actions=9, window_s=60) for n in range(20))
    times = {"first_start": now(), "duration_s": 60}
    FreezeWindow.objects.bulk_create(FreezeWindow(name=f"f{n}", service="x", **times) for n in range(20))
    for number in range(20):
        texts = {"name": "Slow", "service": f"behind-{number}", "labels": {}, "annotations": {}}
        Alert.objects.create(fingerprint=f"slow-{number}", starts_at=now(), **texts)
        done = {"cause": "c", "action": "a", "target": f"t{number}", "says": "s", "aim": {}, "applying_at": now()}
        Step.objects.create(incident=bare_incident(State.REMEDIATED, key=f"other-{number}"), **done)
    finding = incident.findings.first()
    for rank in range(2, 12):
        finding.pk, finding.rank, finding.cause = None, 100 + rank, f"cause_{rank}"
        finding.save(force_insert=True)
    with reading_only(shop) as many:
        options = explaining.of_incident(incident.pk).options
    assert len(options) > 10
    assert len(few) == len(many) <= MOST_QUERIES


def test_it_can_be_asked_while_a_worker_has_the_incident(shop, capsys):
    incident = diagnosed(shop)
    before = Incident.objects.filter(pk=incident.pk).values().get()
    document(shop, capsys, incident.pk)
    document(shop, capsys, *RESTART)
    assert Incident.objects.filter(pk=incident.pk).values().get() == before
    assert (Step.objects.count(), Incident.objects.count(), Service.objects.count()) == (0, 1, 1)
