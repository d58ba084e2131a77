"""Workers that are really killed: a forked process walks until it sends itself SIGKILL before a chosen line.

Nothing of it is cleaned up. Envoy, the supervisor and the pages live in this process, which then lets another worker
go on and looks at what has reached them.
"""

import os
import random
import signal
import sys
from pathlib import Path

import pytest
from django.db import connections

import sre_platform
from sre_platform.clients import releases
from sre_platform.rollouts.models import Rollout
from sre_platform.rollouts.walk import State
from tests.rollouts.scene import BASELINE, CANARY
from tests.rollouts.test_walking import older

pytestmark = pytest.mark.django_db(transaction=True)
ROOT = str(Path(sre_platform.__file__).parent)
INSIDE = ("/rollouts/hands", "/rollouts/record", "/rollouts/walking", "/remediation/traffic", "/remediation/restarting")
INSIDE += ("/clients/envoy", "/clients/releases", "/clients/supervisor")
PLACES = 15  # of each way, drawn by a seed; the first and the last lines always


def killed_before(line: int, work) -> int:
    """Do ``work`` in a process that dies before its ``line``-th line of ours; returns 0 then, else how many it had."""
    connections.close_all()  # or parent and child would share one
    read, write = os.pipe()
    pid = os.fork()
    if not pid:
        _child(line, work, write)
    os.close(write)
    said = os.read(read, 100)
    os.close(read)
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return 0
    assert os.WEXITSTATUS(status) == 0
    return int(said)


def _child(line, work, write):
    count = 0

    def trace(frame, event, _arg):
        nonlocal count
        if not frame.f_code.co_filename.startswith(tuple(ROOT + part for part in INSIDE)):
            return None
        if event == "line":
            count += 1
            if count == line:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    try:
        sys.settrace(trace)
        work()
        sys.settrace(None)
        os.write(write, str(count).encode())
        os._exit(0)
    finally:
        os._exit(1)


def traffic(it, code):
    """From now on ten requests are served by the canary between two readings."""

    def served():
        it.envoy.clusters["stable"].serve("2", 190)
        it.envoy.clusters["canary"].serve(code, 10)

    it.envoy.traffic = served


def walk_on(it, rollout, until, owner="worker"):
    """Tick in the hands of one owner until it is there."""
    walking = it.walk(rollout, owner)
    for _ in range(60):
        rollout.refresh_from_db()
        if rollout.state == State.WALKING:
            older(rollout, 11)
        walking.tick()
        rollout.refresh_from_db()
        if rollout.state in until:
            return rollout
    raise AssertionError(f"still {rollout.state}")


def fresh(it, state):
    """A new roll-out in a world as it was at first, brought to ``state``."""
    Rollout.objects.all().delete()
    traffic(it, "2")
    it.envoy.runtime.clear()
    releases.switch(it.link, str(it.folder / "releases"), "v1")
    (it.folder / "canary").unlink(missing_ok=True)
    it.supervisor.processes[CANARY].die("STOPPED")
    it.supervisor.processes[BASELINE].spawn()
    rollout = it.begin()
    if state is not State.PENDING:
        walk_on(it, rollout, [state])
    it.supervisor.effects.clear()
    it.envoy.effects.clear()
    return rollout


def places(total):
    drawn = random.Random(5).sample(range(2, total), min(PLACES, total - 2))
    return sorted({1, *drawn, total})


def test_killed_anywhere_on_the_way_to_the_first_share(it):
    def way(rollout):
        return lambda: walk_on(it, rollout, [State.ANALYSING])

    total = killed_before(0, way(fresh(it, State.PENDING)))
    for line in places(total):
        rollout = fresh(it, State.PENDING)
        killed_before(line, way(rollout))
        walk_on(it, rollout, [State.ANALYSING], owner="the next owner")
        assert (it.envoy.weight, it.runs(CANARY), it.release) == (5, True, "v1"), line
        assert it.supervisor.effects == [("start", CANARY)], line


def test_killed_anywhere_on_the_way_back(it):
    def way(rollout):
        traffic(it, "5")
        return lambda: walk_on(it, rollout, [State.ROLLED_BACK])

    total = killed_before(0, way(fresh(it, State.ANALYSING)))
    for line in places(total):
        rollout = fresh(it, State.ANALYSING)
        killed_before(line, way(rollout))
        if not Rollout.objects.get(pk=rollout.pk).ended:
            walk_on(it, rollout, [State.ROLLED_BACK], owner="the next owner")
        assert Rollout.objects.get(pk=rollout.pk).state == State.ROLLED_BACK, line
        assert (it.envoy.weight, it.runs(CANARY), it.runs(BASELINE)) == (0, False, True), line
        assert it.supervisor.effects == [("stop", CANARY)], line


def test_killed_anywhere_while_it_is_promoted(it):
    def way(rollout):
        return lambda: walk_on(it, rollout, [State.PROMOTED])

    def begun():
        rollout = fresh(it, State.ANALYSING)
        Rollout.objects.filter(pk=rollout.pk).update(state=State.PROMOTING, step=2)
        return rollout

    total = killed_before(0, way(begun()))
    for line in places(total):
        rollout = begun()
        killed_before(line, way(rollout))
        if not Rollout.objects.get(pk=rollout.pk).ended:
            walk_on(it, rollout, [State.PROMOTED], owner="the next owner")
        assert Rollout.objects.get(pk=rollout.pk).state == State.PROMOTED, line
        assert (it.envoy.weight, it.release, it.runs(CANARY), it.runs(BASELINE)) == (0, "v2", False, True), line
        assert it.supervisor.effects == [("stop", BASELINE), ("start", BASELINE), ("stop", CANARY)], line
