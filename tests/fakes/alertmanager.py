"""Webhook bodies as Alertmanager 0.28 writes them."""

import json
from typing import Any

STARTS_AT = "2026-11-21T12:19:52.123456789Z"
NOT_ENDED = "0001-01-01T00:00:00Z"


def alert(name: str = "HighErrorRatio", service: str = "payments", **fields: Any) -> dict[str, Any]:
    """One alert of a webhook; its fingerprint follows from its labels. Give ``ends_at`` for a resolved one."""
    labels = {"alertname": name, "service": service, "severity": "critical"} | fields.pop("labels", {})
    labels = {key: value for key, value in labels.items() if value}
    ends_at = fields.pop("ends_at", None)
    return {
        "status": "resolved" if ends_at else "firing",
        "labels": labels,
        "annotations": {"summary": f"{name} on {service}"},
        "startsAt": fields.pop("starts_at", STARTS_AT),
        "endsAt": ends_at or NOT_ENDED,
        "generatorURL": "http://prometheus:9090/graph?g0.expr=up&g0.tab=1",
        "fingerprint": f"{name}/{service}"[:64],
    } | fields


def document(*alerts: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """The body around ``alerts``, before it is written as JSON."""
    return {
        "version": "4",
        "groupKey": '{}:{service="payments"}',
        "truncatedAlerts": 0,
        "status": "firing" if any(item["status"] == "firing" for item in alerts) else "resolved",
        "receiver": "sre-platform",
        "groupLabels": {"service": "payments"},
        "commonLabels": {"severity": "critical"},
        "commonAnnotations": {},
        "externalURL": "http://alertmanager:9093",
        "alerts": list(alerts),
    } | fields


def body(*alerts: dict[str, Any], **fields: Any) -> bytes:
    """A whole webhook body."""
    return json.dumps(document(*alerts, **fields)).encode()
