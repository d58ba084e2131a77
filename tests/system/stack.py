"""The real stack, driven from outside as a user would: processes, commands, HTTP, and the files it leaves."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from sre_platform.clients.supervisor import Supervisor
from sre_platform.kernel.envfile import read_env_file

HOME = Path(__file__).resolve().parents[2]
START_S, DRILL_S = 300, 150


def fresh(name: str) -> Path:
    """A data folder without history; what was built for the lab is kept."""
    data = HOME / "var" / name
    for old in data.glob("sre.sqlite3*"):
        old.unlink()
    shutil.rmtree(data / "prometheus", ignore_errors=True)
    return data


def manage(data: Path, *words: str, timeout_s: float = DRILL_S, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a management command in an environment that knows nothing but the data folder."""
    return subprocess.run(
        [sys.executable, str(HOME / "manage.py"), *words],
        env=environment(data, **env),
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


def environment(data: Path, **env: str) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("SRE_")}
    kept.pop("DJANGO_SETTINGS_MODULE", None)
    kept.pop("PROMETHEUS_MULTIPROC_DIR", None)  # this process's own
    return kept | {"SRE_DATA": str(data)} | env


@dataclass(frozen=True)
class Stack:
    """A running stack."""

    data: Path

    @property
    def env(self) -> dict[str, str]:
        return read_env_file(self.data / "run" / "env")

    @property
    def supervisor(self) -> Supervisor:
        return Supervisor(self.env["SRE_SUPERVISOR_URL"])

    def drill(self, name: str, timeout_s: float = DRILL_S) -> tuple[int, dict[str, Any], str]:
        """Exit code, report and progress of one drill."""
        done = manage(self.data, "drill", name, "--json", timeout_s=timeout_s)
        return done.returncode, json.loads(done.stdout) if done.stdout else {}, done.stderr

    def rows(self, sql: str, *args: Any) -> list[tuple[Any, ...]]:
        """What is in the database right now."""
        with closing(sqlite3.connect(self.data / "sre.sqlite3", timeout=20)) as database:
            return database.execute(sql, args).fetchall()

    def wait_for(self, sql: str, *args: Any, timeout_s: float = 60) -> tuple[Any, ...]:
        """The first row that the query finds within the time."""
        deadline = monotonic() + timeout_s
        while monotonic() < deadline:
            if found := self.rows(sql, *args):
                return found[0]
            sleep(0.01)
        raise AssertionError(f"nothing came of {sql} {args}")

    def starts(self, program: str) -> int:
        """How often the supervisor has started a program."""
        return (self.data / "log" / "supervisord.log").read_text().count(f"spawned: '{program}'")


@contextmanager
def running(name: str, *words: str, **env: str) -> Iterator[Stack]:
    """A stack that breaks nothing by itself, up while the block runs."""
    data = fresh(name)
    (data / "log").mkdir(parents=True, exist_ok=True)
    (data / "log" / "supervisord.log").unlink(missing_ok=True)
    with (data / "log" / "demo.log").open("w+") as log:
        demo = subprocess.Popen(
            [sys.executable, str(HOME / "manage.py"), "demo", "--no-drill", *words],
            env=environment(data, **env),
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=_as_a_job_in_the_background,  # noqa: PLW1509 one system call
        )
        try:
            _wait_until_up(demo, data / "log" / "demo.log")
            yield Stack(data)
        finally:
            demo.send_signal(signal.SIGINT)
            demo.wait(60)


def _as_a_job_in_the_background() -> None:
    """A script that says `make demo &` hands SIGINT down ignored; it must end the demo all the same."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _wait_until_up(demo: subprocess.Popen[bytes], log: Path) -> None:
    deadline = monotonic() + START_S
    while "It stays up" not in log.read_text():
        if demo.poll() is not None or monotonic() > deadline:
            raise AssertionError(f"the stack did not start: {log.read_text()}")
        sleep(0.2)
