"""An operator's folder of playbooks, for the real Ansible or for a stand-in that says what Ansible says, quickly."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sre_platform.catalog.domain import Target

PLAYBOOK = """\
- hosts: all
  gather_facts: false
  tasks:
    - name: write the switch
      ansible.builtin.copy: {content: "WORD {{ who }} {{ api_key | default('') }}", dest: "DEST", mode: "0600"}
"""
# What it prints has the form of ansible-playbook 2.19's default output.
STAND_IN = """\
#!/bin/sh
for word in "$@"; do
  case "$word" in --check) check=1 ;; esac
  last=$word
done
wanted=$(sed -n 's/.*content: "\\([a-z]*\\) .*/\\1/p' "$last")
dest=$(sed -n 's/.*dest: "\\([^"]*\\)".*/\\1/p' "$last")
now=$(cut -d' ' -f1 "$dest")
changed=1
test "$now" = "$wanted" && changed=0
printf '\\nTASK [write the switch]\\n-%s\\n+%s\\nPLAY RECAP ****\\n' "$now" "$wanted"
printf 'localhost  : ok=1    changed=%s    unreachable=0    failed=0    skipped=0\\n' $changed
if test -z "$check"; then
  echo "$last" >> "$dest.ran"
  printf '%s ann ' "$wanted" > "$dest"
fi
"""


@dataclass
class Playbooks:
    """``on.yml`` and ``off.yml`` write a word into ``dest``."""

    folder: Path

    @property
    def dest(self) -> Path:
        return self.folder / "switch"

    @property
    def word(self) -> str:
        return self.dest.read_text().split()[0]

    def target(self, **changed: Any) -> Target:
        handle = {"folder": str(self.folder), "inventory": "hosts", "limit": "localhost", "timeout_s": 40}
        handle |= {"playbooks": {"on.yml": {"undo": "off.yml"}, "off.yml": {}}}
        return Target("orders", handles={"ansible": handle | changed})

    def ran(self) -> list[tuple[str, str, Any]]:
        """What was run for real by the stand-in, as effects say it."""
        path = Path(f"{self.dest}.ran")
        body = {"limit": "localhost", "vars": {"who": "ann"}, "changes": {"localhost": 1}}
        return [("ansible-playbook", line, body) for line in (path.read_text().split() if path.exists() else [])]


def playbooks(folder: Path) -> Playbooks:
    it = Playbooks(folder)
    it.dest.write_text("off ann ")
    it.dest.chmod(0o600)
    for word in ("on", "off"):
        (folder / f"{word}.yml").write_text(PLAYBOOK.replace("WORD", word).replace("DEST", str(it.dest)))
    (folder / "hosts").write_text(f"localhost ansible_connection=local ansible_python_interpreter={sys.executable}\n")
    return it


def standing_in(folder: Path) -> str:
    """A PATH on which the stand-in is found first."""
    bin_ = folder / "bin"
    bin_.mkdir()
    (bin_ / "ansible-playbook").write_text(STAND_IN)
    (bin_ / "ansible-playbook").chmod(0o700)
    return f"{bin_}{os.pathsep}{os.environ['PATH']}"
