"""Ansible playbooks of an operator's folder, run by the real ansible-playbook on this machine."""

import json
import os
import stat
import sys
from pathlib import Path

import pytest

from sre_platform.clients.supervisor import Supervisor
from sre_platform.kernel.errors import Malformed, Rejected, Unavailable
from sre_platform.remediation.domain import Seen, World
from sre_platform.remediation.steps import ACTIONS
from tests.fakes.ansible import playbooks

RUN, WORLD = ACTIONS.get("ansible_playbook"), World(Supervisor(""), {})
FAILS = """\
- hosts: all
  gather_facts: false
  tasks:
    - ansible.builtin.fail: {msg: "no room, token=abc123 and {{ api_key | default('none') }}"}
"""


@pytest.fixture
def it(tmp_path, settings):
    settings.SRE_LEASE_S = 150.0
    return playbooks(tmp_path)


def prepare(it, playbook="on.yml", target=None, back=False, **values):
    params = RUN.Params(playbook=playbook, vars={"who": "ann"} | values, back=back)
    return RUN.prepare(target or it.target(), params, WORLD)


def program(it, monkeypatch, text):
    """Put this in the place of ansible-playbook."""
    bin_ = it.folder / "bin"
    bin_.mkdir()
    (bin_ / "ansible-playbook").write_text(f"#!{sys.executable}\n{text}")
    (bin_ / "ansible-playbook").chmod(0o700)
    monkeypatch.setenv("PATH", f"{bin_}{os.pathsep}{os.environ['PATH']}")


def test_check_mode_shows_the_diff_a_run_makes_it(it):
    prepared = prepare(it)
    assert prepared.says == "Run the Ansible playbook on.yml for orders on localhost"
    assert prepared.aim["changes"] == {"localhost": 1}
    [delta] = prepared.diff
    assert "-off ann" in delta.after
    assert "+on ann" in delta.after
    assert it.word == "off"
    said = RUN.apply(it.target(), prepared.aim, WORLD, lambda: None)
    assert said.startswith("on.yml ended well: ")
    assert "changed=1" in said
    assert it.word == "on"
    assert RUN.look(it.target(), prepared.aim, WORLD) is Seen.DONE
    assert prepared.undo == {"playbook": "off.yml", "vars": {"who": "ann"}, "back": True}


def test_a_playbook_that_fails_is_refused_with_its_complaint_and_without_secrets(it, monkeypatch):
    monkeypatch.setenv("ORDERS_KEY", "hunter22")
    (it.folder / "bad.yml").write_text(FAILS)
    target = it.target(playbooks={"bad.yml": {}}, secrets={"api_key": "ORDERS_KEY"})
    with pytest.raises(Rejected, match=r"bad\.yml ended with status 2: .*no room") as refused:
        prepare(it, "bad.yml", target)
    assert "hunter22" not in str(refused.value)
    assert "abc123" not in str(refused.value)


RECORDING = """
import json, os, sys
name = next(word[1:] for word in sys.argv if word.startswith("@"))
told = {"argv": sys.argv[1:], "env": dict(os.environ), "vars": json.load(open(name)), "file": name,
        "mode": os.stat(name).st_mode & 0o777}
json.dump(told, open("TOLD", "w"))
print("task hunter22\\nPLAY RECAP ***\\nlocalhost : ok=1 changed=1 unreachable=0 failed=0")
"""


def test_a_secret_stands_in_a_private_file_that_is_gone_afterwards_and_nowhere_else(it, monkeypatch):
    told_in = it.folder / "told.json"
    program(it, monkeypatch, RECORDING.replace("TOLD", str(told_in)))
    monkeypatch.setenv("ORDERS_KEY", "hunter22")
    prepared = prepare(it, target=it.target(secrets={"api_key": "ORDERS_KEY"}))
    told = json.loads(told_in.read_text())
    assert (told["vars"], told["mode"]) == ({"who": "ann", "api_key": "hunter22"}, 0o600)
    assert not Path(told["file"]).exists()
    assert "hunter22" not in json.dumps([told["argv"], told["env"]]) + repr(prepared)
    assert told["argv"][2:4] == ["--limit", "localhost"]
    assert told["argv"][-3:] == ["--check", "--diff", str(it.folder / "on.yml")]


def test_a_secret_that_is_not_there_is_said_before_anything_is_run(it, monkeypatch):
    program(it, monkeypatch, "raise SystemExit(9)")
    with pytest.raises(Rejected, match="The environment has no ORDERS_KEY"):
        prepare(it, target=it.target(secrets={"api_key": "ORDERS_KEY"}))


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ("print('PLAY RECAP ***')", Rejected, "found no host in its inventory"),
        ("print('no recap')", Rejected, "found no host in its inventory"),
        ("print('PLAY RECAP *\\nh : ok=1 changed=0 unreachable=0 failed=0')", Rejected, "would change nothing"),
        ("import sys; sys.exit('ERROR! syntax')", Rejected, "ended with status 1: ERROR! syntax"),
        ("while True: print('x' * 65536)", Unavailable, "wrote more than 1048576 bytes"),
        ("import time; time.sleep(60)", Unavailable, "did not finish in time"),
    ],
)
def test_what_ansible_may_answer(it, monkeypatch, text, error, said):
    program(it, monkeypatch, text)
    with pytest.raises(error) as refused:
        prepare(it, target=it.target(timeout_s=2 if "sleep" in text else 30))
    assert said in str(refused.value)


def test_after_a_run_that_nobody_saw_the_end_of_it_is_done_or_unknown_but_never_run_again(it, monkeypatch):
    program(it, monkeypatch, "print('PLAY RECAP *\\nh : ok=1 changed=1 unreachable=0 failed=0')")
    assert RUN.look(it.target(), {"playbook": "on.yml", "vars": {}}, WORLD) is Seen.UNKNOWN


def test_without_ansible_it_says_so(it, monkeypatch):
    monkeypatch.setenv("PATH", str(it.folder))
    monkeypatch.setattr(sys, "executable", str(it.folder / "python"))
    with pytest.raises(
        Rejected, match=r"Ansible is not installed here, so no playbook can be run. See requirements-ans"
    ):
        prepare(it)


def test_only_what_the_catalog_allows_and_only_what_stands_there_is_run(it):
    (it.folder / "else.yml").write_text(FAILS)
    with pytest.raises(Rejected, match=r"allows no playbook 'else\.yml' here; allowed are: off\.yml, on\.yml"):
        prepare(it, "else.yml")
    (it.folder / "on.yml").unlink()
    with pytest.raises(Rejected, match=r"on\.yml cannot be read: No such file"):
        prepare(it)
    (it.folder / "on.yml").symlink_to(it.folder / "else.yml")
    with pytest.raises(Rejected, match="is no regular file"):
        prepare(it)
    (it.folder / "off.yml").chmod(stat.S_IRUSR | stat.S_IWUSR | stat.S_IWOTH)
    with pytest.raises(Rejected, match="anybody may write to it"):
        prepare(it, "off.yml")


def test_a_playbook_that_is_another_one_by_now_is_not_run(it, monkeypatch):
    program(it, monkeypatch, "print('PLAY RECAP *\\nh : ok=1 changed=1 unreachable=0 failed=0')")
    prepared = prepare(it)
    (it.folder / "on.yml").write_text(FAILS)
    with pytest.raises(Rejected, match=r"on\.yml is another one by now"):
        RUN.apply(it.target(), prepared.aim, WORLD, lambda: None)


@pytest.mark.parametrize(
    "values",
    [
        {"who": "{{ lookup('pipe', 'id') }}"},
        {"who": "{% x %}"},
        {"ansible_connection": "local"},
        {"a-b": 1},
        {"who": [1]},
    ],
)
def test_variables_are_plain_values(values):
    with pytest.raises(ValueError, match="vars"):
        RUN.Params(playbook="on.yml", vars=values)


@pytest.mark.parametrize(
    "wrong",
    [
        {"limit": "-x"},
        {"limit": "@file"},
        {"inventory": "a,b"},
        {"folder": "ansible"},
        {"playbooks": {"../x.yml": {}}},
        {"playbooks": {"on.yml": {"undo": "none.yml"}}},
        {"secrets": {"a": "not a name"}},
        {"sudo": True},
    ],
)
def test_a_handle_that_could_mean_something_else_is_malformed(it, wrong):
    with pytest.raises(Malformed, match="handle ansible"):
        prepare(it, target=it.target(**wrong))


def test_one_that_could_outlive_the_lease_is_refused(it, settings):
    settings.SRE_LEASE_S = 30.0
    with pytest.raises(Rejected, match="Two checks and a run may take 120 s, and a lease lasts 30 s"):
        prepare(it)
