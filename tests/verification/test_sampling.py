from types import SimpleNamespace

import pytest
from django.db import IntegrityError, transaction

from sre_platform.catalog.domain import Target
from sre_platform.detection.measure import Measured
from sre_platform.kernel.sli import Sli
from sre_platform.playbook.schema import Criterion, parse_playbook
from sre_platform.remediation.models import Step
from sre_platform.verification import sampling
from sre_platform.verification.domain import Verdict
from sre_platform.verification.models import SampleRow
from tests.fakes.leases import incident

pytestmark = pytest.mark.django_db


def goal(job, window_s=5.0, kind="gauge"):
    return Criterion(name=f"{job} is well", sli=Sli(kind, "bad", {"job": job}, window_s=window_s), op="<=", threshold=0)


BOOK = parse_playbook("""
name: a-book
summary: s
match: {alerts: ["*"]}
collect: [process]
diagnose: {rules: [process_down]}
remediate: [restart_service]
verify:
  initial_delay_s: 2
  count: 2
  failure_limit: 1
  criteria:
    - {name: "own of {service}", sli: {kind: gauge, metric: own, labels: {job: "{service}"}}, op: "<=", threshold: 0}
""")
SHOP = {
    "front": Target("front", depends_on=("orders",), objectives=(goal("front"),)),
    "orders": Target("orders", depends_on=("payments",), objectives=(goal("orders"),)),
    "payments": Target("payments", objectives=(goal("payments"),)),
    "search": Target("search", objectives=(goal("search"),)),
}


class Scripted:
    """Says the next of its values for every SLI it is asked about, and counts how often it was asked."""

    def __init__(self, *values):
        self.values, self.asked = list(values), 0

    def measure(self, slis):
        self.asked += 1
        value = self.values.pop(0)
        return [Measured(value, "" if value is not None else "nobody answered") for _ in slis]


@pytest.fixture
def step():
    return Step.objects.create(incident=incident(), cause="c", action="a", target="payments", says="s", aim={})


def test_criteria_are_the_playbooks_and_the_objectives_of_all_who_depend_on_the_service():
    names = [criterion.name for criterion in sampling.criteria(BOOK, SHOP, "orders")]
    assert names == ["own of orders", "orders is well", "front is well"]


def test_objectives_of_the_same_name_are_told_apart(step):
    """Else what was unwell at the target, and well beside it, would count as harm that was done."""
    owed = Criterion(name="error ratio", sli=Sli("gauge", "bad", {}), op="<=", threshold=0)
    shop = {
        "payments": Target("payments", depends_on=("bank",), objectives=(owed,)),
        "bank": Target("bank", objectives=(owed,)),
    }
    wanted, beside = sampling.criteria(BOOK, shop, "payments"), sampling.neighbours(shop, "payments")
    assert [goal.name for goal in (*wanted, *beside)] == [
        "own of payments",
        "error ratio of payments",
        "error ratio of bank",
    ]
    unwell = SimpleNamespace(measure=lambda slis: [Measured(1.0), Measured(1.0), Measured(0.0)])
    patient = BOOK.model_copy(update={"verify": BOOK.verify.model_copy(update={"failure_limit": 9})})
    for number in range(4):
        sampling.take(step, number, wanted, unwell, beside)
    assert sampling.verdict(step, patient) is None


def test_the_first_look_sees_nothing_of_the_time_before():
    assert sampling.first_look_s(BOOK, [goal("a", 30), goal("b", 3, "rate")]) == 3
    assert sampling.first_look_s(BOOK, [goal("a", 30)]) == 2
    assert sampling.first_look_s(BOOK, [goal("a", 7, "growth"), goal("b", 1, "rate")]) == 7


def test_a_sample_is_taken_once_for_its_number(step):
    measurer = Scripted(0.0, 1.0)
    first = sampling.take(step, 1, [goal("payments")], measurer)
    again = sampling.take(step, 1, [goal("payments")], measurer)
    assert (first.pk, first.checks, measurer.asked) == (again.pk, again.checks, 1)
    with pytest.raises(IntegrityError), transaction.atomic():
        SampleRow.objects.create(step=step, number=1, at=first.at, checks=[])


def test_a_sample_keeps_what_was_measured_and_what_was_not(step):
    row = sampling.take(step, 0, [goal("payments"), goal("orders")], Scripted(None))
    assert row.good is None
    assert row.checks[1] == {
        "name": "orders is well",
        "value": None,
        "op": "<=",
        "threshold": 0,
        "met": None,
        "missing": "nobody answered",
        "neighbour": False,
    }
    assert row.summary == "0 of 2 criteria met, 2 not measured."
    assert sampling.take(step, 1, [goal("payments")], Scripted(0.0)).good is True
    assert sampling.take(step, 2, [goal("payments")], Scripted(1.0)).good is False


def test_the_sample_from_before_the_action_counts_for_worse_only(step):
    def take(*values):
        measurer, first = Scripted(*values), step.samples.count()
        for number in range(first, first + len(values)):
            sampling.take(step, number, [goal("payments")], measurer)

    take(0.0, 0.0)
    assert sampling.verdict(step, BOOK) is None  # one good sample after the action; the one before does not count
    take(1.0, 1.0)
    said, reason = sampling.verdict(step, BOOK)
    assert said is Verdict.WORSE
    assert "well before the action" in reason
