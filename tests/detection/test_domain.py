import math

import pytest

from sre_platform.detection.domain import INACTIVE, AlertRule, InvalidRule, fires, parse_rule, step
from sre_platform.kernel.sli import Sli

SLI = Sli("gauge", "queue_depth")


def rule(**changes):
    return AlertRule(**{"name": "Queue", "service": "orders", "sli": SLI, "op": ">", "threshold": 10.0} | changes)


def run(alert_rule, values):
    states, state = [], INACTIVE
    for at, value in enumerate(values):
        state = step(alert_rule, state, value, at)
        states.append(state)
    return states


def test_without_for_it_fires_at_once_and_ends_when_the_condition_does():
    first, second, third = run(rule(), [11, 12, 10])
    assert (first.phase, first.starts_at, first.value) == ("firing", 0, 11)
    assert (second.phase, second.starts_at, second.ends_at) == ("firing", 0, None)
    assert (third.phase, third.starts_at, third.ends_at) == ("inactive", 0, 2)


def test_with_for_it_starts_when_it_fires_not_when_it_became_pending():
    states = run(rule(for_s=2), [11, 11, 11, 11])
    assert [state.phase for state in states] == ["pending", "pending", "firing", "firing"]
    assert (states[3].active_at, states[3].starts_at) == (0, 2)


def test_one_evaluation_below_begins_the_wait_anew():
    assert [s.phase for s in run(rule(for_s=2), [11, 11, 0, 11, 11, 11])][-3:] == ["pending", "pending", "firing"]


def test_no_data_ends_an_alert():
    assert [state.phase for state in run(rule(), [11, None, 11])] == ["firing", "inactive", "firing"]


def test_a_wait_is_compared_in_milliseconds():
    held = step(rule(for_s=0.2), step(rule(for_s=0.2), INACTIVE, 11, 0.1), 11, 0.3)
    assert held.phase == "firing", "0.3 - 0.1 < 0.2 in floating point"


@pytest.mark.parametrize(
    ("op", "met", "unmet"), [(">", [11, math.inf], [10]), (">=", [10], [9]), ("<", [9], [10]), ("<=", [10], [11])]
)
def test_comparisons(op, met, unmet):
    assert all(fires(rule(op=op), value) for value in met)
    assert not any(fires(rule(op=op), value) for value in [*unmet, None, math.nan])


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("name", "a b", "must start with a letter"),
        ("service", " ", "must name the service"),
        ("sli", Sli("gauge", "a b"), "not a metric name"),
        ("op", "==", "not a comparison"),
        ("threshold", math.nan, "finite"),
        ("for_s", -1, "between 0 and"),
        ("severity", "", "how severe"),
        ("labels", {"a-b": "x"}, "not a label name"),
        ("labels", {"service": "x"}, "set by the rule itself"),
        ("labels", {"team": ""}, "not empty"),
    ],
)
def test_says_what_is_wrong_with_a_rule(field, value, message):
    with pytest.raises(InvalidRule, match=message) as caught:
        rule(**{field: value})
    assert list(caught.value.wrong) == [field]


def test_reads_json_and_names_the_field_that_is_wrong():
    raw = {"name": "A", "service": "s", "op": ">", "threshold": 1, "sli": {"kind": "gauge", "metric": "m"}}
    assert parse_rule(raw) == AlertRule("A", "s", Sli("gauge", "m"), ">", 1.0)
    with pytest.raises(InvalidRule, match=r"sli\.kind: .*'error_ratio'") as caught:
        parse_rule(raw | {"sli": {"kind": "guage", "metric": "m"}, "labels": [], "extra": 1})
    assert set(caught.value.wrong) == {"sli", "labels", "extra"}


def test_labels_and_annotations():
    alert_rule = rule(labels={"team": "mail"}, summary="Too long", for_s=5)
    assert alert_rule.alert_labels() == (
        ("alertname", "Queue"), ("service", "orders"), ("severity", "warning"), ("team", "mail")
    )  # fmt: skip
    description = "max(queue_depth) > 10.0 for 5 s: the value is 12.35."
    assert alert_rule.alert_annotations(12.3456) == {"summary": "Too long", "description": description}
