"""Roll-outs in the engine: walked by one worker at a time, asked for at the terminal, and told to people once."""

import json
import os
import pwd

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from sre_platform.catalog.models import Service
from sre_platform.engine import rollout_telling, rollouts, stuck, tasks
from sre_platform.rollouts import record, walk
from sre_platform.rollouts.models import Rollout
from sre_platform.rollouts.walk import Move, State, Wish
from sre_platform.tickets.models import LocalTicket
from tests.rollouts.scene import install, scene

pytestmark = pytest.mark.django_db


@pytest.fixture
def it(tmp_path, settings, monkeypatch):
    settings.SRE_TICKET_SYSTEMS = ["local"]
    monkeypatch.setattr(rollouts, "WALK_FOR_S", 0.3)
    monkeypatch.setattr(rollouts, "sleep", lambda seconds: None)
    with scene(tmp_path) as there:
        settings.SRE_SUPERVISOR_URL = there.supervisor.url
        install(there)
        yield there


def told(rollout, state, reason="Because."):
    lease = record.claim(rollout.pk, "worker")
    rollout.refresh_from_db()
    record.move(lease, rollout, Move(state, 0, reason), {})
    rollout.refresh_from_db()
    return rollout


def test_a_worker_walks_it_for_a_while_and_gives_it_back(it):
    rollout = it.begin()
    assert rollouts.advance(rollout.pk, "worker") == 0.0
    rollout.refresh_from_db()
    assert (rollout.state, rollout.claimed_by, it.envoy.weight) == (State.WALKING, "", 5)
    assert record.due(10) == [rollout.pk]


def test_what_somebody_holds_is_left_to_them(it):
    rollout = it.begin()
    record.claim(rollout.pk, "somebody")
    assert rollouts.advance(rollout.pk, "worker") is None
    assert (record.due(10), it.envoy.effects) == ([], [])


def test_an_end_is_the_end_for_the_worker_too(it):
    rollout = it.begin()
    record.ask(rollout.pk, Wish.ABORT, "ann")
    assert rollouts.advance(rollout.pk, "worker") is None
    rollout.refresh_from_db()
    assert (rollout.state, record.due(10)) == (State.ABORTED, [])


def test_a_plugin_that_breaks_is_noted_and_tried_again(it, monkeypatch):
    def broken(self, target):
        raise ZeroDivisionError("a plugin's slip")

    rollout = it.begin()
    monkeypatch.setattr("sre_platform.rollouts.routers.envoy.EnvoyRouter.observe", broken)
    rollouts.advance(rollout.pk, "worker")
    assert "ZeroDivisionError: a plugin's slip" in rollout.events.filter(name="failed_tick").first().reason
    rollout.refresh_from_db()
    assert (rollout.state, rollout.claimed_by) == (State.WALKING, "")


def test_one_whose_service_left_the_catalog_says_so_once_and_waits(it):
    rollout = it.begin()
    Service.objects.all().delete()
    for _ in range(3):
        Rollout.objects.update(due_at=timezone.now())
        assert rollouts.advance(rollout.pk, "worker") == rollouts.RETRY_S
    assert rollout.events.filter(name="trouble").count() == 1


def test_the_sweep_rings_for_what_is_due(it, monkeypatch):
    rung = []
    monkeypatch.setattr(tasks, "ring", lambda task, *row, **_: rung.append((task.name.rpartition(".")[2], *row)))
    rollout = it.begin()
    tasks.sweep()
    assert ("walk_rollout", rollout.pk) in rung
    told(rollout, State.ROLLED_BACK)
    rung.clear()
    tasks.sweep()
    assert ("tell_rollout", rollout.pk) in rung
    assert ("walk_rollout", rollout.pk) not in rung


@pytest.mark.parametrize(
    ("state", "closed"),
    [(State.WAITS_FOR_PERSON, False), (State.ROLLED_BACK, False), (State.FAILED, False), (State.PROMOTED, True)],
)
def test_people_are_told_once_with_the_reason(it, state, closed):
    rollout = told(it.begin(), state, "4 of 17 requests failed.")
    for _ in range(2):
        rollout_telling.tell(rollout.pk)
    ticket = LocalTicket.objects.get()
    assert (ticket.closed, rollout_telling.due(10)) == (closed, [])
    assert "4 of 17 requests failed." in ticket.body
    assert f"/rollouts/{rollout.pk}/" in ticket.body
    assert ticket.comments.count() == 1


def test_who_aborted_it_is_not_told_so(it):
    rollout = told(it.begin(), State.ABORTED)
    assert rollout_telling.due(10) == []
    rollout_telling.tell(rollout.pk)
    assert not LocalTicket.objects.exists()


def test_a_ticket_system_that_is_away_is_tried_again(it, settings):
    settings.SRE_TICKET_SYSTEMS = ["no_such_system"]
    rollout = told(it.begin(), State.ROLLED_BACK)
    rollout_telling.tell(rollout.pk)
    rollout.refresh_from_db()
    assert rollout.tell_at > timezone.now()
    settings.SRE_TICKET_SYSTEMS = ["local"]
    Rollout.objects.update(tell_at=timezone.now())
    rollout_telling.tell(rollout.pk)
    assert (LocalTicket.objects.count(), rollout_telling.due(10)) == (1, [])


def test_the_auditor_is_told_of_one_that_does_not_come_back(it):
    rollout = told(it.begin(), State.ROLLING_BACK, "The analysis fails the canary.")
    assert stuck.rollouts().ok
    Rollout.objects.update(state_since=timezone.now() - stuck.BACK_WITHIN * 2)
    [late] = stuck.rollouts().stuck
    assert (late.what, "The analysis fails" in late.why) == (f"roll-out {rollout.pk}", True)
    Rollout.objects.update(state=State.ROLLED_BACK, ended_at=timezone.now(), due_at=None)
    assert stuck.rollouts().ok


def test_one_ticket_system_that_is_away_keeps_nothing_from_the_others(it, settings):
    settings.SRE_TICKET_SYSTEMS = ["no_such_system", "local"]
    rollout = told(it.begin(), State.ROLLED_BACK)
    rollout_telling.tell(rollout.pk)
    rollout.refresh_from_db()
    assert LocalTicket.objects.get().comments.count() == 1
    assert rollout.tell_at > timezone.now(), "the other is tried again"


def test_who_has_no_name_on_this_machine_may_still_stop_things(it, capsys, monkeypatch):
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", {}.__getitem__)
    rollout = it.begin()
    assert json.loads(run(capsys, "abort", str(rollout.pk), "--json"))["wish"] == "abort"
    call_command("kill_switch", "on")
    assert f"user {os.getuid()}" in capsys.readouterr().out


def run(capsys, *words):
    call_command("rollout", *words)
    return capsys.readouterr().out


def test_it_is_begun_shown_and_asked_at_the_terminal(it, capsys):
    begun = json.loads(run(capsys, "start", "payments", "--to", "v2", "--steps", "10,100", "--header", "--json"))
    assert (begun["state"], begun["baseline"], begun["canary"]) == ("pending", "v1", "v2")
    assert begun["steps"] == [
        {"weight": 0, "label": "header"},
        {"weight": 10, "label": ""},
        {"weight": 100, "label": ""},
    ]
    pk = str(begun["id"])
    assert "payments" in run(capsys, "status")
    assert [row["id"] for row in json.loads(run(capsys, "status", "--json"))] == [begun["id"]]
    assert "started it" in run(capsys, "status", pk)
    for verb, wish in (("go-on", "go_on"), ("promote", "promote"), ("abort", "abort")):
        assert json.loads(run(capsys, verb, pk, "--json"))["wish"] == wish


@pytest.mark.parametrize(("state", "code"), [(State.PROMOTED, 0), (State.ROLLED_BACK, 1), (State.FAILED, 1)])
def test_who_watches_it_gets_an_exit_code(it, capsys, state, code):
    rollout = told(it.begin(), state)
    with pytest.raises(SystemExit) as ended:
        call_command("rollout", "status", str(rollout.pk), "--watch", "--json")
    assert ended.value.code == code
    assert json.loads(capsys.readouterr().out)["state"] == state


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["start", "payments", "--to", "v9"], "There is no release 'v9'"),
        (["start", "payments", "--to", "v2", "--steps", "a,b"], "no list of percentages"),
        (["start", "payments", "--to", "v2", "--step-seconds", "1"], "A step takes from"),
        (["status", "77"], "There is no roll-out 77"),
        (["abort", "77"], "There is no roll-out 77"),
    ],
)
def test_what_cannot_be_done_is_said_with_exit_code_2(it, words, says):
    with pytest.raises(CommandError, match=says) as error:
        call_command("rollout", *words)
    assert error.value.returncode == 2
    assert walk.STEPS == (5, 25, 50, 100)


def test_what_has_ended_takes_no_wish(it):
    rollout = told(it.begin(), State.ROLLED_BACK)
    with pytest.raises(CommandError, match="is rolled_back already"):
        call_command("rollout", "promote", str(rollout.pk))
    rollout.refresh_from_db()
    assert rollout.wish == ""


def test_the_auditor_is_told_of_one_that_nobody_walks(it):
    rollout = it.begin()
    assert stuck.rollouts().ok
    Rollout.objects.update(due_at=timezone.now() - stuck.WALKED_WITHIN * 2)
    assert [one.what for one in stuck.rollouts().stuck] == [f"roll-out {rollout.pk}"]
    record.claim(rollout.pk, "worker")
    assert stuck.rollouts().ok
