import pytest

from sre_platform.diagnosis.rules.process_down import ProcessDown
from tests.diagnosis.scene import seen


def judge(state, exit_status=3):
    facts = {"process": "payments", "pid": 0, "up_s": 0, "down_s": 12, "exit_status": exit_status}
    return ProcessDown().judge("payments", seen("process", state=state, **facts))


@pytest.mark.parametrize("state", ["EXITED", "STOPPED"])
def test_a_process_that_is_not_there(state):
    finding = judge(state)
    assert (finding.cause, finding.service, finding.confidence, finding.state) == (
        "process_down",
        "payments",
        0.95,
        state,
    )
    assert f"its supervisor says {state} for 12 s, ended with status 3" in finding.because[0]


def test_a_process_that_a_signal_ended():
    assert "ended by a signal" in judge("EXITED", -1).because[0]


@pytest.mark.parametrize("state", ["RUNNING", "STARTING", "BACKOFF", "FATAL", "STOPPING", "UNKNOWN"])
def test_a_process_that_is_there_or_on_its_way_or_in_a_crash_loop(state):
    assert judge(state) is None


def test_missing_evidence_is_no_finding():
    assert ProcessDown().judge("payments", {}) is None
    assert ProcessDown().judge("payments", seen("process", missing="nobody answers")) is None
