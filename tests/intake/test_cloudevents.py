import json
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sre_platform.intake.domain import UNDATED, AlertValue
from sre_platform.intake.sources.cloudevents import CloudEvents
from sre_platform.kernel.errors import Malformed
from tests.intake.bodies import anything, are_alerts_or_malformed, changed, loaded, recorded

AT = datetime(2026, 11, 21, 12, 19, 52, tzinfo=UTC)
ONE = loaded("cloudevents_one")


def parse(document) -> list[AlertValue]:
    return CloudEvents().parse(document if isinstance(document, bytes) else json.dumps(document).encode(), {})


def event(*, without=(), **fields):
    return {key: value for key, value in (ONE | fields).items() if key not in without}


def test_an_event_without_labels_is_an_alert_of_its_own():
    [value] = parse(recorded("cloudevents_one"))
    assert value.labels == {"alertname": "net.example.certificate.expiring", "service": "payments"}
    assert (value.status, value.starts_at) == ("firing", AT.replace(microsecond=500000))
    assert (value.ends_at, value.annotations) == (None, {})
    assert value.generator_url == "https://ci.example.net/pipelines/482"
    again, other, elsewhere = parse([event(time="2026-11-21T13:00:00Z"), event(id="2"), event(source="/b")])
    assert again.fingerprint == value.fingerprint
    assert len({value.fingerprint, other.fingerprint, elsewhere.fingerprint}) == 3


def test_a_batch_fires_and_resolves_one_alert():
    firing, resolved = parse(recorded("cloudevents_batch"))
    assert firing.labels == {
        "alertname": "net.example.probe.failed",
        "service": "payments",
        "region": "eu",
        "port": "443",
    }
    assert firing.annotations == {"summary": "No answer for 30 s"}
    assert (firing.status, firing.starts_at, firing.ends_at) == ("firing", AT, None)
    assert (resolved.fingerprint, resolved.starts_at) == (firing.fingerprint, firing.starts_at)
    assert (resolved.status, resolved.ends_at) == ("resolved", datetime(2026, 11, 21, 12, 25, tzinfo=UTC))


def test_the_end_of_an_alert_does_not_claim_to_be_its_start():
    [value] = parse(event(data={"labels": {"a": "b"}, "status": "resolved"}))
    assert (value.starts_at, value.ends_at) == (UNDATED, AT.replace(microsecond=500000))
    [value] = parse(event(without=["time"], data={"status": "resolved"}))
    assert (value.starts_at, value.ends_at) == (UNDATED, None)


def test_what_data_says_comes_first():
    data = {
        "labels": {"alertname": "Slow", "service": "orders"},
        "startsAt": "2026-11-21T10:00:00Z",
        "endsAt": "0001-01-01T00:00:00Z",
    }
    [value] = parse(event(data=data))
    assert value.labels == {"alertname": "Slow", "service": "orders"}
    assert (value.starts_at.hour, value.ends_at) == (10, None)


@pytest.mark.parametrize("data", ["text", ["list"], None, 5])
def test_other_data_is_good_cloudevents_and_says_nothing(data):
    assert parse(event(data=data))[0].labels["service"] == "payments"
    assert parse(event(without=["data"], data_base64="AA=="))[0].starts_at


def test_an_empty_batch_is_no_alerts():
    assert parse([]) == []


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (event(specversion="0.3"), "events.0.specversion: "),
        (event(without=["id"]), "events.0.id: required"),
        (event(source=""), "events.0.source: "),
        (event(type=5), "events.0.type: "),
        (event(time="yesterday"), "events.0.time: "),
        (event(without=["time"]), "events.0: it needs a time, or startsAt in its data"),
        ([event(), event(without=["time"])], "events.1: it needs a time"),
        (event(data={"labels": {"a": None}}), "events.0.data.labels.a: must be a text, a number or a boolean"),
        (event(data={"labels": []}), "events.0.data.labels: "),
        (event(data={"status": "ok"}), "events.0.data.status: "),
        ([[]], "events.0: "),
        (5, "The body is JSON, but neither a CloudEvent nor an array of them"),
    ],
)
def test_what_is_wrong_is_named(document, said):
    with pytest.raises(Malformed) as caught:
        parse(document)
    assert said in str(caught.value)
    assert str(caught.value).endswith(".")


@settings(max_examples=300, deadline=None)
@given(changed(loaded("cloudevents_batch")) | changed(ONE) | anything | st.lists(anything, max_size=2))
def test_any_json_gives_alerts_or_malformed(document):
    assert are_alerts_or_malformed(CloudEvents(), json.dumps(document).encode(), {})


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_give_alerts_or_malformed(text):
    assert are_alerts_or_malformed(CloudEvents(), text, {})
