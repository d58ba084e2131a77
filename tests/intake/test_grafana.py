import json
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings

from sre_platform.intake.domain import AlertValue
from sre_platform.intake.sources.grafana import Grafana
from sre_platform.kernel.errors import Malformed
from tests.fakes.alertmanager import alert as alertmanagers
from tests.fakes.alertmanager import body as alertmanager_body
from tests.intake.bodies import changed, loaded, recorded


def parse(document) -> list[AlertValue]:
    return Grafana().parse(document if isinstance(document, bytes) else json.dumps(document).encode(), {})


def test_a_recorded_body_is_read_with_its_links():
    firing, resolved = parse(recorded("grafana_firing"))
    assert firing == AlertValue(
        fingerprint="5f1d9c2b7a4e6083",
        status="firing",
        labels={
            "alertname": "Queue too long",
            "grafana_folder": "orders",
            "instance": "orders-1:9102",
            "service": "orders",
        },
        annotations={
            "summary": "More than 500 orders wait",
            "dashboardURL": "https://grafana.example.net/d/orders?orgId=1",
            "panelURL": "https://grafana.example.net/d/orders?orgId=1&viewPanel=4",
            "valueString": loaded("grafana_firing")["alerts"][0]["valueString"],
        },
        starts_at=datetime(2026, 11, 21, 12, 19, 40, tzinfo=UTC),
        ends_at=None,
        generator_url="https://grafana.example.net/alerting/grafana/ee1zqk2m9c3y8d/view?orgId=1",
    )
    assert (resolved.status, resolved.annotations) == ("resolved", {})
    assert resolved.ends_at == datetime(2026, 11, 21, 12, 18, 30, 250000, tzinfo=UTC)


def test_an_annotation_of_the_rule_is_not_overwritten():
    document = loaded("grafana_firing")
    document["alerts"][0]["annotations"] = {"panelURL": "mine"}
    assert parse(document)[0].annotations["panelURL"] == "mine"


def test_only_what_is_read_has_to_be_there():
    document = loaded("grafana_firing")
    needed = {key: document["alerts"][0][key] for key in ("status", "labels", "startsAt", "fingerprint")}
    [value] = parse({"version": "1", "alerts": [needed]})
    assert (value.ends_at, value.generator_url, value.annotations) == (None, "", {})


@pytest.mark.parametrize("key", ["status", "labels", "startsAt", "fingerprint"])
def test_a_missing_key_is_named(key):
    document = loaded("grafana_firing")
    del document["alerts"][1][key]
    with pytest.raises(Malformed, match=rf"^In Grafana's webhook body, alerts\.1\.{key}: required\.$"):
        parse(document)


def test_alertmanagers_body_is_refused():
    with pytest.raises(Malformed, match=r'version is "4"; this endpoint takes Grafana\'s webhook version "1"\.'):
        parse(alertmanager_body(alertmanagers()))


def test_grafanas_older_alerts_are_refused():
    with pytest.raises(Malformed, match="version is null"):
        parse({"state": "alerting", "ruleName": "Queue", "evalMatches": [], "title": "[Alerting] Queue"})


@settings(max_examples=200, deadline=None)
@given(changed(loaded("grafana_firing")))
def test_any_change_gives_alerts_or_malformed(document):
    if isinstance(document, dict):
        document["version"] = "1"
    try:
        parse(document)
    except Malformed:
        return
    for value in parse(document):
        assert value.labels
        assert value.starts_at.tzinfo is UTC


def test_a_refusal_is_a_sentence():
    with pytest.raises(Malformed) as caught:
        Grafana().parse(b"{", {})
    assert str(caught.value).endswith((".", ".`."))
    assert "\n" not in str(caught.value)
