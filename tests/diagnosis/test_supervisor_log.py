from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from sre_platform.diagnosis.parsers.supervisor_log import about, ends
from tests.diagnosis.mutation import mutated

LOG = """2026-11-21 22:00:15,253 INFO waiting for payments to stop
2026-11-21 22:00:15,255 INFO stopped: payments (exit status 0)
2026-11-21 22:00:15,263 INFO spawned: 'payments' with pid 20035
2026-11-21 22:00:15,274 WARN exited: payments (exit status 2; not expected)
2026-11-21 22:00:16,294 INFO spawned: 'payments-canary' with pid 20060
2026-11-21 22:00:16,317 WARN exited: payments-canary (exit status 2; not expected)
2026-11-21 22:00:16,320 INFO success: payments entered RUNNING state, process has stayed up for > than 1 seconds
2026-11-21 22:00:16,330 WARN exited: payments (terminated by SIGKILL; not expected)
2026-11-21 22:00:18,000 INFO exited: payments (exit status 0; expected)
2026-11-21 22:00:18,338 INFO gave up: payments entered FATAL state, too many start retries too quickly
"""


def test_each_end_is_told_with_its_moment_how_who_asked_for_it_and_whether_it_had_run():
    found = ends(LOG, "payments")
    assert [(one.how, one.asked, one.ran) for one in found] == [
        ("exit status 0", True, False),
        ("exit status 2", False, False),
        ("terminated by SIGKILL", False, True),
        ("exit status 0", False, False),
    ]
    assert str(found[1].at) == "2026-11-21 22:00:15.274000"
    assert found[-1].at - found[1].at == timedelta(seconds=2.726)


def test_a_process_of_a_group_is_logged_by_its_own_name():
    assert ends(LOG, "shop:payments") == ends(LOG, "payments")
    assert ends(LOG, "orders") == []


def test_lines_about_another_process_with_a_similar_name_are_left_out():
    kept = about(LOG, "payments")
    assert len(kept.splitlines()) == 8
    assert "canary" not in kept
    assert ends(kept, "payments") == ends(LOG, "payments")


def test_a_moment_that_there_is_not_is_passed_over():
    damaged = LOG.replace("2026-11-21 22:00:15,274", "2026-13-41 27:00:15,274")
    assert ends(damaged, "payments") == [one for one in ends(LOG, "payments") if one.how != "exit status 2"]


@given(text=mutated(LOG) | st.text(), name=st.text(max_size=9) | st.just("payments"))
def test_any_text_has_ends_or_none(text, name):
    assert len(ends(text, name)) <= text.count("\n") + 1
    assert set(about(text, name).splitlines()) <= set(text.splitlines()) | {""}
