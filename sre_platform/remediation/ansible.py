"""Running one Ansible playbook of an operator's folder, for real or in check mode, and reading what it says.

Check mode asks every module what it would do; one that does not support it is skipped, and one that lies is believed
(docs.ansible.com, "Validating tasks: check mode and diff mode"). So what it shows depends on the playbook's modules.
"""

import hashlib
import json
import os
import re
import shutil
import stat
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import Field, model_validator

from sre_platform.catalog.domain import ENVIRONMENT_NAME, Handle
from sre_platform.clients import command, secret
from sre_platform.kernel.errors import Rejected, Unavailable
from sre_platform.playbook.schema import Block
from sre_platform.remediation.commands import LEASE_MARGIN_S, excerpt, hidden

MAX_OUTPUT = 1024 * 1024
DEFAULT_TIMEOUT_S = 8.0  # two checks and a run fit into the default lease of 30 s; an empty playbook takes 1.5
MAX_DIFF = 20_000  # characters of a diff that are kept
PASSED_ON = ("HOME", "USER", "SSH_AUTH_SOCK")  # what ssh needs to log in
File = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*\.ya?ml$", max_length=100)]
Variable = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=100)]
_RECAP = re.compile(r"^(\S+)\s*: ok=\d+\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)", re.MULTILINE)


class Undo(Block):
    """Which playbook of the folder takes another one back, with the same variables; none when nothing does."""

    undo: File | None = None


class AnsibleHandle(Handle):
    """An operator's folder of playbooks, of which those in ``playbooks`` may be run for this service.

    ``inventory`` is a path, from the folder if it is relative; ``limit`` is passed on as ``--limit``. ``secrets`` maps
    Ansible variables to names of environment variables. ``timeout_s`` bounds a run, and each check, in seconds.
    """

    handle: ClassVar[str] = "ansible"
    folder: str = Field(pattern=r"^/[^/]", max_length=500)
    inventory: str = Field(pattern=r"^[A-Za-z0-9_/.][^\s,]*$", max_length=500)
    limit: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:*-]*$", max_length=200)
    playbooks: Annotated[Mapping[File, Undo], Field(min_length=1, max_length=200)]
    secrets: Mapping[Variable, Annotated[str, Field(pattern=ENVIRONMENT_NAME)]] = Field(default_factory=dict)
    timeout_s: float = Field(DEFAULT_TIMEOUT_S, gt=0, le=300)

    @model_validator(mode="after")
    def _undone_by_known(self) -> "AnsibleHandle":
        for name, way in self.playbooks.items():
            if way.undo is not None and way.undo not in self.playbooks:
                raise ValueError(f"{name} is undone by {way.undo}, which is not in playbooks")
        return self


@dataclass(frozen=True)
class Ran:
    """What a run said: how many tasks changed something on each host, the diff or the output, without secrets."""

    changes: Mapping[str, int]
    text: str
    short: str

    @property
    def changed(self) -> int:
        return sum(self.changes.values())


@dataclass(frozen=True)
class Run:
    """One playbook, its variables, and where it is to run."""

    handle: AnsibleHandle
    playbook: str
    values: Mapping[str, Any]

    @property
    def path(self) -> str:
        return os.path.join(self.handle.folder, self.playbook)

    def digest(self) -> str:
        """The SHA-256 of the playbook. Raises Rejected unless it is allowed, a regular file, and not anybody's."""
        if self.playbook not in self.handle.playbooks:
            known = ", ".join(sorted(self.handle.playbooks))
            raise Rejected(f"The catalog allows no playbook {self.playbook!r} here; allowed are: {known}.")
        try:
            known_as = os.lstat(self.path)
            content = Path(self.path).read_bytes() if stat.S_ISREG(known_as.st_mode) else b""
        except OSError as error:
            raise Rejected(f"The Ansible playbook {self.path} cannot be read: {error.strerror}.") from error
        if not content or known_as.st_mode & stat.S_IWOTH:
            raise Rejected(f"{self.path} is no regular file with a playbook in it, or anybody may write to it.")
        return hashlib.sha256(content).hexdigest()

    def do(self, *, check: bool) -> Ran:
        """Run it, or with ``check`` only ask what it would do.

        Raises Rejected when it cannot be run, and when it failed or reached no host: what it did until then stays
        done. Raises Unavailable when it did not end in time.
        """
        program = _program()
        secrets = {name: secret.read(env) for name, env in self.handle.secrets.items()}
        with tempfile.TemporaryDirectory(prefix="sre-ansible-") as home:
            values = _private(home, "vars.json", json.dumps({**self.values, **secrets}))
            argv = [program, "-i", os.path.join(self.handle.folder, self.handle.inventory)]
            argv += ["--limit", self.handle.limit, "--extra-vars", f"@{values}"]
            argv += [*(["--check", "--diff"] if check else []), self.path]
            bounds: dict[str, Any] = {"deadline_s": self.handle.timeout_s, "max_bytes": MAX_OUTPUT}
            env = _environment(home, self.handle.folder)
            output = command.run(argv, env=env, even_if_killed=True, **bounds)
        return _read(self.playbook, output, list(secrets.values()))


def refuse_too_slow(handle: AnsibleHandle, lease_s: float) -> None:
    """Raise Rejected when two checks and the run after them could outlive a lease."""
    longest_s = 3 * handle.timeout_s
    if longest_s > lease_s - LEASE_MARGIN_S:
        raise Rejected(
            f"Two checks and a run may take {longest_s:g} s, and a lease lasts {lease_s:g} s.",
            advice="Raise SRE_LEASE_S or lower the handle's timeout_s.",
        )


def _program() -> str:
    folders = os.pathsep.join([os.environ.get("PATH", os.defpath), os.path.dirname(sys.executable)])
    if found := shutil.which("ansible-playbook", path=folders):
        return found
    raise Rejected("Ansible is not installed here, so no playbook can be run.", advice="See requirements-ansible.txt.")


def _private(folder: str, name: str, content: str) -> str:
    path = os.path.join(folder, name)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(content)
    return path


def _environment(home: str, folder: str) -> dict[str, str]:
    """Ansible wants a UTF-8 locale; it reads the operator's ansible.cfg, and not one that happens to lie around."""
    own = os.path.join(folder, "ansible.cfg")
    config = own if os.path.isfile(own) else _private(home, "ansible.cfg", "")
    passed = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    return {**passed, "LC_ALL": "C.UTF-8", "ANSIBLE_NOCOLOR": "1", "ANSIBLE_HOME": home, "ANSIBLE_CONFIG": config}


def _read(playbook: str, output: command.Output, secrets: Sequence[str]) -> Ran:
    text = output.stdout.decode(errors="replace")
    if output.cut:
        raise Unavailable(f"{playbook} wrote more than {MAX_OUTPUT} bytes and was ended.")
    if output.code != 0:
        said = "\n".join(line for line in text.splitlines() if line.startswith(("fatal:", "ERROR"))) or text
        complaint = excerpt(f"{said}\n{output.stderr.decode(errors='replace')}", secrets)
        raise Rejected(f"{playbook} ended with status {output.code}: {complaint}")
    before, _, recap = text.rpartition("PLAY RECAP")
    changes = {host: int(changed) for host, changed, _, _ in _RECAP.findall(recap)}
    if not changes:
        raise Rejected(f"{playbook} found no host in its inventory that the limit admits.")
    return Ran(changes, hidden(before, secrets)[:MAX_DIFF].strip(), excerpt(recap, secrets))
