"""Programs are bounded in time and bytes, and leave nothing behind."""

import os
import signal
import sys
from pathlib import Path
from time import monotonic, sleep

import pytest

from sre_platform.clients import command
from sre_platform.kernel.errors import Unavailable


def python(text, **bounds):
    return command.run([sys.executable, "-c", text], **{"deadline_s": 10.0, "max_bytes": 1000} | bounds)


def test_what_a_program_wrote_and_how_it_ended():
    output = python("import sys; print('out'); print('no', file=sys.stderr); sys.exit(3)")
    assert (output.code, output.stdout, output.complaint, output.cut) == (3, b"out\n", "no", False)
    assert python("import sys; sys.exit(4)").complaint == "it ended with status 4"


def test_no_shell_reads_the_arguments_and_no_secret_is_in_the_environment(monkeypatch):
    monkeypatch.setenv("SRE_SECRET_KEY", "hunter2")
    shown = command.run(["printf", "%s", "$(id); `id` && x"], deadline_s=5, max_bytes=100).stdout
    assert shown == b"$(id); `id` && x"
    seen = python("import os; print(sorted(os.environ))").stdout.decode()
    assert "SRE_SECRET_KEY" not in seen
    assert "PATH" in seen


def test_nothing_comes_in():
    assert python("import sys; print(repr(sys.stdin.read()))").stdout == b"''\n"


def test_it_is_not_waited_for_longer_than_allowed_and_its_children_end_too(tmp_path):
    pid = tmp_path / "pid"
    text = (
        f"import subprocess,sys; p=subprocess.Popen(['sleep','60']); open({str(pid)!r},'w').write(str(p.pid)); p.wait()"
    )
    began = monotonic()
    with pytest.raises(Unavailable, match="did not finish in time"):
        python(text, deadline_s=1.0)
    assert monotonic() - began < 3
    assert gone(int(pid.read_text()))


def gone(pid):
    for _ in range(100):
        try:
            os.kill(pid, 0)
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (ProcessLookupError, FileNotFoundError):
            return True
        if state == "Z":
            return True
        sleep(0.02)
    return False


def test_a_program_that_closes_its_output_and_stays_is_ended():
    with pytest.raises(Unavailable, match="did not finish in time"):
        python("import os,time; os.close(1); os.close(2); time.sleep(60)", deadline_s=0.5)


def test_no_more_is_read_than_the_bound_and_that_is_said():
    began = monotonic()
    output = python("import sys\nwhile True: sys.stdout.write('x' * 1000)", max_bytes=5000)
    assert (output.stdout, output.cut) == (b"x" * 5000, True)
    assert monotonic() - began < 5
    many = python("import sys; sys.stderr.write('x' * 9_999_999)")
    assert len(many.stderr) <= command.STDERR_BYTES


def test_a_program_that_is_not_there():
    with pytest.raises(Unavailable, match="cannot be run"):
        command.run(["/nonexistent/program"], deadline_s=1, max_bytes=1)
    with pytest.raises(Unavailable, match="cannot be run"):
        command.run(["a\0b"], deadline_s=1, max_bytes=1)


def test_when_the_caller_is_killed_the_program_ends_soon_after_its_time(tmp_path):
    pid = tmp_path / "pid"
    text = f"import os,time; open({str(pid)!r},'w').write(str(os.getpid())); time.sleep(60)"
    caller = os.fork()
    if not caller:
        try:
            command.run([sys.executable, "-c", text], deadline_s=1.0, max_bytes=10, even_if_killed=True)
        finally:
            os._exit(0)
    for _ in range(200):
        if pid.exists() and pid.read_text():
            break
        sleep(0.05)
    os.kill(caller, signal.SIGKILL)
    os.waitpid(caller, 0)
    assert any(gone(int(pid.read_text())) for _ in range(10))
