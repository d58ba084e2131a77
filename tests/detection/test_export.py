import shutil
import subprocess

import pytest
import yaml

from sre_platform.detection.domain import AlertRule
from sre_platform.detection.export import alertmanager_config, prometheus_config, rule_file
from sre_platform.kernel.sli import Sli

RULES = [
    AlertRule(
        "Queue", "orders", Sli("gauge", "depth", labels={"q": "{{ x }}"}), ">", 10, for_s=2.5, summary="{{ a }} it's"
    ),
    AlertRule(
        "Busy", "a: {{b}}", Sli("rate", "n_total"), "<=", 1e-9, labels={"team": "mail: [x]"}, severity="critical"
    ),
]


def _accepted(*command):
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_rules(tmp_path):
    text = rule_file(RULES)
    [group] = yaml.safe_load(text)["groups"]
    first, second = group["rules"]
    assert (group["interval"], first["alert"], first["for"], "for" in second) == ("1s", "Queue", "2500ms", False)
    assert first["labels"] == {"service": "orders", "severity": "warning"}
    assert second["labels"] == {"service": 'a: {{ "{{" }}b}}', "severity": "critical", "team": "mail: [x]"}
    assert first["annotations"]["summary"] == """{{ "{{" }} a }} it's"""
    assert first["annotations"]["description"].endswith('the value is {{ printf "%.4g" $value }}.')
    (tmp_path / "rules.yml").write_text(text)
    _accepted("promtool", "check", "rules", str(tmp_path / "rules.yml"))
    (tmp_path / "none.yml").write_text(rule_file([]))
    _accepted("promtool", "check", "rules", str(tmp_path / "none.yml"))


def test_prometheus(tmp_path):
    (tmp_path / "rules.yml").write_text(rule_file(RULES))
    targets = {"shop": "127.0.0.1:80", "envoy": "127.0.0.1:81/stats/prometheus"}
    rules = str(tmp_path / "rules.yml")
    (tmp_path / "token").write_text("secret")
    known = {"sre-platform": ("127.0.0.1:8000", str(tmp_path / "token"))}
    for alertmanager in ("127.0.0.1:9093", ""):
        (tmp_path / "p.yml").write_text(prometheus_config(targets, rules, alertmanager, with_token=known))
        _accepted("promtool", "check", "config", str(tmp_path / "p.yml"))
    _, envoy, platform = yaml.safe_load((tmp_path / "p.yml").read_text())["scrape_configs"]
    assert platform["authorization"] == {"type": "Bearer", "credentials_file": str(tmp_path / "token")}
    assert (envoy["metrics_path"], envoy["static_configs"]) == ("/stats/prometheus", [{"targets": ["127.0.0.1:81"]}])


def test_alertmanager(tmp_path):
    text = alertmanager_config("http://127.0.0.1:8000/hooks/alertmanager", "/run/token")
    assert "http://127.0.0.1:8000/hooks/alertmanager" in text
    (tmp_path / "a.yml").write_text(text)
    _accepted("amtool", "check-config", str(tmp_path / "a.yml"))
