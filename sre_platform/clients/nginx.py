"""nginx's weights between two versions: an include file with ``split_clients``, tested before it is loaded.

The file is written atomically and tested with ``nginx -t``; when nginx refuses it, the old one is put back. It defines
the variable that ``proxy_pass http://$...`` uses. Source: https://nginx.org/en/docs/http/ngx_http_split_clients_module.html
"""

import os
import re
import signal
from dataclasses import dataclass
from pathlib import Path

from sre_platform.clients.command import run
from sre_platform.clients.traffic import WHOLE
from sre_platform.kernel.errors import Rejected, Unavailable

TEST_S = 3.0
MOST_OUTPUT = 64 * 1024
_SPLIT = re.compile(r"^# canary (\d{1,3})$", re.MULTILINE)


@dataclass(frozen=True)
class Nginx:
    """One nginx. ``variable`` (without ``$``) becomes ``baseline`` or ``canary``, the names of two upstreams.

    ``key`` is what requests are split by; ``test`` the command that tests the configuration; ``pid_file`` names the
    master process, which is told to load it by SIGHUP.
    """

    include: str
    variable: str
    baseline: str
    canary: str
    key: str
    test: tuple[str, ...]
    pid_file: str

    def weight(self) -> int:
        """The canary's percentage that the include file says. Raises Unavailable, Rejected for a foreign file."""
        try:
            found = _SPLIT.search(Path(self.include).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise Unavailable(f"The include file of nginx cannot be read: {error}.") from error
        if not found or int(found[1]) > WHOLE:
            raise Rejected(f"{self.include} was not written by this platform.")
        return int(found[1])

    def set_weight(self, percent: int) -> None:
        """Write the file, have nginx test it, and load it. Raises Rejected when nginx refuses it, and Unavailable."""
        path = Path(self.include)
        before = path.read_bytes() if path.exists() else b""
        _write(path, self.text(percent).encode())
        try:
            self._tested()
        except (Rejected, Unavailable):
            _write(path, before)
            raise
        self.reload()

    def text(self, percent: int) -> str:
        """The include file for a percentage."""
        return (
            f"# Written by the SRE platform's roll-outs. Do not edit.\n# canary {percent}\n"
            f'split_clients "{self.key}" ${self.variable} {{\n'
            + (f"    {percent}% {self.canary};\n" if 0 < percent < WHOLE else "")
            + f"    * {self.canary if percent == WHOLE else self.baseline};\n}}\n"
        )

    def reload(self) -> None:
        """Tell the master process to load its configuration. Raises Unavailable.

        One that was killed leaves its number behind, which is another's by and by: SIGHUP would end that.
        """
        try:
            pid = int(Path(self.pid_file).read_text().strip())
            if pid <= 1 or not self._may_be_nginx(_name(pid)):
                raise ValueError(f"{self.pid_file} names process {pid}, which is no nginx")
            os.kill(pid, signal.SIGHUP)
        except (OSError, ValueError) as error:
            raise Unavailable(f"nginx cannot be told to reload: {error}.") from error

    def _may_be_nginx(self, name: str) -> bool:
        return not name or "nginx" in name or name == Path(self.test[0]).name

    def _tested(self) -> None:
        done = run(self.test, deadline_s=TEST_S, max_bytes=MOST_OUTPUT)
        if done.code:
            raise Rejected(f"nginx refuses the new weights: {done.complaint}.")


def _name(pid: int) -> str:
    """What a process is called; empty where that cannot be seen."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _write(path: Path, content: bytes) -> None:
    fresh = path.with_name(f"{path.name}.next")
    try:
        fresh.write_bytes(content)
        os.replace(fresh, path)
    except OSError as error:
        raise Unavailable(f"The include file of nginx cannot be written: {error}.") from error
