"""Evidence that a repair captures first: looked for as in a diagnosis, kept with the incident, judged by nobody."""

from dataclasses import replace
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client

from sre_platform.catalog.models import Service
from sre_platform.diagnosis.models import EvidenceRow
from sre_platform.engine import rediagnosis, work
from sre_platform.engine.syncing import problems
from sre_platform.engine.work import Situation, Work
from sre_platform.incidents import record
from sre_platform.incidents.domain import Event, State
from sre_platform.kernel.clock import now
from sre_platform.kernel.errors import Rejected
from sre_platform.playbook.schema import Call, parse_playbook
from sre_platform.remediation import steps
from sre_platform.remediation.steps import Outcome
from tests.fakes.leases import incident, take
from tests.playbook.test_schema import TEXT

pytestmark = pytest.mark.django_db
CALLS = ["process", {"log_templates": {"minutes": 5}}]


@pytest.fixture
def known(shop, tmp_path) -> Work:
    """The work on an incident of payments, whose last diagnosis saw its process."""
    log = tmp_path / "payments.log"
    log.write_text("2026-01-01T00:00:00Z ERROR no connection password=hunter2\n" * 5)
    Service.objects.create(name="payments", **shop.places(), log_file=[str(log)])
    about = incident(State.OPEN)
    lease = take(about.pk)
    EvidenceRow.objects.create(
        incident=about, round=lease.fence, collector="process", service="payments", collected_at=about.opened_at
    )
    record.record(lease, Event.CAUSE_FOUND, "It hangs.")
    return work.load(take(about.pk))


def captured(known: Work, collect=CALLS):
    target, world = known.topology["payments"], known.world()
    prepared = steps.prepare("capture_evidence", {"collect": collect}, target, world)
    assert EvidenceRow.objects.filter(captured=True).count() == 0
    fields = {"incident_id": known.incident.pk, "cause": "hung", "action": "capture_evidence", "target": "payments"}
    step = steps.from_prepared(prepared, params={"collect": collect}, **fields)
    assert steps.write(step)
    return step, steps.carry_out(step, target, world, known.lease)


def test_what_was_seen_is_kept_with_the_incident(known):
    step, carried = captured(known)
    assert carried.outcome is Outcome.DONE
    assert carried.said == "Captured of payments: process, log_templates."
    rows = EvidenceRow.objects.filter(captured=True)
    assert [(row.collector, row.service, row.round, row.missing) for row in rows] == [
        ("process", "payments", known.lease.fence, ""),
        ("log_templates", "payments", known.lease.fence, ""),
    ]
    assert rows[0].data["state"] == "RUNNING"
    assert (step.undo, step.plan["effects"], step.plan["reach"]) == (None, [], None)


def test_what_cannot_be_seen_is_said_and_is_no_failure(known, shop):
    shop.supervisor.down = True
    assert captured(known)[1].said.startswith("Captured of payments: log_templates, but not process: ")


def test_that_nothing_at_all_could_be_captured_is_said_clearly(known, shop):
    shop.supervisor.down = True
    _, carried = captured(known, ["process", "go_goroutines"])
    assert carried.outcome is Outcome.DONE
    assert carried.said.startswith("Nothing at all could be captured of payments: process: ")
    assert "go_goroutines: " in carried.said
    assert [bool(row.missing) for row in EvidenceRow.objects.filter(captured=True)] == [True, True]


def test_where_nobody_can_capture_the_repair_is_not_held_up(shop):
    action = steps.ACTIONS.get("capture_evidence")
    prepared = action.prepare(shop.target(), action.Params(), shop.world())
    said = action.apply(shop.target(), prepared.aim, shop.world(), lambda: None)
    assert said == "nothing at all could be captured: Nothing can be captured of payments here"


def test_the_usual_evidence_is_what_a_restart_destroys(shop):
    action = steps.ACTIONS.get("capture_evidence")
    prepared = action.prepare(shop.target(), action.Params(), shop.world())
    assert prepared.says == "Capture evidence of payments (go_goroutines, go_profiles, log_templates)"


def test_captured_twice_under_one_lease_is_kept_once(known):
    known.world().capture(known.topology["payments"], [Call(name="process")])
    known.world().capture(known.topology["payments"], [Call(name="process"), Call(name="log_templates")])
    assert [row.collector for row in EvidenceRow.objects.filter(captured=True)] == ["process", "log_templates"]


def test_what_the_diagnosis_has_just_seen_in_the_same_way_is_not_looked_at_again(known, shop):
    shop.supervisor.down = True  # who looks now sees nothing of the process
    target, look = known.topology["payments"], Call(name="process")
    diagnosed = EvidenceRow.objects.filter(captured=False, collector="process")
    assert diagnosed.update(collected_at=now()) == 1
    same = replace(known, playbooks={"x": parse_playbook(TEXT)})
    assert look in same.playbooks["x"].collect
    assert same.capture(target, [look]) == "The diagnosis has just kept of payments: process."
    both = same.capture(target, [look, Call(name="log_templates")])
    assert both == "Captured of payments: process, log_templates."
    EvidenceRow.objects.filter(captured=True).delete()
    assert known.capture(target, [look]).startswith("Nothing at all"), "no playbook of it looks in that way"
    diagnosed.update(collected_at=now() - timedelta(minutes=1))
    EvidenceRow.objects.filter(captured=True).delete()
    assert same.capture(target, [look]).startswith("Nothing at all"), "that was a while ago"


def test_explaining_cannot_capture(known):
    looker = Situation(known.incident, known.playbooks, known.topology)
    with pytest.raises(Rejected, match="Nothing can be captured of payments here"):
        looker.world().capture(known.topology["payments"], [Call(name="process")])
    assert not EvidenceRow.objects.filter(captured=True).exists()


def test_a_diagnosis_made_again_does_not_judge_it(known):
    before = rediagnosis.of_incident(known.incident.pk)
    captured(known)
    again = rediagnosis.of_incident(known.incident.pk)
    assert (again.round, again.evidence) == (before.round, before.evidence)
    assert [item.collector for item in again.evidence] == ["process"]


def test_the_incidents_page_shows_both(known):
    captured(known)
    client = Client()
    client.force_login(User.objects.create_user("ann", is_staff=True))
    text = client.get(f"/incidents/{known.incident.pk}/").content.decode()
    assert text.count("captured before a repair") == 2
    assert "This is round" not in text


@pytest.mark.parametrize(
    ("collect", "said"),
    [
        ("[precess]", "There is no collector 'precess'; known are: "),
        ("[{log_templates: {hours: 1}}]", "capture_evidence: collect.hours: extra inputs are not permitted"),
        ("[" + ",".join(["process"] * 11) + "]", "capture_evidence: collect: value should have at most 10 items"),
    ],
)
def test_a_playbook_that_names_no_collector_is_refused(collect, said):
    text = TEXT.replace("restart_service:", f"capture_evidence: {{collect: {collect}}}\n  - restart_service:")
    [problem] = problems(parse_playbook(text))
    assert problem.startswith(said)
