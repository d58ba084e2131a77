"""CPU saturation: one function that dominates, and goroutines that wait for a processor; neither alone is a finding."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sre_platform.diagnosis.domain import Evidence
from sre_platform.diagnosis.rca.weighing import THREE_AGREE, TWO_AGREE
from sre_platform.diagnosis.rules.cpu_saturated import CpuSaturated
from tests.diagnosis.mutation import mutated
from tests.diagnosis.pprof import CPU, profile
from tests.diagnosis.runtime_scene import latencies, metrics
from tests.diagnosis.scene import OPENED

PERIOD = 10_000_000  # 100 samples a second
SLOW, FAST = latencies(29, 11), latencies(30, 10)


def cpu(hot, rest=10, seconds=2.0):
    rows = [(["main.spin:33", "main.main:9"], [hot, hot * PERIOD], 0), (["main.quote:41"], [rest, rest * PERIOD], 0)]
    return Evidence("go_profiles", "payments", OPENED, {}, profiles={"cpu": profile(CPU, rows, PERIOD, seconds)})


def objectives(value, met):
    row = {"name": "P99 of payments", "value": value, "op": "<=", "threshold": 0.3, "met": met, "missing": ""}
    return Evidence("sli_window", "payments", OPENED, {"objectives": [row]})


def judge(*evidence):
    return CpuSaturated().judge("payments", {item.collector: item for item in evidence})


def test_a_function_that_dominates_and_goroutines_that_wait():
    finding = judge(cpu(190), metrics(SLOW))
    assert (finding.cause, finding.family, finding.evidence, finding.confidence) == (
        "go.cpu.saturated", "cpu", "profile", TWO_AGREE,
    )  # fmt: skip
    assert (finding.site.function, str(finding.site), finding.count) == ("main.spin", "shop/main.go:33", 190)
    assert finding.because[0] == (
        "payments: main.spin takes 95% of the CPU samples (190 of 200), which is 0.95 CPU seconds a second. Its hottest"
        " line is shop/main.go:33."
    )
    assert finding.because[1].startswith("A quarter of the goroutines that could run waited longer than ")


def test_users_who_feel_it_make_it_surer():
    finding = judge(cpu(190), metrics(SLOW), objectives(0.45, False))
    assert finding.confidence == THREE_AGREE
    assert finding.because[-1] == "P99 of payments is 0.45, and has to be <= 0.3."
    assert judge(cpu(190), metrics(SLOW), objectives(0.2, True)).confidence == TWO_AGREE
    assert judge(cpu(190), metrics(SLOW), objectives(None, None)).confidence == TWO_AGREE


@pytest.mark.parametrize(
    ("evidence", "why"),
    [
        ((cpu(190), metrics(FAST)), "a busy function that few wait for"),
        ((cpu(190), metrics(latencies(28, 11))), "too few waits to know"),
        ((cpu(190), metrics(SLOW, SLOW)), "those who waited did so before"),
        ((cpu(190),), "nothing is known of waits"),
        ((metrics(SLOW),), "a busy machine"),
        ((cpu(100, 100), metrics(SLOW)), "half of it"),
        ((cpu(110, 90), metrics(SLOW)), "55%, which may be chance"),
        ((cpu(45, 0), metrics(SLOW)), "all samples, but less than a quarter of a CPU"),
        ((cpu(0, 0), metrics(SLOW)), "no samples"),
        ((cpu(190, seconds=0.0), metrics(SLOW)), "a profile of unknown length"),
        ((Evidence("go_profiles", "payments", OPENED, missing="404"), metrics(SLOW)), "no profile"),
    ],
)
def test_what_is_no_saturation(evidence, why):
    assert judge(*evidence) is None, why


def test_what_counts_begins_where_chance_ends():
    assert judge(cpu(120, 80), metrics(SLOW)).count == 120
    assert judge(cpu(50, 0), metrics(SLOW)).count == 50


@given(page=mutated(SLOW), hot=st.integers(0, 10**6), rest=st.integers(0, 10**6), cut=st.integers(0, 400))
def test_any_evidence_is_a_finding_or_none(page, hot, rest, cut):
    whole = cpu(hot, rest)
    parts = {"cpu": whole.profiles["cpu"][: cut or None]}
    finding = judge(Evidence("go_profiles", "payments", OPENED, {}, profiles=parts), metrics(page))
    assert finding is None or all(said.endswith(".") for said in finding.because)
