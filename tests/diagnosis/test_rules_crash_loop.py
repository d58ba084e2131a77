import pytest
from hypothesis import given
from hypothesis import strategies as st

from sre_platform.diagnosis.domain import Finding
from sre_platform.diagnosis.rules.crash_loop import RECENT_LINES, CrashLoop
from sre_platform.diagnosis.rules.process_down import ProcessDown
from tests.diagnosis.mutation import mutated
from tests.diagnosis.scene import seen
from tests.diagnosis.test_crash import PANIC, TRACEBACK

RUNS = "2026-11-21 22:00:01,270 INFO success: payments entered RUNNING state, process has stayed up\n"
ENDS = "".join(
    f"{RUNS}2026-11-21 22:00:{second:02},274 WARN exited: payments (exit status 2; not expected)\n"
    for second in (1, 15, 30)
)
STOPPED = "2026-11-21 22:00:31,000 INFO stopped: payments (exit status 0)\n"
FACTS = {"process": "payments", "pid": 0, "up_s": 0, "down_s": 2, "since_end_s": 2, "exit_status": 2}


def process(state, **facts):
    return seen("process", state=state, **(FACTS | facts))


def log(output=PANIC, supervisor=ENDS):
    return seen("process_log", {"output": output, "supervisor": supervisor})


def judge(*evidence):
    return CrashLoop().judge("payments", {name: item for one in evidence for name, item in one.items()})


@pytest.mark.parametrize("state", ["BACKOFF", "FATAL"])
def test_what_its_supervisor_calls_a_loop_is_one_with_the_line_of_its_last_words(state):
    finding = judge(process(state, complaint="Exited too quickly"), log())
    assert (finding.cause, finding.service, finding.state, finding.count) == ("crash_loop", "payments", state, 3)
    assert (finding.site.file, finding.site.line) == ("lab/payments/config_v4.go", 11)
    assert finding.because == [
        f"payments: its supervisor says {state} (Exited too quickly).",
        "It ended by itself 3 times within 29 s, the last time with exit status 2.",
        "The last words in its log are 'panic: assignment to entry in nil map', at lab/payments/config_v4.go:11 in"
        " main.limits.",
    ]


def test_it_is_one_without_any_log_too_and_stands_before_that_the_process_is_not_there():
    finding = judge(process("FATAL"))
    assert (finding.site, finding.count) == (None, None)
    down = ProcessDown().judge("payments", process("EXITED"))
    assert judge(process("FATAL"), log()).confidence > finding.confidence > down.confidence
    assert ProcessDown().judge("payments", process("FATAL")) is None


def test_a_traceback_names_the_line_of_a_python_service():
    assert str(judge(process("BACKOFF"), log(TRACEBACK)).site) == "/app/shop/main.py:12"


@pytest.mark.parametrize("state", ["RUNNING", "STARTING", "EXITED"])
def test_three_ends_within_a_minute_are_a_loop_whatever_it_is_doing_now(state):
    assert judge(process(state), log()).count == 3
    assert judge(process(state), log(supervisor=ENDS.replace("exited", "spawned", 1))) is None


def test_ends_that_lie_further_apart_or_back_are_none():
    assert judge(process("RUNNING"), log(supervisor=ENDS.replace("22:00:01", "21:00:01"))) is None
    assert judge(process("RUNNING", since_end_s=31), log()).count == 3  # 29 s between the first and the last
    assert judge(process("RUNNING", since_end_s=32), log()) is None
    assert judge(process("EXITED", since_end_s=None), log()) is None


def test_a_process_that_runs_has_got_over_the_ends_before_it_ever_ran():
    assert judge(process("RUNNING"), log(supervisor=ENDS.replace(RUNS, ""))) is None
    assert judge(process("STARTING"), log(supervisor=ENDS.replace(RUNS, ""))).count == 3


def test_what_somebody_stopped_is_no_loop_nor_what_came_before():
    assert judge(process("STOPPED"), log()) is None
    assert judge(process("EXITED"), log(supervisor=ENDS.replace("exited", "stopped"))) is None
    assert judge(process("RUNNING"), log(supervisor=ENDS + STOPPED)) is None
    assert judge(process("FATAL"), log(supervisor=ENDS + STOPPED + ENDS.splitlines(keepends=True)[-1])).count == 1


def test_a_crash_that_much_was_logged_after_explains_nothing():
    assert judge(process("FATAL"), log(PANIC + "well\n" * (RECENT_LINES - 1))).site
    assert judge(process("FATAL"), log(PANIC + "well\n" * RECENT_LINES)).site is None


def test_missing_evidence_is_no_finding():
    assert judge() is None
    assert judge(log()) is None
    assert judge(seen("process", missing="nobody answers"), log()) is None
    assert judge(process("FATAL"), seen("process_log", missing="NO_FILE")).count is None


@given(
    output=mutated(PANIC) | mutated(TRACEBACK),
    supervisor=mutated(ENDS) | st.text(),
    state=st.sampled_from(["BACKOFF", "RUNNING", "EXITED"]) | st.none() | st.text(max_size=3),
    number=st.none() | st.floats() | st.integers() | st.text(max_size=3),
)
def test_any_evidence_is_a_finding_or_none(output, supervisor, state, number):
    facts = {"process": number, "state": state, "since_end_s": number, "complaint": number}
    finding = judge(seen("process", **facts), log(output, supervisor))
    assert finding is None or (isinstance(finding, Finding) and all(said.endswith(".") for said in finding.because))
    assert finding is not None or state != "BACKOFF"
