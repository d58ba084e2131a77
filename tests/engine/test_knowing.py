"""What the guards are told: from rows in a fixed number of queries, and error budgets from Prometheus."""

import json
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from sre_platform.catalog.domain import Target
from sre_platform.detection.measure import Measured
from sre_platform.engine import knowing, permission
from sre_platform.guardrails.domain import Answer
from sre_platform.guardrails.models import ActionLimit, FreezeWindow, RemediationPolicy
from sre_platform.incidents.domain import State
from sre_platform.intake.models import Alert
from sre_platform.kernel.clock import now
from sre_platform.kernel.sli import Sli
from sre_platform.playbook.schema import Criterion
from sre_platform.remediation.models import Step
from tests.engine.gated import opened, services, step_for, work_on
from tests.fakes.leases import incident
from tests.fakes.wire import Answer as Page
from tests.fakes.wire import serving

pytestmark = pytest.mark.django_db
ERRORS = Sli("error_ratio", "http_requests_total", {"job": "a"}, {"code": "~5.."}, window_s=5)
MONTH_S = 28 * 86400


def known(topology=None, incident_id=0, budgets=None, but=None):
    return knowing.facts(incident_id, topology or {}, budgets or {}, but)


def alert(service, name="Slow", **fields):
    texts = {"labels": {}, "annotations": {}, "starts_at": now()}
    return Alert.objects.create(fingerprint=f"{name}{service}", name=name, service=service, **texts | fields)


def done(service, about=None, ago_s=60.0, **fields):
    about = about or incident(State.REMEDIATED, key=f"of {service}")
    fields = {"cause": "c", "action": "restart_service", "says": "s", "aim": {}, "state": Step.State.KEPT} | fields
    return Step.objects.create(incident=about, target=service, applying_at=now() - timedelta(seconds=ago_s), **fields)


def test_a_service_is_in_trouble_while_a_loud_alert_fires_on_it():
    alert("database"), alert("database", name="Full"), alert("redis", quiet="silence 1")
    alert("cache", resolved=True, ends_at=now()), alert("")
    assert known().troubled == {"database": "Full"}


def test_past_actions_know_their_cluster_and_go_back_as_far_as_the_longest_cooldown():
    topology = {"a": Target("a", cluster="eu")}
    done("a"), done("b"), done("c", ago_s=3 * 86400)
    assert {(p.target, p.cluster) for p in known(topology).past} == {("a", "eu"), ("b", "")}
    RemediationPolicy.objects.create(name="patient", cooldown_s=4 * 86400)
    assert {p.target for p in known(topology).past} == {"a", "b", "c"}
    RemediationPolicy.objects.filter(name="patient").update(cooldown_s=1e300)
    assert {p.target for p in known(topology).past} == {"a", "b", "c"}, "as far back as is kept"


def test_what_an_incident_tried_counts_however_long_ago():
    step = done("a", ago_s=9 * 86400)
    assert known().past == []
    assert [p.target for p in known(incident_id=step.incident_id).past] == ["a"]
    assert known(incident_id=step.incident_id, but=step).past == []


def test_limits_and_open_freeze_windows_are_known():
    ActionLimit.objects.create(name="few", max_actions=3)
    FreezeWindow.objects.create(name="today", reason="r", first_start=now() - timedelta(hours=1), duration_s=7200)
    FreezeWindow.objects.create(name="over", reason="r", first_start=now() - timedelta(hours=1), duration_s=60)
    facts = known()
    assert ([one.name for one in facts.limits], [one.name for one in facts.freezes]) == (["few"], ["today"])


def test_however_much_there_is_the_queries_are_as_many():
    with CaptureQueriesContext(
        connection,
    ) as few:
        known()
    for number in range(20):
        alert(f"s{number}"), done(f"s{number}")
        ActionLimit.objects.create(name=f"l{number}", max_actions=3)
        RemediationPolicy.objects.create(name=f"p{number}")
        FreezeWindow.objects.create(name=f"f{number}", reason="r", first_start=now(), duration_s=60)
    with CaptureQueriesContext(connection) as many:
        known()
    assert len(few) == len(many) <= 9


class Ratios:
    """Measures error ratios as told; remembers what it was asked."""

    def __init__(self, *ratios):
        self.ratios, self.asked = ratios, []

    def measure(self, slis):
        self.asked += slis
        return [Measured(ratio, "" if ratio is not None else "no data") for ratio in self.ratios[: len(slis)]]


def goals(*thresholds, op="<="):
    return Target("a", objectives=tuple(Criterion(name="g", sli=ERRORS, op=op, threshold=t) for t in thresholds))


@pytest.mark.parametrize(
    ("thresholds", "ratios", "left"),
    [
        ((0.01,), (0.0,), 1.0),
        ((0.01,), (0.0025,), 0.75),
        ((0.01,), (0.03,), -2.0),
        ((0.01, 0.1), (0.0025, 0.09), 0.1),
        ((0.01, 0.1), (0.0, None), None),
        ((0.0,), (0.0,), 0.0),
        ((), (), None),
    ],
)
def test_what_is_left_of_an_error_budget(thresholds, ratios, left):
    measurer = Ratios(*ratios)
    assert knowing.budget_left(goals(*thresholds), measurer) == pytest.approx(left)
    assert {sli.window_s for sli in measurer.asked} <= {MONTH_S}


def test_only_objectives_that_bound_an_error_ratio_are_a_budget():
    gauge = Criterion(name="g", sli=Sli("gauge", "depth"), op="<=", threshold=5)
    assert knowing.budget_left(Target("a", objectives=(gauge,)), Ratios(0.1)) is None
    assert knowing.budget_left(goals(0.01, op=">"), Ratios(0.1)) is None


def test_nothing_is_measured_unless_a_policy_asks(settings):
    settings.SRE_PROMETHEUS_URL = "http://127.0.0.1:1"
    RemediationPolicy.objects.create(name="off", min_budget_left=0.5, enabled=False)
    assert knowing.budgets_of({"a": goals(0.01)}, ["a"]) == {}
    RemediationPolicy.objects.create(name="on", min_budget_left=0.5)
    assert knowing.budgets_of({"a": goals(0.01)}, ["a", "b"]) == {"a": None, "b": None}, "it does not answer"
    settings.SRE_PROMETHEUS_URL = ""
    assert knowing.budgets_of({"a": goals(0.01)}, ["a"]) == {"a": None}, "there is none"


@pytest.mark.parametrize(("ratio", "answer"), [("0.001", Answer.ALLOW), ("0.009", Answer.DENY), ("NaN", Answer.DENY)])
def test_a_step_is_permitted_by_what_prometheus_says_is_left(settings, ratio, answer):
    services("a", objectives=[{"name": "g", "sli": {"kind": "error_ratio", "metric": "m", "bad": {"code": "~5.."}},
                               "op": "<=", "threshold": 0.01}])  # fmt: skip
    RemediationPolicy.objects.create(name="all", mode="auto", min_budget_left=0.5)
    about, asked = opened("a"), []

    def prometheus(call):
        asked.append(call)
        value = {"status": "success", "data": {"resultType": "vector", "result": [{"metric": {}, "value": [1, ratio]}]}}
        return Page(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    with serving(prometheus) as wire:
        settings.SRE_PROMETHEUS_URL = wire.url
        judgements, said = permission.permit(work_on(about), step_for(about, "a"))
    assert said.answer is answer
    assert (len(asked), [j.guard for j in judgements if j.answer is Answer.DENY]) == (
        1,
        [] if answer is Answer.ALLOW else ["error_budget"],
    )
