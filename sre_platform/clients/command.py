"""Run a program: an argument list, never a shell; bounded in time and in bytes, and never left over.

Collectors run programs that only read. Repairs run those that an operator's list allows and that do change something:
after Unavailable, and after output that was cut, nobody knows how far such a program came.
"""

import contextlib
import os
import selectors
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import monotonic

from sre_platform.kernel.errors import Unavailable

_CHUNK = 64 * 1024
STDERR_BYTES = 64 * 1024
WARDEN_LATER_S = 1.0  # than the deadline, which is kept here as long as this process lives


@dataclass(frozen=True)
class Output:
    """What a program wrote. ``cut`` says that it had more to say than was read; it was ended then."""

    code: int
    stdout: bytes
    stderr: bytes
    cut: bool

    @property
    def complaint(self) -> str:
        """The first line on its standard error, for a message."""
        lines = self.stderr.decode(errors="replace").strip().splitlines()
        return lines[0][:300] if lines else f"it ended with status {self.code}"


def run(
    argv: Sequence[str],
    *,
    deadline_s: float,
    max_bytes: int,
    env: Mapping[str, str] | None = None,
    even_if_killed: bool = False,
) -> Output:
    """Run ``argv`` with nothing on its standard input and only ``env`` and PATH in its environment.

    Its process group is killed when the time is up or it has written more than ``max_bytes``. With ``even_if_killed``
    coreutils' timeout (where there is one) ends it a second later also when this process is no more to do that.
    Raises Unavailable when it cannot be started or does not end in time.
    """
    process = _started([*(_warden(deadline_s) if even_if_killed else []), *argv], env or {}, argv[0])
    with process:
        try:
            return _read(process, argv[0], monotonic() + deadline_s, max_bytes)
        finally:
            _end(process)


def _started(argv: Sequence[str], env: Mapping[str, str], name: str) -> subprocess.Popen[bytes]:
    clean = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", **env}
    try:
        return subprocess.Popen(  # noqa: S603 argv is the caller's, and no shell reads it
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=clean,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        raise Unavailable(f"{name} cannot be run: {error}.") from error


def _warden(deadline_s: float) -> list[str]:
    found = shutil.which("timeout")
    return [found, "--signal=KILL", f"{deadline_s + WARDEN_LATER_S:.3f}"] if found else []


def _read(process: subprocess.Popen[bytes], name: str, until: float, max_bytes: int) -> Output:
    assert process.stdout and process.stderr  # noqa: S101 both are pipes, for mypy
    written = {process.stdout: bytearray(), process.stderr: bytearray()}
    with selectors.DefaultSelector() as selector:
        for stream in written:
            selector.register(stream, selectors.EVENT_READ)
        while selector.get_map() and len(written[process.stdout]) <= max_bytes:
            ready = selector.select(max(0.0, until - monotonic()))
            if not ready:
                raise Unavailable(f"{name} did not finish in time.")
            for key, _ in ready:
                chunk = os.read(key.fd, _CHUNK)
                if not chunk:
                    selector.unregister(key.fileobj)
                written[key.fileobj] += chunk  # type: ignore[index]
                del written[process.stderr][STDERR_BYTES:]
    cut = len(written[process.stdout]) > max_bytes
    if not cut:
        _wait(process, name, until)
    out, err = bytes(written[process.stdout][:max_bytes]), bytes(written[process.stderr])
    return Output(process.returncode or 0, out, err, cut)


def _wait(process: subprocess.Popen[bytes], name: str, until: float) -> None:
    try:
        process.wait(max(0.01, until - monotonic()))
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"{name} did not finish in time.") from error


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill its group, children that it started too. Once it is waited for, its number may be somebody else's."""
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
