"""Our evaluator and Prometheus' own, on the same recorded samples: same values, same firing instants."""

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from sre_platform.detection.domain import INACTIVE, AlertRule, step
from sre_platform.detection.export import rule_file
from sre_platform.detection.window import Window, evaluate
from sre_platform.kernel.promql import compile_sli
from sre_platform.kernel.sli import Sli
from tests import recordings

RECORDING = "shop.txt"
BAD = {"code": "~5.."}
SLIS = [
    *(Sli("error_ratio", "http_requests_total", bad=BAD, window_s=window) for window in (1, 2, 5, 7.5, 30)),
    Sli("error_ratio", "http_requests_total", labels={"instance": "shop-1:80"}, bad={"code": "503"}),
    Sli("error_ratio", "http_requests_total", labels={"instance": "shop-9:80"}, bad=BAD),
    *(Sli("latency_quantile", "request_seconds", quantile=q, window_s=5) for q in (0, 0.01, 0.5, 0.9, 0.99, 1)),
    Sli("latency_quantile", "request_seconds", labels={"instance": "~.*-2:80"}, quantile=0.7, window_s=3),
    *(Sli("gauge", "queue_depth", aggregate=aggregate) for aggregate in ("max", "min", "sum")),
    Sli("gauge", "queue_depth", labels={"queue": 'slow "one" {{x}} \\'}),
    Sli("gauge", "up", aggregate="min"),
    *(Sli("growth", "heap_bytes", window_s=window) for window in (1, 5, 20)),
    Sli("growth", "heap_bytes", labels={"instance": "shop-2:80"}),
    *(Sli("rate", "http_requests_total", window_s=window) for window in (1, 1.5, 5, 60)),
    Sli("rate", "http_requests_total", labels={"code": "503"}, window_s=4),
    Sli("rate", "http_requests_total", labels={"code": "~404|503", "queue": ""}, window_s=9),
]
# Off the seconds too, so that ranges begin and end between samples.
INSTANTS_MS = [*range(0, 64000, 1000), *range(333, 70000, 1700)]
RULES = [
    AlertRule("Errors", "shop", SLIS[2], ">", 0.08, for_s=0),
    AlertRule("ErrorsHeld", "shop", SLIS[2], ">", 0.08, for_s=5, severity="critical", summary="{{ not a template }}"),
    AlertRule("QueueFull", "shop", Sli("gauge", "queue_depth"), ">=", 60, for_s=2, labels={"team": "mail"}),
    AlertRule("QueueSlow", "shop", SLIS[17], ">", 50, for_s=3),
    AlertRule("Down", "shop", Sli("gauge", "up", aggregate="min"), "<", 1, for_s=1),
    AlertRule("Slow", "shop", SLIS[11], ">", 0.4, for_s=1.5),
    AlertRule("Quiet", "shop", Sli("rate", "http_requests_total"), "<=", 45, for_s=0),
]


@pytest.fixture
def promtool(tmp_path):
    """Runs ``promtool test rules`` over the recording with the given expression tests."""
    binary = shutil.which("promtool")
    if binary is None:
        pytest.skip("promtool is not installed (Debian: apt-get install prometheus)")

    def run(tests: list[dict], rules: str) -> None:
        (tmp_path / "rules.yml").write_text(rules)
        series = [{"series": name, "values": " ".join(row)} for name, row in recordings.rows(RECORDING).items()]
        test = {"interval": "1s", "input_series": series, "promql_expr_test": tests}
        plan = {"rule_files": ["rules.yml"], "evaluation_interval": "1s", "tests": [test]}
        (tmp_path / "test.yml").write_text(yaml.safe_dump(plan))
        _passes(binary, "check", "rules", str(tmp_path / "rules.yml"))
        _passes(binary, "test", "rules", str(tmp_path / "test.yml"))

    return run


def _passes(*command: str | Path) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr)[:5000]


def _expectation(sli: Sli, value: float | None, at_ms: int) -> dict:
    expression = f"({compile_sli(sli)})"
    if value is None:  # NaN is not equal to itself, so this is empty for "no data" and for 0/0
        test, samples = f"{expression} == {expression}", []
    else:
        test = f"abs({expression} - ({value!r})) <= bool {1e-9 * max(1.0, abs(value))!r}"
        samples = [{"labels": "{}", "value": 1}]
    return {"expr": test, "eval_time": f"{at_ms}ms", "exp_samples": samples}


def test_values_agree_with_prometheus(promtool):
    window, expected, rounds = Window(keep_s=61), [], dict(recordings.rounds(RECORDING))
    for at_ms in sorted(INSTANTS_MS):
        for second in [second for second in rounds if second * 1000 <= at_ms]:
            window.add(second, rounds.pop(second))
        expected += [(sli, evaluate(sli, window, at_ms / 1000), at_ms) for sli in SLIS]
    assert sum(value is not None for _, value, _ in expected) > len(expected) / 2
    for kind in ("error_ratio", "latency_quantile", "gauge", "growth", "rate"):
        assert len({value for sli, value, _ in expected if sli.kind == kind}) > 30
    promtool([_expectation(*each) for each in expected], rule_file(RULES))


def _phases(rule: AlertRule) -> dict[int, str]:
    """The phase of ``rule``'s alert at every second of the recording."""
    window, state, rounds, phases = Window(keep_s=31), INACTIVE, dict(recordings.rounds(RECORDING)), {}
    for second in range(64):
        if second in rounds:
            window.add(second, rounds[second])
        state = step(rule, state, evaluate(rule.sli, window, second), second)
        phases[second] = state.phase
    return phases


def test_alerts_fire_and_end_at_the_same_instants_as_in_prometheus(promtool):
    tests = []
    for rule in RULES:
        phases = _phases(rule)
        assert len(set(phases.values()) - {"pending"}) == 2, (
            f"{rule.name} must both fire and not fire to prove anything"
        )
        for second, actual in phases.items():
            for phase in ("pending", "firing"):
                count = f'count(ALERTS{{alertname="{rule.name}",alertstate="{phase}"}}) or vector(0)'
                samples = [{"labels": "{}", "value": int(actual == phase)}]
                tests.append({"expr": count, "eval_time": f"{second}s", "exp_samples": samples})
    promtool(tests, rule_file(RULES))
