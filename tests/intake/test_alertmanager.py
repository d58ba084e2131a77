import json
from datetime import UTC, datetime

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sre_platform.intake.domain import AlertValue
from sre_platform.intake.sources.alertmanager import Alertmanager
from sre_platform.kernel.errors import Malformed
from tests.fakes.alertmanager import alert, body, document
from tests.intake.bodies import are_alerts_or_malformed


def parse(text):
    return Alertmanager().parse(text, {})


def refusal(text: bytes) -> str:
    with pytest.raises(Malformed) as caught:
        parse(text)
    sentence = str(caught.value)
    assert sentence.endswith(".")
    assert "\n" not in sentence
    return sentence


def test_every_field_is_read():
    [firing, resolved] = parse(body(alert(), alert("Slow", "orders", ends_at="2026-11-21T13:00:00.5+01:00")))
    assert firing == AlertValue(
        fingerprint="HighErrorRatio/payments",
        status="firing",
        labels={"alertname": "HighErrorRatio", "service": "payments", "severity": "critical"},
        annotations={"summary": "HighErrorRatio on payments"},
        starts_at=datetime(2026, 11, 21, 12, 19, 52, 123000, tzinfo=UTC),
        ends_at=None,
        generator_url="http://prometheus:9090/graph?g0.expr=up&g0.tab=1",
    )
    assert (resolved.status, resolved.ends_at) == ("resolved", datetime(2026, 11, 21, 12, 0, 0, 500000, tzinfo=UTC))


def test_keys_of_newer_versions_are_accepted():
    given_more = document(alert(new={"deep": [1]}), notificationReason="new", truncatedAlerts=3)
    assert len(parse(json.dumps(given_more).encode())) == 1


def test_a_body_without_alerts_and_one_without_truncated_alerts_are_good():
    assert parse(body()) == []
    older = document(alert())
    del older["truncatedAlerts"]
    assert len(parse(json.dumps(older).encode())) == 1


def test_the_same_alert_twice_is_told_twice():
    first, second = parse(body(alert(), alert()))
    assert first == second


@pytest.mark.parametrize("version", ["3", 4, None, "", "x" * 1000, ["4"], {"4": 4}])
def test_another_version_is_refused(version):
    sentence = refusal(body(version=version))
    assert 'this endpoint takes Alertmanager\'s webhook version "4"' in sentence
    assert len(sentence) < 200


REQUIRED = sorted(set(document()) - {"version", "truncatedAlerts"})


@pytest.mark.parametrize("key", REQUIRED)
def test_a_missing_key_is_named(key):
    lacking = document(alert())
    del lacking[key]
    assert refusal(json.dumps(lacking).encode()) == f"In Alertmanager's webhook body, {key}: required."


@pytest.mark.parametrize("key", sorted(alert()))
def test_a_missing_key_of_an_alert_is_named(key):
    lacking = document(alert())
    del lacking["alerts"][0][key]
    assert refusal(json.dumps(lacking).encode()) == f"In Alertmanager's webhook body, alerts.0.{key}: required."


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"status": "pending"}, "alerts.0.status: input should be 'firing' or 'resolved'"),
        ({"labels": []}, "alerts.0.labels: "),
        ({"labels": {}}, "alerts.0.labels: "),
        ({"fingerprint": ""}, "alerts.0.fingerprint: "),
        ({"fingerprint": "f" * 65}, "alerts.0.fingerprint: "),
        ({"startsAt": "yesterday"}, "alerts.0.startsAt: "),
        ({"startsAt": 1732192792}, "alerts.0.startsAt: must be an RFC 3339 time"),
        ({"startsAt": "2026-11-21T12:00:00"}, "alerts.0.startsAt: '2026-11-21T12:00:00' has no UTC offset"),
        ({"startsAt": "0001-01-01T00:00:00+05:00"}, "alerts.0.startsAt: "),
        ({"annotations": {"a": None}}, "alerts.0.annotations.a: "),
        ({"annotations": {str(n): "" for n in range(201)}}, "alerts.0.annotations: "),
        ({"generatorURL": 5}, "alerts.0.generatorURL: "),
    ],
)
def test_a_wrong_value_is_named(fields, said):
    assert said in refusal(body(alert() | fields))


def test_characters_that_no_database_takes_are_replaced_and_the_alert_is_kept():
    [value] = parse(body(alert("A\0", labels={"\ud800": "x"}, annotations={"summary": "half a \udfff"})))
    assert value.labels["alertname"] == "A\ufffd"
    assert value.labels["?"] == "x"
    assert value.annotations == {"summary": "half a ?"}


def test_a_name_that_the_sender_chose_does_not_make_the_sentence_long():
    assert len(refusal(body(alert(annotations={"x" * 100_000: 5})))) < 300
    assert len(refusal(body(alert(starts_at="9" * 100_000)))) < 400


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "The body is not JSON: "),
        (b"hello", "The body is not JSON: "),
        (b"[]", "The body is JSON, but not an object."),
        (b"null", "The body is JSON, but not an object."),
        (b"\xff\xfe{}", "The body is not UTF-8: byte 0 cannot be read."),
        (body()[:-1] + b"\xc3}", "The body is not UTF-8: byte "),
        (body(truncatedAlerts=float("nan")), "The body is not JSON: NaN is not a JSON number."),
        (body(truncatedAlerts=float("-inf")), "The body is not JSON: -Infinity is not a JSON number."),
        (body(truncatedAlerts=7).replace(b"7,", b"1e999,", 1), "The body holds a number that is too large: 1e999."),
        (body(truncatedAlerts=-1), "truncatedAlerts: "),
        (body(truncatedAlerts=True), "truncatedAlerts: "),
        (b'{"version": ' + b"9" * 5000 + b"}", "The body holds a number of 5000 characters; at most 300 are read."),
        (b'{"version": ' + b"[" * 100_000, "The body is nested too deeply."),
        (b'{"a": ' * 100_000, "The body is nested too deeply."),
        (body() + body(), "The body is not JSON: Extra data"),
    ],
)
def test_what_is_no_webhook_is_said_in_one_sentence(text, said):
    assert said in refusal(text)


def test_no_depth_of_nesting_escapes():
    for depth in range(150, 1000, 7):
        with pytest.raises(Malformed):
            parse(b'{"version":' + b"[" * depth + b"]" * depth + b"}")


def test_a_huge_number_is_still_a_number():
    assert parse(body(truncatedAlerts=10**299)) == []


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes_are_alerts_or_malformed(text):
    assert are_alerts_or_malformed(Alertmanager(), text, {})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(["4", "firing"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=10,
)
moments = st.datetimes(timezones=st.timezones()).map(lambda moment: moment.isoformat()) | json_values


@settings(max_examples=200, deadline=None)
@given(
    at_top=st.dictionaries(st.sampled_from(sorted(document())), json_values, max_size=2),
    in_alert=st.dictionaries(st.sampled_from(sorted(alert())), json_values | moments, max_size=2),
    starts_at=moments,
)
@example({"alerts": [[[]]]}, {}, "")
def test_any_json_in_any_field_is_alerts_or_malformed(at_top, in_alert, starts_at):
    assert are_alerts_or_malformed(
        Alertmanager(),
        json.dumps(document(alert(starts_at=starts_at) | in_alert, status="firing") | at_top).encode(),
        {},
    )
