import json
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sre_platform.intake.domain import UNDATED, AlertValue
from sre_platform.intake.sources.generic import Generic, check_mapping
from sre_platform.kernel.errors import Malformed
from tests.intake.bodies import anything, are_alerts_or_malformed, changed, loaded, recorded

AT = datetime(2026, 11, 21, 12, 19, 52, tzinfo=UTC)
MAPPING = {
    "status": "state",
    "resolved_values": ["ok", True, 0],
    "starts_at": "since",
    "ends_at": "until",
    "labels": {"alertname": "name", "service": "where.service"},
}
BODY = {"state": "bad", "since": 1795263592, "name": "Slow", "where": {"service": "orders"}}


def parse(document, mapping=MAPPING) -> list[AlertValue]:
    return Generic().parse(document if isinstance(document, bytes) else json.dumps(document).encode(), mapping)


def refusal(document, mapping=MAPPING) -> str:
    with pytest.raises(Malformed) as caught:
        parse(document, mapping)
    assert str(caught.value).endswith((".", "`."))
    return str(caught.value)


def test_a_monitor_that_sends_one_alert_a_body():
    [value] = parse(recorded("generic_monitor"), loaded("generic_monitor.mapping"))
    assert value == AlertValue(
        fingerprint=value.fingerprint,
        status="firing",
        labels={"alertname": "payments health", "service": "payments", "team": "shop"},
        annotations={"summary": "[payments health] down", "url": "https://payments.example.net/health"},
        starts_at=AT,
        ends_at=None,
        generator_url="",
    )


def test_the_same_monitor_when_it_is_up_again_is_the_same_alert():
    mapping, later = loaded("generic_monitor.mapping"), loaded("generic_monitor")
    later["heartbeat"] |= {"status": 1, "msg": "200", "time": "2026-11-21T12:30:00Z"}
    [down], [up] = parse(recorded("generic_monitor"), mapping), parse(later, mapping)
    assert (up.fingerprint, up.starts_at) == (down.fingerprint, down.starts_at)
    assert (up.status, up.ends_at) == ("resolved", datetime(2026, 11, 21, 12, 30, tzinfo=UTC))


def test_a_list_below_the_body_without_times():
    problem, ok = parse(recorded("generic_events"), loaded("generic_events.mapping"))
    assert problem.labels == {
        "alertname": "High CPU on db-1",
        "service": "orders",
        "severity": "4",
        "system": "zabbix-1",
    }
    assert (problem.status, problem.starts_at, problem.ends_at) == ("firing", UNDATED, None)
    assert (ok.status, ok.starts_at, ok.ends_at, ok.labels["severity"]) == ("resolved", UNDATED, AT, "3")


def test_a_mapped_fingerprint_and_the_constants_name_an_alert_and_nothing_else_does():
    mapping = MAPPING | {"fingerprint": "id", "constants": {"system": "one"}}
    [first], [renamed] = parse(BODY | {"id": 7}, mapping), parse(BODY | {"id": 7, "name": "Slower"}, mapping)
    [other] = parse(BODY | {"id": 8}, mapping)
    [elsewhere] = parse(BODY | {"id": 7}, mapping | {"constants": {"system": "two"}})
    assert first.fingerprint == renamed.fingerprint
    assert len({first.fingerprint, other.fingerprint, elsewhere.fingerprint}) == 3


def test_without_one_the_labels_do():
    [first], [again], [other] = parse(BODY), parse(BODY | {"since": 1795263593}), parse(BODY | {"name": "Down"})
    assert first.fingerprint == again.fingerprint != other.fingerprint


@pytest.mark.parametrize(("state", "status"), [("ok", "resolved"), (True, "resolved"), ("true", "resolved")])
@pytest.mark.parametrize(("other", "firing"), [("OK", "firing"), (1, "firing"), (False, "firing"), ("ok ", "firing")])
def test_only_the_listed_values_resolve(state, status, other, firing):
    assert parse(BODY | {"state": state})[0].status == status
    assert parse(BODY | {"state": 0.0})[0].status == "resolved"
    assert parse(BODY | {"state": other})[0].status == firing


def test_a_resolved_alert_may_come_without_its_start_and_its_end():
    [value] = parse({"state": "ok", "name": "Slow", "until": ""})
    assert (value.status, value.starts_at, value.ends_at) == ("resolved", UNDATED, None)


@pytest.mark.parametrize(
    ("path", "document"),
    [
        ("a.b", {"a": {"b": "X"}}),
        (r"a\.b", {"a.b": "X"}),
        (r"a\\b", {"a\\b": "X"}),
        ("a.1.b", {"a": [0, {"b": "X"}]}),
        ("a.1", {"a": {"1": "X"}}),
        ("ä ö", {"ä ö": "X"}),
    ],
)
def test_paths(path, document):
    [value] = parse(document, {"starts_at": "received", "labels": {"alertname": path}})
    assert value.labels == {"alertname": "X"}


@pytest.mark.parametrize("path", ["a.b", "a.2.b", "a.-1", "a.x", "a.0.b.c", "a.99999999999", "a.²"])
def test_a_path_that_leads_nowhere(path):
    mapping = {"starts_at": "received", "labels": {"alertname": "name", "host": path}}
    assert parse({"name": "X", "a": [{"b": None}, 1]}, mapping)[0].labels == {"alertname": "X"}


def test_a_key_that_is_called_received_can_be_meant():
    [value] = parse(BODY | {"received": "2026-11-21T12:19:52Z"}, MAPPING | {"starts_at": r"\received"})
    assert value.starts_at == AT


def test_a_body_that_is_a_list_is_a_list_of_alerts():
    assert len(parse([BODY, BODY])) == 2
    assert parse([]) == []


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (5, "In the body, all of it: neither an alert nor a list of them."),
        ([5], "In the body's alert 0, it: it is not an object."),
        ([BODY, BODY | {"name": ""}], "In the body's alert 1, alertname: there is nothing at name."),
        (BODY | {"name": ["a"]}, "alertname (name): must be a text, a number or a boolean."),
        (BODY | {"state": None}, "status: there is nothing at state."),
        (BODY | {"since": None}, 'starts_at: there is nothing at since; say "received" in the mapping when'),
        (BODY | {"since": "now"}, "starts_at (since): Invalid isoformat string: 'now'."),
        (BODY | {"since": 1e300}, "starts_at (since): must be Unix time in seconds or milliseconds"),
        (BODY | {"state": "ok", "until": True}, "ends_at (until): must be an RFC 3339 time."),
    ],
)
def test_what_is_wrong_with_a_body_is_named(document, said):
    assert said in refusal(document)


def test_a_list_that_is_not_where_the_mapping_says_is_named():
    assert refusal(BODY, MAPPING | {"alerts": "result.events"}) == (
        "In the body, result.events: neither an alert nor a list of them."
    )


@pytest.mark.parametrize(
    ("mapping", "said"),
    [
        ({}, "The source generic needs a mapping: "),
        ({"labels": {"alertname": "a"}}, "In the sender's mapping, starts_at: required."),
        ({"starts_at": "received"}, "alertname is needed, in labels or in constants."),
        (MAPPING | {"constants": {"service": "x"}}, "'service' is in labels and in constants."),
        (MAPPING | {"resolved_values": []}, "status and resolved_values belong together."),
        (MAPPING | {"status": None}, "status and resolved_values belong together."),
        (MAPPING | {"start_at": "x"}, "start_at: extra inputs are not permitted."),
        (MAPPING | {"starts_at": "a..b"}, "starts_at: 'a..b' is not a path such as check.name."),
        (MAPPING | {"ends_at": "a."}, "ends_at: 'a.' is not a path such as check.name."),
        (MAPPING | {"alerts": "."}, "alerts: '.' is not a path such as check.name."),
        (MAPPING | {"labels": {"alertname": ""}}, "labels.alertname: "),
        (MAPPING | {"labels": {"alertname": 5}}, "labels.alertname: "),
        (MAPPING | {"\n": 5}, r"the sender's mapping, '\n': extra inputs"),
        (MAPPING | {"a\nb": 5}, "a b: extra inputs"),
        (MAPPING | {"resolved_values": [None]}, "resolved_values.0: must be a text, a number or a boolean."),
        (MAPPING | {"constants": {"team": 5}}, "constants.team: "),
    ],
)
def test_what_is_wrong_with_a_mapping_is_named(mapping, said):
    assert said in refusal(BODY, mapping)
    with pytest.raises(Malformed):
        check_mapping(mapping)


@pytest.mark.parametrize("name", ["generic_monitor", "generic_events"])
def test_the_recorded_mappings_are_good(name):
    assert check_mapping(loaded(f"{name}.mapping")) is None


@settings(max_examples=300, deadline=None)
@given(data=st.data(), name=st.sampled_from(["generic_monitor", "generic_events"]))
def test_any_json_gives_alerts_or_malformed(data, name):
    document = data.draw(changed(loaded(name)) | anything)
    assert are_alerts_or_malformed(Generic(), json.dumps(document).encode(), loaded(f"{name}.mapping"))


paths = st.text(alphabet="ab.\\0", max_size=6)


@settings(max_examples=300, deadline=None)
@given(
    mapping=changed(MAPPING),
    labels=st.dictionaries(st.just("alertname") | st.text(max_size=3), paths | anything, max_size=3),
    document=st.dictionaries(st.sampled_from(["a", "b", "", "0", "state", "since"]), anything, max_size=4),
)
def test_any_mapping_is_used_or_refused(mapping, labels, document):
    mapping = mapping | {"labels": labels} if isinstance(mapping, dict) else {"mapping": mapping}
    assert are_alerts_or_malformed(Generic(), json.dumps(document).encode(), mapping)
