"""The same alert rules for a real Prometheus, and configurations that lead its alerts to our door.

Text for Prometheus 2.42 and Alertmanager 0.25 (Debian 12) and everything later so far.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from sre_platform.detection.delivery import GROUP_BY, RECEIVER
from sre_platform.detection.domain import AlertRule, describe
from sre_platform.kernel.promql import duration

_VALUE = '{{ printf "%.4g" $value }}'
_OPENING = '{{ "{{" }}'


def rule_file(rules: Iterable[AlertRule], interval_s: float = 1) -> str:
    """A Prometheus rule file (YAML): one group, evaluated every ``interval_s`` seconds."""
    group = {"name": "sre-platform", "interval": duration(interval_s), "rules": [_rule(rule) for rule in rules]}
    return _yaml({"groups": [group]})


def prometheus_config(
    scrape_targets: Mapping[str, str],
    rule_path: str,
    alertmanager: str,
    interval_s: float = 1,
    with_token: Mapping[str, tuple[str, str]] | None = None,
) -> str:
    """A Prometheus configuration (YAML).

    ``scrape_targets`` maps a job to ``host:port`` or ``host:port/path`` (``/metrics`` when there is none);
    ``alertmanager`` is ``host:port``, without it (``""``) alerts are evaluated and sent nowhere. ``with_token`` maps
    further jobs to a target, scraped every 5 s, and the file with its bearer token.
    """
    interval = duration(interval_s)
    config: dict[str, Any] = {
        "global": {"scrape_interval": interval, "scrape_timeout": interval, "evaluation_interval": interval},
        "rule_files": [rule_path],
        "scrape_configs": [
            *(_scrape(job, target) for job, target in scrape_targets.items()),
            *(_scrape(job, target) | _guarded(token) for job, (target, token) in (with_token or {}).items()),
        ],
    }
    if alertmanager:
        config["alerting"] = {"alertmanagers": [{"static_configs": [{"targets": [alertmanager]}]}]}
    return _yaml(config)


def alertmanager_config(webhook_url: str, token_file: str) -> str:
    """An Alertmanager configuration (YAML) that posts every group to ``webhook_url`` at once.

    The bearer token is read from ``token_file``. Alertmanager's own defaults would wait 30 s before the first word
    about a group (group_wait) and 5 min before the second (group_interval): ten times our time to repair.
    """
    receiver = {
        "url": webhook_url,
        "send_resolved": True,
        "http_config": {"authorization": {"type": "Bearer", "credentials_file": token_file}},
    }
    route = {
        "receiver": RECEIVER,
        "group_by": list(GROUP_BY),
        "group_wait": "0s",
        "group_interval": "1s",
        "repeat_interval": "1m",
    }
    return _yaml({"route": route, "receivers": [{"name": RECEIVER, "webhook_configs": [receiver]}]})


def _rule(rule: AlertRule) -> dict[str, Any]:
    labels = {name: _literal(value) for name, value in rule.alert_labels() if name != "alertname"}
    # The value is put in last: describe() may hold braces of its own that must not be taken for a template.
    description = _literal(describe(rule, "\0")).replace("\0", _VALUE)
    held = {"for": duration(rule.for_s)} if rule.for_s else {}
    return {
        "alert": rule.name,
        "expr": rule.condition,
        **held,
        "labels": labels,
        "annotations": {"summary": _literal(rule.summary), "description": description},
    }


def _scrape(job: str, target: str) -> dict[str, Any]:
    address, slash, path = target.partition("/")
    static = {"static_configs": [{"targets": [address]}]}
    return {"job_name": job, **({"metrics_path": slash + path} if path else {}), **static}


def _guarded(token_file: str) -> dict[str, Any]:
    credentials = {"type": "Bearer", "credentials_file": token_file}
    return {"authorization": credentials, "scrape_interval": "5s", "scrape_timeout": "5s"}


def _literal(text: str) -> str:
    """``text`` such that Prometheus' template language leaves it as it is."""
    return text.replace("{{", _OPENING)


def _yaml(content: Mapping[str, Any]) -> str:
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=1000)
