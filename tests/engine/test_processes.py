"""The real worker, beat and auditor over a real broker: their hearts beat, and doctor sees which one stops."""

import json
import os
import signal
import subprocess
import sys
from contextlib import ExitStack
from time import monotonic, sleep

from celery.signals import worker_init
from django.conf import settings

from sre_platform.embedded.parts import broker_command, free_ports
from sre_platform.engine.signals import USED_BY_TASKS, load_plugins

CELERY = [sys.executable, "-m", "celery", "-A", "sre_platform"]
MANAGE = [sys.executable, "manage.py"]
PROGRAMS = {
    "worker": [
        *CELERY,
        "worker",
        "--concurrency",
        "1",
        "--without-gossip",
        "--without-mingle",
        "--loglevel",
        "WARNING",
    ],
    "beat": [*CELERY, "beat", "--loglevel", "WARNING", "--pidfile="],
    "auditor": [*MANAGE, "auditor", "--every", "1"],
}


def doctor(env) -> tuple[int, dict[str, bool | None]]:
    command, home = [*MANAGE, "doctor", "--json"], settings.BASE_DIR
    done = subprocess.run(command, env=env, cwd=home, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, {check["name"]: check["ok"] for check in json.loads(done.stdout)["checks"]}


def wait_until(env, code: int, **expected: bool) -> dict[str, bool | None]:
    deadline = monotonic() + 60
    while monotonic() < deadline:
        ended, found = doctor(env)
        if ended == code and expected.items() <= found.items():
            return found
        sleep(0.5)
    raise AssertionError(f"doctor ended with {ended}: {found}")


def test_all_is_well_with_all_processes_and_each_that_goes_is_missed(tmp_path):
    port = free_ports({"broker": 0})["broker"]
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("SRE_", "PROMETHEUS"))}
    env = kept | {"SRE_DATA": str(tmp_path), "SRE_ENV_FILE": "/nonexistent"}
    env |= {"SRE_REDIS_URL": f"redis://127.0.0.1:{port}/0"}
    (tmp_path / "run").mkdir()
    subprocess.run([*MANAGE, "migrate", "-v0"], env=env, cwd=settings.BASE_DIR, check=True, timeout=60)
    with ExitStack() as started, (tmp_path / "log").open("w") as log:
        running = {}
        for name, command in {"broker": broker_command(port), **PROGRAMS}.items():
            process = subprocess.Popen(command, env=env, cwd=settings.BASE_DIR, stdout=log, stderr=log)
            started.callback(process.wait, 30)
            started.callback(process.terminate)
            running[name] = process
        wait_until(env, 0, beat=True, workers=True, sweep=True, auditor=True, broker=True)
        running["beat"].send_signal(signal.SIGKILL)
        found = wait_until(env, 1, beat=False, sweep=False)
        assert (found["workers"], found["broker"], found["database"]) == (True, True, True)
        running["worker"].terminate()  # with its broker away it would take longer to say good-bye
        running["worker"].wait(30)
        running["broker"].send_signal(signal.SIGKILL)
        wait_until(env, 1, broker=False)


def test_a_worker_loads_all_plugins_before_it_forks_its_pool(monkeypatch):
    for registry in USED_BY_TASKS:
        monkeypatch.setattr(registry, "_loaded", {})
    assert load_plugins in worker_init._live_receivers(None)
    load_plugins()
    assert [registry.package for registry in USED_BY_TASKS if not registry._loaded] == []
