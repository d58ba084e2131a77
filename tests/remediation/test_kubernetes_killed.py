"""Real processes, really killed: whatever line a step's owner dies at, the API server sees the effect exactly once."""

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from threading import Event

import pytest
from django.conf import settings

from tests.fakes.kubernetes import serving_kubernetes
from tests.remediation.kube import CASES

KILLED = ("restart", "undo", "scale", "evict")
QUICK, LAST = 20, 24  # places of the quick test: among all lines, and among the last ones, after the effect


class Owners:
    """The program that forks owners of steps."""

    def __init__(self, process):
        self.process = process
        self.pid, self.forked = 0, Event()

    def ask(self, **order):
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()

    def answer(self):
        line = self.process.stdout.readline()
        assert line, "the program has ended"
        return json.loads(line)

    def write(self, shop, case):
        self.ask(do="write", name=case.name, params=case.params, handles=shop.target().handles)
        found = self.answer()
        assert found["written"]
        return found["step"]

    def carry(self, shop, step, **how):
        """Have a fresh owner carry the step out; what became of him and it."""
        self.forked.clear()
        self.ask(do="carry", step=step, handles=shop.target().handles, **how)
        self.pid = self.answer()["pid"]
        self.forked.set()
        return self.answer()

    def kill(self):
        """SIGKILL for the owner that is at work."""
        assert self.forked.wait(30)
        os.kill(self.pid, signal.SIGKILL)


@pytest.fixture(scope="module")
def owners(tmp_path_factory):
    data = tmp_path_factory.mktemp("owners")
    (data / "run").mkdir()
    env = {**os.environ, "SRE_DATA": str(data), "SRE_ENV_FILE": "/nonexistent", "SRE_DATABASE_URL": ""}
    command = [sys.executable, "-m", "tests.remediation.killed"]
    with (data / "log").open("w") as log:
        process = subprocess.Popen(
            command,
            env=env,
            cwd=settings.BASE_DIR,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        try:
            found = Owners(process)
            assert found.answer() == {"ready": True}, (data / "log").read_text()
            yield found
        finally:
            process.stdin.close()
            process.wait(30)
            process.stdout.close()


@contextmanager
def situation(case, owners, folder):
    """A fresh cluster in which the step is prepared."""
    with serving_kubernetes() as fake:
        shop = case.shop(fake, folder)
        step = owners.write(shop, case)
        fake.requests.clear()
        yield fake, shop, step


def finished(owners, fake, shop, step):
    """The next owner finishes it: the effect is there once."""
    fake.watch = lambda _number, _moment: None
    after = owners.carry(shop, step)
    return (after.get("outcome"), after["state"], len(fake.writes)) == ("done", "applied", 1)


def uninterrupted(case, owners, folder):
    with situation(case, owners, folder) as (fake, shop, step):
        done = owners.carry(shop, step)
        assert (done["outcome"], done["state"], len(fake.writes)) == ("done", "applied", 1)
        return done["lines"], len(fake.requests)


def rounds(case, owners, folder, places):
    """Kill an owner at each of these lines; the places at which the next owner did not finish it exactly once."""
    wrong, states = [], set()
    for place in places:
        with situation(case, owners, folder) as (fake, shop, step):
            died = owners.carry(shop, step, kill_at=place)
            states.add((died["state"], len(fake.writes)))
            if not died["killed"] or not finished(owners, fake, shop, step):
                wrong.append((place, died))
    return wrong, states


@pytest.mark.parametrize("which", KILLED)
def test_killed_at_a_line_the_next_owner_finishes_it_once(which, owners, tmp_path):
    case = CASES[which]
    lines, _ = uninterrupted(case, owners, tmp_path)
    assert lines > 50
    places = [*range(1, lines - LAST, lines // QUICK), *range(lines - LAST, lines + 1, 3)]
    wrong, states = rounds(case, owners, tmp_path, places)
    assert wrong == []
    assert states >= {("prepared", 0), ("applying", 0), ("applying", 1)}


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("which", KILLED)
def test_killed_at_any_line_from_its_beginning_on_the_next_owner_finishes_it_once(which, owners, tmp_path):
    """The first half of the lines only reads, and is sampled; of the second, each line is a place to die at."""
    case = CASES[which]
    lines, _ = uninterrupted(case, owners, tmp_path)
    wrong, states = rounds(case, owners, tmp_path, [*range(1, lines // 2, 10), *range(lines // 2, lines + 1)])
    assert wrong == []
    assert states >= {("prepared", 0), ("applying", 0), ("applying", 1)}


@pytest.mark.parametrize("moment", ["lost", "received", "answered"])
@pytest.mark.parametrize("which", KILLED)
def test_killed_at_a_request_the_next_owner_finishes_it_once(which, moment, owners, tmp_path):
    case = CASES[which]
    _, requests = uninterrupted(case, owners, tmp_path)
    done = []
    for number in range(1, requests + 1):
        with situation(case, owners, tmp_path) as (fake, shop, step):

            def watch(at, seen, number=number):
                if (at, seen) == (number, "answered" if moment == "answered" else "received"):
                    owners.kill()
                    if moment == "lost":
                        raise ConnectionError("the request never arrived")

            fake.watch = watch
            died = owners.carry(shop, step)
            assert died["killed"]
            done.append(finished(owners, fake, shop, step))
    assert done == [True] * requests
