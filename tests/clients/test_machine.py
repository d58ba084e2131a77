"""Files of a machine: a fixed list of them, of this one or through a command, and nothing else."""

import os
import stat
from pathlib import Path

import pytest

from sre_platform.clients import machine
from sre_platform.kernel.errors import Malformed, Rejected, Unavailable

STATUS, LIMITS = f"/proc/{os.getpid()}/status", f"/proc/{os.getpid()}/limits"
NOBODY = "/proc/4194304999/status"


def prefix(folder: Path, body: str) -> list[str]:
    """A command that runs what follows it as ``body`` says, as ssh or kubectl exec would."""
    script = folder / "exec"
    script.write_text(f'#!/bin/sh\necho "$@" >> {folder}/calls\n{body}\n')
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return [str(script), "--"]


def test_files_of_this_machine_and_those_that_are_not_there():
    found = machine.read([STATUS, NOBODY, LIMITS])
    assert set(found) == {STATUS, LIMITS}
    assert b"VmRSS" in found[STATUS]


def test_files_of_another_machine_are_read_by_one_cat(tmp_path):
    found = machine.read([STATUS, NOBODY, LIMITS, "/proc/stat"], prefix(tmp_path, 'shift; exec "$@"'))
    assert set(found) == {STATUS, LIMITS, "/proc/stat"}
    assert found[LIMITS] == Path(LIMITS).read_bytes()
    assert b"Name:" in found[STATUS]
    boot = machine.BOOT_ID
    assert (
        tmp_path / "calls"
    ).read_text() == f"-- cat {boot} {STATUS} {boot} {NOBODY} {boot} {LIMITS} {boot} /proc/stat {boot}\n"


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "/proc/1/environ",
        "/proc/1/mem",
        "/proc/self/status",
        "/proc/1/status; id",
        "/proc/1/status\n",
        "/proc/1/../1/status",
        "/sys/fs/cgroup/a/../../cpu.max",
        "/sys/fs/cgroup/a b/cpu.max",
        "/sys/fs/cgroup/$(id)/cpu.max",
        "/sys/fs/cgroup/a\\x2d/cpu.max",
        "--help",
    ],
)
def test_no_other_file_is_read_here_or_there(tmp_path, path):
    for through in ([], prefix(tmp_path, 'shift; exec "$@"')):
        with pytest.raises(Rejected, match="none of the files"):
            machine.read([STATUS, path], through)
    assert not (tmp_path / "calls").exists()


def test_a_cgroups_files_are_on_the_list():
    assert machine.allowed("/sys/fs/cgroup/kubepods.slice/pod_1.slice/cri-containerd:a@1/cpu.max")
    assert machine.allowed("/sys/fs/cgroup/memory/memory.limit_in_bytes")


def test_a_machine_that_cannot_be_asked(tmp_path):
    with pytest.raises(Unavailable, match=r"through .*: ssh: connect to host x port 22: refused"):
        machine.read([STATUS], prefix(tmp_path, 'echo "ssh: connect to host x port 22: refused" >&2; exit 255'))
    with pytest.raises(Malformed, match="boot id"):
        machine.read([STATUS], prefix(tmp_path, "echo Welcome to x; echo Name: y"))
    with pytest.raises(Unavailable, match="did not finish in time"):
        machine.read([STATUS], prefix(tmp_path, "sleep 30"), deadline_s=0.5)
    with pytest.raises(Unavailable, match="cannot be run"):
        machine.read([STATUS], ["/nonexistent"])


def test_no_more_is_read_than_the_bounds(tmp_path, monkeypatch):
    whole = machine.read([STATUS])[STATUS]
    monkeypatch.setattr(machine, "MAX_FILE_BYTES", 100)
    for through in ([], prefix(tmp_path, 'shift; exec "$@"')):
        cut = machine.read([STATUS], through)[STATUS]
        assert 0 < len(cut) <= 100
        assert cut.endswith(b"\n")
        assert whole[:20] == cut[:20]
    monkeypatch.setattr(machine, "MAX_BYTES", 500)
    endless = machine.read([STATUS, LIMITS], prefix(tmp_path, "cat /proc/sys/kernel/random/boot_id; yes"))
    assert endless[STATUS].startswith(b"y\n")


def test_the_command_finds_its_configuration_and_no_secret_of_ours(tmp_path, monkeypatch):
    monkeypatch.setenv("KUBECONFIG", "/etc/kube/config")
    monkeypatch.setenv("SRE_SECRET_KEY", "hunter2")
    machine.read([STATUS], prefix(tmp_path, f'env > {tmp_path}/env; shift; exec "$@"'))
    seen = (tmp_path / "env").read_text()
    assert "KUBECONFIG=/etc/kube/config" in seen
    assert "hunter2" not in seen
