"""The platform as real processes, each of which can be killed and started again."""

import os
import random
import secrets
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep

import psycopg

from sre_platform.embedded import parts
from sre_platform.kernel.errors import Unavailable
from sre_platform.kernel.orphans import signalled_with_parent
from tests.torture.postgres import Postgres, postgres

HOME = Path(__file__).resolve().parents[2]
LEASE_S = 3
READY_WITHIN_S = 60.0
WORKERS = ("worker-1", "worker-2")


@dataclass
class Part:
    """One program and its children, in a process group of their own."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    log: Path
    process: "subprocess.Popen[bytes] | None" = None
    down: bool = True  # on purpose
    exits: int = 0  # that nobody wanted

    def start(self) -> None:
        self.down = False
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                cwd=HOME,
                env=dict(self.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=signalled_with_parent(signal.SIGKILL),  # noqa: PLW1509 one system call
            )

    @property
    def pid(self) -> int:
        assert self.process, f"{self.name} has not been started"
        return self.process.pid

    def children(self) -> list[int]:
        with suppress(OSError):
            return [int(pid) for pid in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()]
        return []

    def kill(self) -> None:
        """kill -9 of its first process; what is left of it is ended when it starts again, as a supervisor does."""
        self.down = True
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def attend(self) -> None:
        """Start it again if it ended by itself, as a supervisor does."""
        if not self.down and self.process and self.process.poll() is not None:
            self.exits += 1
            self.restart()

    def end(self) -> None:
        """kill -9 of all of it."""
        if self.process:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def restart(self) -> None:
        self.end()
        self.start()


@dataclass
class Installation:
    """All parts by name, their settings, and the database when it is a server."""

    environment: Mapping[str, str]
    parts: Mapping[str, Part]
    web_port: int
    broker_port: int
    database: Postgres | None = None

    @property
    def token(self) -> str:
        return self.environment["SRE_INTAKE_TOKEN"]

    def start(self) -> None:
        for part in self.parts.values():
            part.start()
        self.wait_until_up()

    def wait_until_up(self) -> None:
        """Until the broker and the web listen. Raises Unavailable."""
        deadline = monotonic() + READY_WITHIN_S
        for name, port in (("broker", self.broker_port), ("web", self.web_port)):
            while not _listens(port):
                if monotonic() > deadline:
                    raise Unavailable(f"{name} does not listen: {self.parts[name].log.read_text()[-2000:]}")
                self.rest(0.1)

    def rest(self, seconds: float) -> None:
        """Sleep, and start again what ends by itself meanwhile (a Celery worker does, when its broker dies)."""
        deadline = monotonic() + seconds
        while True:
            for part in self.parts.values():
                part.attend()
            left = deadline - monotonic()
            if left <= 0:
                return
            sleep(min(left, 0.2))

    def victims(self) -> dict[str, Callable[[random.Random], Callable[[], None]]]:
        """What can be done to it, by name; doing it returns how the damage is repaired."""
        kinds = {"web": self._kill_web, "worker": self._kill_worker, "worker's child": self._kill_child}
        kinds["all workers"] = self._kill_workers
        kinds |= {"beat": self._kill_beat, "redis": self._kill_broker, "redis flushed": self._flush}
        if self.database:
            kinds |= {"postgres": self._kill_database, "postgres backend": self._kill_backend}
        return kinds

    def _killed(self, name: str) -> Callable[[], None]:
        self.parts[name].kill()
        return self.parts[name].restart

    def _kill_web(self, _rng: random.Random) -> Callable[[], None]:
        return self._killed("web")

    def _kill_beat(self, _rng: random.Random) -> Callable[[], None]:
        return self._killed("beat")

    def _kill_broker(self, _rng: random.Random) -> Callable[[], None]:
        return self._killed("broker")

    def _kill_worker(self, rng: random.Random) -> Callable[[], None]:
        return self._killed(rng.choice(WORKERS))

    def _kill_workers(self, _rng: random.Random) -> Callable[[], None]:
        repairs = [self._killed(name) for name in WORKERS]

        def repair() -> None:
            for one in repairs:
                one()

        return repair

    def _kill_child(self, rng: random.Random) -> Callable[[], None]:
        children = [pid for name in WORKERS for pid in self.parts[name].children()]
        _kill_one(children, rng)
        return _nothing

    def _flush(self, _rng: random.Random) -> Callable[[], None]:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.broker_port), timeout=5) as connection:
            connection.sendall(b"FLUSHALL\r\n")
            connection.recv(100)
        return _nothing

    def _kill_database(self, _rng: random.Random) -> Callable[[], None]:
        assert self.database
        self.database.kill()
        return self.database.start

    def _kill_backend(self, rng: random.Random) -> Callable[[], None]:
        """One backend that dies makes PostgreSQL end all others and recover."""
        assert self.database
        with suppress(psycopg.Error):  # it may be down already
            _kill_one(self.database.backends(), rng)
        return self.database.start


def _kill_one(pids: Sequence[int], rng: random.Random) -> None:
    if pids:
        with suppress(ProcessLookupError):
            os.kill(rng.choice(pids), signal.SIGKILL)


def _nothing() -> None:
    """It repairs itself."""


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def installation(data: Path, database: str, supervisor_url: str) -> Iterator[Installation]:
    """An installation that writes into ``data``, planned, not started; ``database`` is ``sqlite`` or ``postgres``."""
    for folder in (data / "run", data / "log"):
        folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        server = stack.enter_context(postgres()) if database == "postgres" else None
        ports = parts.free_ports({"web": 0, "broker": 0})
        environment = _environment(data, ports, server.url if server else "", supervisor_url)
        programs = {
            name: Part(name, command, environment, data / "log" / f"{name}.log")
            for name, command in _commands(ports).items()
        }
        it = Installation(environment, programs, ports["web"], ports["broker"], server)
        stack.callback(lambda: [part.end() for part in programs.values()])
        yield it


def _environment(data: Path, ports: Mapping[str, int], database_url: str, supervisor_url: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SRE_")}
    return kept | {
        "DJANGO_SETTINGS_MODULE": "sre_platform.settings",
        "SRE_ENV_FILE": "/nonexistent",
        "SRE_DATA": str(data),
        "SRE_SECRET_KEY": secrets.token_urlsafe(32),
        "SRE_INTAKE_TOKEN": secrets.token_urlsafe(32),
        "SRE_DATABASE_URL": database_url,
        "SRE_REDIS_URL": f"redis://127.0.0.1:{ports['broker']}/0",
        "SRE_BASE_URL": f"http://127.0.0.1:{ports['web']}",
        "SRE_SUPERVISOR_URL": supervisor_url,
        "SRE_LEASE_S": str(LEASE_S),
        "SRE_TICKET_SYSTEMS": "local",
    }


def _commands(ports: Mapping[str, int]) -> dict[str, list[str]]:
    """As embedded/stack.py starts them."""
    where = ["--host", "127.0.0.1", "--port", str(ports["web"]), "--log-level", "warning"]
    celery = [sys.executable, "-m", "celery", "-A", "sre_platform"]
    quiet = ["--loglevel", "WARNING", "--without-gossip", "--without-mingle", "--concurrency", "2"]
    return {
        "broker": parts.broker_command(ports["broker"]),
        "web": [sys.executable, "-m", "uvicorn", "sre_platform.asgi:application", *where],
        **{name: [*celery, "worker", "--hostname", f"{name}@%h", *quiet] for name in WORKERS},
        "beat": [*celery, "beat", "--loglevel", "WARNING", "--pidfile="],
    }
