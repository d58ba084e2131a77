"""Every line about an incident says which; also Celery's own about a task. Told in a process of its own."""

import json
import os
import subprocess
import sys

import pytest
from django.conf import settings

SCRIPT = """
import logging, django
django.setup()
from django.core.management import call_command
call_command("migrate", verbosity=0)
from sre_platform.engine import approvals, signals, tasks
from sre_platform.incidents.domain import State
from sre_platform.intake.models import Delivery
from sre_platform.kernel.clock import now
from sre_platform.tickets import desk
from sre_platform.tickets.models import Ticket
from tests.fakes.leases import incident

one = incident(State.AWAITING_APPROVAL, pk=41)
approvals.decide(one.pk, "ada", approved=False)
ticket = Ticket.objects.create(pk=51, incident=one, key="k", title="t", body="b", due_at=now(), system="nowhere")
desk.deliver(ticket.pk)
tasks.ring(tasks.advance, 61)
tasks.line = None  # whatever the reason: the task fails
tasks.advance.apply((71,))
signals.name_it(task=tasks.advance, args=(81,))
logging.getLogger("some.library").warning("odd")
signals.name_it(task=tasks.sweep, args=())
logging.getLogger("some.library").warning("even")
"""


@pytest.fixture(scope="module")
def lines(tmp_path_factory):
    data = tmp_path_factory.mktemp("logs")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("SRE_", "PROMETHEUS"))}
    env = {"SRE_DATA": str(data), "SRE_ENV_FILE": "/nonexistent", "SRE_REDIS_URL": "redis://127.0.0.1:1/0"}
    command = [sys.executable, "-c", SCRIPT]
    done = subprocess.run(
        command, env=kept | env, capture_output=True, text=True, timeout=60, check=False, cwd=settings.BASE_DIR
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stderr.splitlines()]


def about(lines, event: str) -> list[dict]:
    return [line for line in lines if line["event"].startswith(event)]


def test_a_persons_decision_names_its_incident(lines):
    [moved] = about(lines, "incident_moved")
    assert (moved["incident"], moved["stage"]) == (41, "approval")


def test_a_ticket_that_is_not_delivered_names_its_incident(lines):
    [said] = about(lines, "ticket_not_delivered")
    assert (said["incident"], said["ticket"]) == (41, 51)


def test_a_bell_that_was_not_rung_names_what_it_was_for(lines):
    assert [said.get("incident") for said in about(lines, "bell_not_rung")] == [41, 61]


def test_celerys_own_traceback_of_a_task_names_what_it_was_about(lines):
    failed = [line for line in lines if line.get("logger", "").startswith("celery") and "exception" in line]
    assert [line["incident"] for line in failed] == [71]


def test_the_standard_librarys_lines_inside_a_task_name_it_and_those_after_it_do_not(lines):
    assert [line.get("incident") for line in about(lines, "odd") + about(lines, "even")] == [81, None]
