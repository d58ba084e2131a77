import pytest

from sre_platform.detection.delivery import Alert, fingerprint, group_key, webhook_body


def labels(**pairs):
    return tuple(sorted(pairs.items()))


# Answered by Alertmanager 0.25 for these label sets; test_real_stack asks it again where it is installed.
@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ({"alertname": "A", "service": "s", "severity": "warning"}, "2a8af060e0daa02e"),
        ({"alertname": "Ä\n", "service": 'q"\\'}, "fc838520a3a2b11d"),
    ],
)
def test_fingerprints(pairs, expected):
    assert fingerprint(labels(**pairs)) == expected


def test_group_key():
    assert group_key(labels(service='q"\\', alertname="A")) == '{}:{alertname="A", service="q\\"\\\\"}'


def test_the_whole_body():
    firing = Alert(labels(alertname="A", service="s", pod="1"), {"summary": "x", "description": "1"}, 1.5)
    ended = Alert(labels(alertname="A", service="s", pod="0"), {"summary": "x", "description": "0"}, 1.0, 2.0004)
    body = webhook_body([ended, firing], external_url="http://here")
    assert body.group == labels(alertname="A", service="s")
    assert body.alerts == (firing, ended)
    alerts = [
        {
            "status": "firing",
            "labels": {"alertname": "A", "service": "s", "pod": "1"},
            "annotations": {"summary": "x", "description": "1"},
            "startsAt": "1970-01-01T00:00:01.500Z",
            "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "",
            "fingerprint": fingerprint(firing.labels),
        },
        {
            "status": "resolved",
            "labels": {"alertname": "A", "service": "s", "pod": "0"},
            "annotations": {"summary": "x", "description": "0"},
            "startsAt": "1970-01-01T00:00:01.000Z",
            "endsAt": "1970-01-01T00:00:02.000Z",
            "generatorURL": "",
            "fingerprint": fingerprint(ended.labels),
        },
    ]
    assert body.json == {
        "version": "4",
        "groupKey": '{}:{alertname="A", service="s"}',
        "truncatedAlerts": 0,
        "status": "firing",
        "receiver": "sre-platform",
        "groupLabels": {"alertname": "A", "service": "s"},
        "commonLabels": {"alertname": "A", "service": "s"},
        "commonAnnotations": {"summary": "x"},
        "externalURL": "http://here",
        "alerts": alerts,
    }
    assert webhook_body([ended]).json["status"] == "resolved"
