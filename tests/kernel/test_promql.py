import re
import shutil
import subprocess

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from sre_platform.kernel.errors import Malformed
from sre_platform.kernel.promql import compile_rule, compile_sli, duration, quoted
from sre_platform.kernel.sli import Sli


@pytest.mark.parametrize(
    ("sli", "promql"),
    [
        (
            Sli("error_ratio", "m", labels={"job": "a"}, bad={"code": "~5.."}),
            '(sum(rate(m{job="a",code=~"5.."}[5s])) or 0 * sum(rate(m{job="a"}[5s]))) / sum(rate(m{job="a"}[5s]))',
        ),
        (
            Sli("latency_quantile", "m", quantile=0.5, window_s=1.5),
            "histogram_quantile(0.5, sum by (le) (rate(m_bucket[1500ms])))",
        ),
        (Sli("gauge", "m", labels={"b": "", "a": "x"}, aggregate="min"), 'min(m{a="x",b=""})'),
        (Sli("growth", "m", window_s=60), "sum(deriv(m[60s]))"),
        (Sli("rate", "a:b", labels={"x": 'q"\\\n'}), r'sum(rate(a:b{x="q\"\\\n"}[5s]))'),
    ],
)
def test_each_kind(sli, promql):
    assert compile_sli(sli) == promql


def test_a_rule():
    assert compile_rule(Sli("gauge", "m"), ">=", 1e-7) == "max(m) >= 1e-07"


@pytest.mark.parametrize(
    ("sli", "message"),
    [
        (Sli("gauge", "a-b"), "not a metric name"),
        (Sli("gauge", "m} or vector(1"), "not a metric name"),
        (Sli("gauge", "m", labels={"a-b": "x"}), "not a label name"),
        (Sli("gauge", "m", labels={"__name__": "x"}), "not a label name"),
        (Sli("gauge", "m", labels={"a": "~("}), "does not compile"),
        (Sli("gauge", "m", labels={"a": "~(?=x)"}), "RE2"),
        (Sli("gauge", "m", labels={"a": r"~(x)\1"}), "RE2"),
        (Sli("gauge", "m", labels={"a": "~x++"}), "RE2"),
        (Sli("gauge", "m", bad={"a": "x"}), "must leave it empty"),
        (Sli("error_ratio", "m"), "error_ratio needs it"),
        (Sli("rate", "m", window_s=0), "duration"),
        (Sli("rate", "m", window_s=float("nan")), "duration"),
        (Sli("latency_quantile", "m", quantile=1.1), "quantile"),
        (Sli("sum", "m"), "known are: error_ratio"),  # type: ignore[arg-type]
    ],
)
def test_refuses_what_prometheus_would_not_take(sli, message):
    with pytest.raises(Malformed, match=message):
        compile_sli(sli)


def test_refuses_other_comparisons_and_thresholds():
    with pytest.raises(Malformed, match="comparison"):
        compile_rule(Sli("gauge", "m"), "==", 1)  # type: ignore[arg-type]
    with pytest.raises(Malformed, match="finite"):
        compile_rule(Sli("gauge", "m"), ">", float("inf"))


@given(st.text())
def test_quoting_can_be_undone_and_never_ends_the_literal_early(text):
    literal = quoted(text)
    assert re.fullmatch(r'"(?:[^"\\\n]|\\["\\n])*"', literal)
    undone = re.sub(r"\\(.)", lambda found: "\n" if found[1] == "n" else found[1], literal[1:-1])
    assert undone == text


@given(st.floats(0.001, 1e7))
def test_durations_are_whole_milliseconds(seconds):
    number, unit = re.fullmatch(r"([0-9]+)(ms|s)", duration(seconds)).groups()
    assert abs(int(number) * (1 if unit == "ms" else 1000) - seconds * 1000) <= 0.5000001


def test_promtool_accepts_ugly_label_values(tmp_path):
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed")
    ugly = [
        '"',
        "\\",
        "\n",
        '\\"',
        "{{ . }}",
        "'`",
        "é\u2028☃",
        "} or vector(1) #",
        "\t\x01",
        "~",
        "~a|b{2,3}\\.(?i:x)",
    ]
    rules = [{"alert": "A", "expr": compile_rule(Sli("gauge", "m", labels={"a": text}), ">", 0)} for text in ugly]
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "g", "rules": rules}]}))
    done = subprocess.run(
        [promtool, "check", "rules", tmp_path / "rules.yml"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
