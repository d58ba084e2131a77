import pytest

from sre_platform.catalog.domain import Target
from sre_platform.engine.work import GUARDS, Work
from sre_platform.guardrails.domain import Answer
from sre_platform.guardrails.models import RemediationPolicy
from sre_platform.incidents.domain import State
from sre_platform.playbook.schema import parse_playbook
from sre_platform.remediation.models import Step
from tests.engine.story import IN_SCOPE
from tests.fakes.leases import incident, take

pytestmark = pytest.mark.django_db

UNPROVEN = """
name: unproven
summary: What no experiment has ever brought about.
match: {alerts: ["*"]}
collect: [process]
diagnose: {rules: [process_down]}
remediate: [restart_service]
"""
PROVEN = UNPROVEN.replace("name: unproven", "name: proven") + "proof: [payments/killed]\n"


LOOKED = {"first": [{"action": "capture_evidence"}]}


@pytest.fixture
def work():
    RemediationPolicy.objects.create(name="all", mode="auto", cooldown_s=300, max_actions=1)
    row = incident(State.APPROVED)
    books = {"proven": parse_playbook(PROVEN), "unproven": parse_playbook(UNPROVEN)}
    topology = {name: Target(name, labels=IN_SCOPE) for name in ("payments", "orders")}
    return Work(row, books, topology, take(row.pk))


def a_step(about, **fields):
    known = {"cause": "c", "action": "restart_service", "target": "payments", "says": "s", "aim": {}, "undo": {}}
    known |= {"playbook": "proven", "plan": {"reach": {"total": 1, "ready": 1, "takes": 1}} | LOOKED}
    return Step(incident=about, **known | fields)


def test_what_cannot_be_undone_is_asked_about(work):
    judgements, said = work.judge(a_step(work.incident, undo=None, irreversible="what it held is gone"))
    assert (said.answer, said.guard) == (Answer.ASK, "has_undo")
    assert "what it held is gone" in said.reason
    assert len(judgements) == len(GUARDS.names())


def test_what_destroys_evidence_is_asked_about_unless_it_is_captured_first(work):
    bare = a_step(
        work.incident, plan={"reach": {"total": 1, "ready": 1, "takes": 1}, "first": [{"action": "set_flag"}]}
    )
    said = work.judge(bare)[1]
    assert (said.answer, said.guard) == (Answer.ASK, "evidence_first")
    assert work.judge(a_step(work.incident))[1].answer is Answer.ALLOW


@pytest.mark.parametrize(("playbook", "named"), [("unproven", "unproven"), ("gone", "not known")])
def test_what_no_experiment_proves_is_asked_about(work, playbook, named):
    said = work.judge(a_step(work.incident, playbook=playbook))[1]
    assert (said.answer, said.guard, named in said.reason) == (Answer.ASK, "proven", True)


def test_a_step_is_not_counted_against_itself(work):
    step = a_step(work.incident)
    step.save()
    assert work.judge(step)[1].answer is Answer.ALLOW
    other = a_step(work.incident, target="orders")
    assert [j.guard for j in work.judge(other)[0] if j.answer is Answer.DENY] == ["attempt_budget"]


def test_what_another_incident_holds_is_denied(work):
    a_step(incident(State.APPROVED, key="other")).save()
    denied = [j.guard for j in work.judge(a_step(work.incident))[0] if j.answer is Answer.DENY]
    assert denied == ["cooldown", "one_per_target"]
