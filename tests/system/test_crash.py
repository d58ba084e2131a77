"""kill -9 of the real worker, all its processes, in the middle of its work."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.system.stack import HOME, Stack, environment

pytestmark = [pytest.mark.system, pytest.mark.timeout(200)]

MOMENTS = {
    "in the diagnosis": "select 1 from incidents_incident where id > ? and state = 'open' and claimed_by != ''",
    "in the remediation": (
        "select 1 from remediation_step s join incidents_incident i on i.id = s.incident_id"
        " where i.id > ? and s.state = 'applying'"
    ),
    "in the verification": "select 1 from incidents_incident where id > ? and state = 'remediated'",
}


def kill_worker(stack: Stack) -> int:
    """Kill the worker and its children, which no longer have a parent to end them."""
    parent = stack.supervisor.process("worker").pid
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    for pid in [parent, *map(int, children)]:
        os.kill(pid, signal.SIGKILL)
    return parent


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_killed_worker_costs_time_but_nothing_is_lost_or_done_twice(stack: Stack, moment: str) -> None:
    [(newest,)] = stack.rows("select coalesce(max(id), 0) from incidents_incident")
    starts = stack.starts("payments")
    drill = subprocess.Popen(
        [sys.executable, str(HOME / "manage.py"), "drill", "payments/hung", "--json"],
        env=environment(stack.data),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    stack.wait_for(MOMENTS[moment], newest)
    killed = kill_worker(stack)
    drill.communicate(timeout=150)
    incidents = stack.rows("select id, state from incidents_incident where id > ?", newest)
    steps = stack.rows("select action, state, leads_to_id from remediation_step where incident_id > ?", newest)
    assert stack.supervisor.process("worker").pid != killed
    assert [state for _, state in incidents] == ["resolved"]
    repairs = [(action, state) for action, state, leads_to in steps if leads_to is None]
    assert repairs == [("restart_service", "kept")]
    assert [action for action, _, leads_to in steps if leads_to] == ["capture_evidence"]
    assert stack.starts("payments") == starts + 1, "payments was started more or less than once"
    if moment != "in the verification":
        taken_over = stack.rows(
            "select 1 from incidents_timelineentry where incident_id = ? and name = 'lease_expired'", incidents[0][0]
        )
        assert len(taken_over) == 1
