"""Alerts as Alertmanager's webhook body, version "4": whoever understands Alertmanager understands us.

https://prometheus.io/docs/alerting/latest/configuration/#webhook_config, Alertmanager's ``template/template.go`` (Data)
and ``notify/webhook/webhook.go`` (Message).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sre_platform.kernel.sample import Labels

RECEIVER = "sre-platform"
GROUP_BY = ("alertname", "service")

_NEVER = "0001-01-01T00:00:00Z"  # Go's zero time: what Alertmanager sends as endsAt of a firing alert
_FNV_OFFSET, _FNV_PRIME, _MASK = 0xCBF29CE484222325, 0x100000001B3, 0xFFFFFFFFFFFFFFFF
_SEPARATOR = b"\xff"
_GO_ESCAPES = {letter: f"\\{code}" for letter, code in zip('\a\b\f\n\r\t\v\\"', 'abfnrtv\\"', strict=True)}


@dataclass(frozen=True)
class Alert:
    """An alert as it is sent. Times are Unix seconds; it fires while ``ends_at`` is None."""

    labels: Labels
    annotations: Mapping[str, str]
    starts_at: float
    ends_at: float | None = None
    generator_url: str = ""

    @property
    def status(self) -> str:
        """``firing`` or ``resolved``."""
        return "firing" if self.ends_at is None else "resolved"

    @property
    def group(self) -> Labels:
        """The labels by which alerts are sent together."""
        return tuple((name, value) for name, value in self.labels if name in GROUP_BY)


@dataclass(frozen=True)
class Body:
    """One webhook call: the alerts of one group and the JSON to post."""

    group: Labels
    alerts: tuple[Alert, ...]
    json: Mapping[str, Any] = field(compare=False)


def webhook_body(alerts: Sequence[Alert], external_url: str = "") -> Body:
    """The body for ``alerts``, at least one, all of one group; firing ones first, as Alertmanager sorts them."""
    ordered = sorted(alerts, key=lambda alert: (alert.ends_at is not None, alert.labels))
    group = ordered[0].group
    content = {
        "receiver": RECEIVER,
        "status": "firing" if any(alert.status == "firing" for alert in ordered) else "resolved",
        "alerts": [_alert(alert) for alert in ordered],
        "groupLabels": dict(group),
        "commonLabels": _common([dict(alert.labels) for alert in ordered]),
        "commonAnnotations": _common([dict(alert.annotations) for alert in ordered]),
        "externalURL": external_url,
        "version": "4",
        "groupKey": group_key(group),
        "truncatedAlerts": 0,
    }
    return Body(group, tuple(ordered), content)


def group_key(group: Labels) -> str:
    """The key of a group below the root route, in Alertmanager's text form: ``{}:{alertname="A", service="b"}``."""
    return "{}:{" + ", ".join(f'{name}="{_escaped(value)}"' for name, value in sorted(group)) + "}"


def fingerprint(labels: Labels) -> str:
    """The identity of an alert: FNV-1a, 64 bits, over the sorted labels, 16 hexadecimal digits.

    prometheus/common ``model/signature.go``, labelSetToFingerprint: name, 0xff, value, 0xff for each label.
    """
    digest = _FNV_OFFSET
    for name, value in sorted(labels):
        for byte in name.encode() + _SEPARATOR + value.encode() + _SEPARATOR:
            digest = ((digest ^ byte) * _FNV_PRIME) & _MASK
    return f"{digest:016x}"


def _alert(alert: Alert) -> dict[str, Any]:
    return {
        "status": alert.status,
        "labels": dict(alert.labels),
        "annotations": dict(alert.annotations),
        "startsAt": _rfc3339(alert.starts_at),
        "endsAt": _NEVER if alert.ends_at is None else _rfc3339(alert.ends_at),
        "generatorURL": alert.generator_url,
        "fingerprint": fingerprint(alert.labels),
    }


def _escaped(text: str) -> str:
    """As Go's ``%q`` escapes; Python's and Go's ideas of "printable" are the same Unicode categories."""
    return "".join(
        _GO_ESCAPES.get(letter) or (letter if letter.isprintable() else _code(ord(letter))) for letter in text
    )


def _code(point: int) -> str:
    if point < 0x80:
        return f"\\x{point:02x}"
    return f"\\u{point:04x}" if point < 0x10000 else f"\\U{point:08x}"


def _common(maps: Sequence[Mapping[str, str]]) -> dict[str, str]:
    first, *others = maps
    return {key: value for key, value in first.items() if all(other.get(key) == value for other in others)}


def _rfc3339(at: float) -> str:
    moment = datetime.fromtimestamp(round(at * 1000) / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
