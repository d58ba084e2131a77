"""Programs that a repair may run: they note that they were run, in a file, and keep a switch on or off."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

PROGRAM = """\
#!/bin/sh
case "$1" in
  check) test "$(cat "$0.switch")" = "$2"; exit ;;
  noisy) yes 0123456789 ; exit ;;
  slow) sleep 30 & sleep 30 ; exit ;;
  fail) echo "cannot: password=$SWITCH_TOKEN is wrong" >&2 ; exit 3 ;;
  say) for i in 1 2 3 4 5 6 7 8 9 10 11 12; do echo "line $i"; done
    echo "token $SWITCH_TOKEN home ${HOME-none}"; exit ;;
esac
printf '%s' "$2" > "$0.switch"
for word in "$0" "$@"; do printf '%s\\n' "$word"; done >> "$0.ran"
echo . >> "$0.ran"
"""


@dataclass
class Programs:
    """``program`` sets its switch; ``file`` is the commands file that allows it."""

    folder: Path

    @property
    def program(self) -> str:
        return str(self.folder / "switch")

    @property
    def file(self) -> str:
        return str(self.folder / "commands.yaml")

    def commands(self) -> dict[str, Any]:
        value = {"params": {"to": "on|off"}}
        return {
            "switch": {"argv": [self.program, "set", "{to}"], "undo": "switch-off", "check": "is-switched", **value},
            "switch-off": {"argv": [self.program, "set", "off"], "check": "is-off"},
            "is-switched": {"argv": [self.program, "check", "{to}"], **value},
            "is-off": {"argv": [self.program, "check", "off"]},
            "unchecked": {"argv": [self.program, "set", "{to}"], **value},
            "noisy": {"argv": [self.program, "noisy"]},
            "slow": {"argv": [self.program, "slow"], "timeout_s": 0.3},
            "fail": {"argv": [self.program, "fail"], "env": ["SWITCH_TOKEN"]},
            "say": {"argv": [self.program, "say"], "env": ["SWITCH_TOKEN"]},
        }

    def write(self, **changed: Any) -> None:
        Path(self.file).write_text(yaml.safe_dump(self.commands() | changed))

    def ran(self) -> list[tuple[str, str, Any]]:
        """What was run and changed something, as effects say it."""
        path = Path(f"{self.program}.ran")
        runs = path.read_text().split("\n.\n") if path.exists() else []
        return [("run", run.split("\n")[0], {"argv": run.splitlines()}) for run in runs if run]

    @property
    def switch(self) -> str:
        return Path(f"{self.program}.switch").read_text()


def programs(folder: Path) -> Programs:
    it = Programs(folder)
    Path(it.program).write_text(PROGRAM)
    Path(f"{it.program}.switch").write_text("off")
    os.chmod(it.program, 0o700)
    it.write()
    return it
