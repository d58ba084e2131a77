import pytest

from sre_platform.detection.delivery import Alert
from sre_platform.detection.domain import AlertRule
from sre_platform.detection.evaluator import EvaluatorState
from sre_platform.detection.window import Scrape
from sre_platform.kernel.sample import Sample
from sre_platform.kernel.sli import Sli

DEEP = AlertRule("Queue", "orders", Sli("gauge", "depth"), ">", 10)
BUSY = AlertRule("Busy", "orders", Sli("rate", "n_total", window_s=3), ">", 10)


@pytest.fixture
def state():
    fresh = EvaluatorState()
    fresh.use_rules([DEEP])
    return fresh


def shows(depth, **others):
    samples = {"depth": depth, **others}
    return [Scrape("orders", "a:80", tuple(Sample(name, (), value) for name, value in samples.items()))]


def told(bodies):
    return [(body.json["groupLabels"]["alertname"], body.json["status"]) for body in bodies]


def test_a_group_is_told_when_it_changes_and_every_minute_while_it_fires(state):
    heard = {at: told(state.tick(at, shows(11 if at < 130 else 1))) for at in range(140)}
    spoken = {at: said for at, said in heard.items() if said}
    assert spoken == {at: [("Queue", "firing")] for at in (0, 60, 120)} | {130: [("Queue", "resolved")]}


def test_a_resolution_is_repeated_until_it_is_acknowledged(state):
    state.tick(0, shows(11))
    [resolved] = state.tick(1, shows(1))
    assert not state.tick(30, shows(1))
    [again] = state.tick(61, shows(1))
    assert again == resolved
    assert (again.alerts[0].starts_at, again.alerts[0].ends_at) == (0, 1)
    state.acknowledge(resolved)
    assert not any(state.tick(at, shows(1)) for at in range(62, 200))
    assert not state.open_alerts()


def test_an_old_acknowledgement_does_not_swallow_a_newer_alert(state):
    state.tick(0, shows(11))
    [resolved] = state.tick(1, shows(1))
    [firing] = state.tick(2, shows(11))
    state.acknowledge(resolved)
    assert firing.alerts[0].starts_at == 2
    assert told(state.tick(3, shows(1))) == [("Queue", "resolved")]


def test_an_alert_whose_rule_is_deleted_is_resolved(state):
    state.tick(0, shows(11))
    state.use_rules([])
    assert told(state.tick(1, shows(11))) == [("Queue", "resolved")]


def test_a_new_severity_ends_the_old_alert_and_both_are_in_the_groups_body(state):
    state.tick(0, shows(11))
    state.use_rules([AlertRule("Queue", "orders", DEEP.sli, ">", 10, severity="critical")])
    [body] = state.tick(1, shows(11))
    assert [(alert["labels"]["severity"], alert["status"]) for alert in body.json["alerts"]] == [
        ("critical", "firing"), ("warning", "resolved")
    ]  # fmt: skip
    assert body.json["status"] == "firing"
    state.acknowledge(body)
    assert not state.tick(2, shows(11)), "an acknowledged resolution is no news when it leaves"


def test_an_edited_threshold_keeps_the_alert(state):
    state.tick(0, shows(11))
    state.use_rules([AlertRule("Queue", "orders", DEEP.sli, ">", 5)])
    assert not state.tick(1, shows(11))
    assert state.open_alerts()[0].starts_at == 0


@pytest.mark.parametrize(("per_second", "expected"), [(50, []), (1, [("Busy", "resolved")])])
def test_after_a_restart_an_alert_is_held_until_there_is_data_again(per_second, expected):
    state = EvaluatorState(known=[Alert(BUSY.alert_labels(), {"summary": "old"}, 5.0)])
    state.use_rules([BUSY])
    [first] = state.tick(100, shows(0, n_total=0))
    assert (first.json["status"], first.alerts[0].starts_at) == ("firing", 5.0)
    assert told(state.tick(101, shows(0, n_total=per_second))) == expected


def test_after_a_restart_without_any_data_the_hold_ends():
    state = EvaluatorState(known=[Alert(BUSY.alert_labels(), {}, 5.0), Alert(DEEP.alert_labels(), {}, 6.0, 7.0)])
    state.use_rules([BUSY])
    heard = {at: told(state.tick(at, [])) for at in range(100, 110)}
    assert heard[100] == [("Busy", "firing"), ("Queue", "resolved")]
    assert heard[105] == [("Busy", "resolved")]


def test_groups_do_not_disturb_each_other(state):
    state.use_rules([DEEP, BUSY])
    state.tick(0, shows(11, n_total=0))
    assert told(state.tick(1, shows(11, n_total=50))) == [("Busy", "firing")]
