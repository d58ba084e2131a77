import pytest
from django.core.exceptions import ValidationError

from sre_platform.detection import domain
from sre_platform.detection.delivery import Alert
from sre_platform.detection.models import AlertRule, DatabaseLedger, enabled_rules
from sre_platform.kernel.sli import Sli

ROW = {"name": "Queue", "service": "orders", "sli": {"kind": "gauge", "metric": "depth"}, "op": ">", "threshold": 10}


def test_a_row_is_a_rule():
    row = AlertRule(**ROW, for_s=5, labels={"team": "mail"})
    assert row.as_value() == domain.AlertRule(
        "Queue", "orders", Sli("gauge", "depth"), ">", 10.0, for_s=5.0, labels={"team": "mail"}
    )


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("sli", {"kind": "gauge", "metric": "a b"}, "not a metric name"),
        ("sli", {"kind": "gauge", "metric": "m", "windw_s": 5}, "sli.windw_s"),
        ("sli", None, "sli"),
        ("labels", [], "labels"),
        ("name", "a b", "must start with a letter"),
        ("threshold", float("inf"), "finite"),
    ],
)
def test_a_bad_row_is_refused_at_its_field(field, value, message):
    with pytest.raises(ValidationError) as caught:
        AlertRule(**ROW | {field: value}).clean()
    [text] = caught.value.message_dict[field]
    assert message in text


@pytest.mark.django_db
def test_only_enabled_rules_that_are_rules_are_in_force():
    for name, changes in {"A": {}, "B": {"enabled": False}, "C": {"sli": {"kind": "?"}}}.items():
        AlertRule.objects.create(**ROW | {"name": name} | changes)
    assert [rule.name for rule in enabled_rules()] == ["A"]


@pytest.mark.django_db
def test_the_ledger_remembers_the_last_alerts():
    alerts = [Alert((("alertname", "A"), ("service", "s")), {"summary": "x"}, 1.5, end) for end in (None, 2.25)]
    for alert in alerts:
        DatabaseLedger().save([alert])
        assert DatabaseLedger().load() == [alert]
    DatabaseLedger().save([])
    assert DatabaseLedger().load() == []
