"""Read a fixed list of files of a machine: this one, or another through a command like ``kubectl exec ... --``.

Nothing is installed there and no shell is used here: ``cat`` is run with the names of all files at once. What a file
contains ends where the machine's boot id begins again, which is put between the files for that.
Files: proc(5), cgroups(7), https://docs.kernel.org/admin-guide/cgroup-v2.html
"""

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from sre_platform.clients import command
from sre_platform.kernel.errors import Malformed, Rejected, Unavailable

# What kubectl, ssh and docker need to find their configuration, wherever the operator keeps it.
PASSED_ON = (
    "HOME",
    "USER",
    "KUBECONFIG",
    "KUBERNETES_SERVICE_HOST",
    "KUBERNETES_SERVICE_PORT",
    "SSH_AUTH_SOCK",
    "DOCKER_HOST",
    "XDG_RUNTIME_DIR",
)
MAX_FILE_BYTES = 4 * 1024 * 1024  # of maps: about 40,000 mappings
MAX_BYTES = 16 * 1024 * 1024
BOOT_ID = "/proc/sys/kernel/random/boot_id"
_BOOT_ID = re.compile(rb"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\n")
# Words that mean nothing to the shell on the other side that ssh hands them to.
_ALLOWED = re.compile(
    r"/proc/(?:[0-9]{1,10}/(?:status|stat|maps|smaps_rollup|limits|cgroup)"
    r"|pressure/(?:cpu|io|memory)|stat|sys/kernel/random/boot_id)"
    r"|/sys/fs/cgroup(?:/[A-Za-z0-9_.:@-]+)*"
    r"/(?:cpu\.max|cpu\.stat|cpu\.cfs_quota_us|cpu\.cfs_period_us"
    r"|memory\.(?:current|max|stat|events|usage_in_bytes|limit_in_bytes|oom_control|failcnt))"
)


def read(paths: Sequence[str], prefix: Sequence[str] = (), *, deadline_s: float = 3.0) -> dict[str, bytes]:
    """What these files hold, by path; those that are not there or may not be read are left out.

    A file longer than MAX_FILE_BYTES is cut after its last whole line. Raises Rejected for a path that is not on the
    list, Unavailable and Malformed when the other machine cannot be asked.
    """
    for path in paths:
        if not allowed(path):
            raise Rejected(f"{path!r} is none of the files that may be read.")
    found = _read_there(paths, prefix, deadline_s) if prefix else _read_here(paths)
    return {path: _whole_lines(content) for path, content in found.items()}


def allowed(path: str) -> bool:
    """Whether a file may be read: one of those that tell of a process, its cgroup or the whole machine."""
    return bool(_ALLOWED.fullmatch(path)) and ".." not in path.split("/")


def _read_here(paths: Iterable[str]) -> Mapping[str, bytes]:
    found = {}
    for path in paths:
        try:
            with Path(path).open("rb") as file:
                found[path] = file.read(MAX_FILE_BYTES + 1)
        except OSError:
            continue
    return found


def _read_there(paths: Sequence[str], prefix: Sequence[str], deadline_s: float) -> Mapping[str, bytes]:
    between = [word for path in paths for word in (BOOT_ID, path)]
    env = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    argv = [*prefix, "cat", *between, BOOT_ID]
    output = command.run(argv, deadline_s=deadline_s, max_bytes=MAX_BYTES, env=env)
    boot_id = _BOOT_ID.match(output.stdout)
    if boot_id is None:
        if not output.stdout:
            raise Unavailable(f"Files cannot be read through {prefix[0]}: {output.complaint}.")
        raise Malformed(f"What {prefix[0]} wrote does not begin with the machine's boot id: it is not what cat writes.")
    contents = output.stdout.split(boot_id[0])[1:]
    return {path: content for path, content in zip(paths, contents, strict=False) if content}


def _whole_lines(content: bytes) -> bytes:
    if len(content) <= MAX_FILE_BYTES:
        return content
    return content[: content.rfind(b"\n", 0, MAX_FILE_BYTES) + 1]
