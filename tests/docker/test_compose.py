"""The large form: what its compose file promises, and that it starts what the embedded form starts."""

import configparser
import os
import re
import shlex
import stat
import subprocess
from pathlib import Path

import pytest
import yaml

from sre_platform.embedded.lab_build import LINKS, RELEASES
from sre_platform.embedded.stack import COPIES, HOME, SECRETS, USUAL_PORTS, Stack

DOCKER = HOME / "docker"
COMPOSE = (DOCKER / "compose.yaml").read_text()
SERVICES = yaml.safe_load(COMPOSE)["services"]
OURS = sorted(name for name, service in SERVICES.items() if "build" in service)
ONE_SHOT = ["drill", "setup"]
REQUIRED = set(re.findall(r"\$\{([A-Z_]+):\?run docker/new-secrets.sh first\}", COMPOSE))


def embedded(data: Path) -> dict[str, list[str]]:
    """The embedded form's programs by name, with the words of their commands."""
    stack = Stack(data, USUAL_PORTS, dict.fromkeys(SECRETS, "word"), "embedded", "redis://127.0.0.1:1/0")
    return {program.name: list(program.command) for program in stack.programs([])}


def lab() -> configparser.RawConfigParser:
    parsed = configparser.RawConfigParser()
    parsed.read(DOCKER / "lab" / "supervisord.conf")
    return parsed


@pytest.mark.parametrize("name", SERVICES)
def test_every_part_starts_in_order_and_again_when_it_has_died(name):
    service = SERVICES[name]
    assert service["restart"] == ("no" if name in ONE_SHOT else "unless-stopped")
    assert "healthcheck" in service or {"condition": "service_healthy"} in service["depends_on"].values()
    for needed in service.get("depends_on", {}):
        assert service["depends_on"][needed]["condition"] in ("service_healthy", "service_completed_successfully")
        if service["depends_on"][needed]["condition"] == "service_healthy":
            assert SERVICES[needed].get("healthcheck") != {"disable": True}


@pytest.mark.parametrize("name", OURS)
def test_our_parts_may_write_nothing_but_their_volumes_and_may_do_nothing_special(name):
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "user" not in service  # the image's own
    assert "USER 10001:10001" in (DOCKER / "Dockerfile").read_text()


@pytest.mark.parametrize("name", SERVICES)
def test_every_secret_is_asked_for_and_none_is_written_down(name):
    for variable, value in SERVICES[name].get("environment", {}).items():
        if re.search("SECRET|PASSWORD|TOKEN", variable) or "@" in value:
            assert ":?run docker/new-secrets.sh first}" in value


@pytest.mark.parametrize("name", SERVICES)
def test_images_are_pinned_and_can_be_replaced(name):
    assert re.fullmatch(r"\$\{[A-Z_]+_IMAGE:-[a-z./-]+:(local|v?\d+\.\d+(\.\d+)?(-[a-z]+)?)\}", SERVICES[name]["image"])


def test_only_the_web_can_be_reached_from_outside_and_only_from_this_machine():
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert list(published) == ["web"]
    assert all(port.startswith("127.0.0.1:") for port in published["web"])


def test_it_has_every_part_of_the_embedded_form(tmp_path):
    # Here Redis and Prometheus with Alertmanager; and no Envoy, without which orders calls payments itself.
    programs = set(embedded(tmp_path)) - {"broker", "evaluator", "envoy"}
    assert programs <= {*SERVICES, *(name.removeprefix("program:") for name in lab().sections())}
    assert SERVICES["worker"]["deploy"]["mode"] == "replicated"


@pytest.mark.parametrize("name", ["storefront", "orders", "payments", "payments-canary", "users"])
def test_the_lab_runs_with_the_flags_of_the_embedded_form(name, tmp_path):
    here = shlex.split(lab()[f"program:{name}"]["command"])
    there = embedded(tmp_path)[name]
    assert Path(here[0]).name == Path(there[0]).name
    assert set(flags(here)) == set(flags(there))
    for flag in {"-rate", "-log-volume"} & set(flags(there)):
        assert flags(here)[flag] == flags(there)[flag]
    for flag in {"-listen", "-faults", "-admin"} & set(flags(there)):
        assert re.search(r":\d+$", flags(here)[flag])[0] == re.search(r":\d+$", flags(there)[flag])[0]
    assert lab()[f"program:{name}"]["autorestart"] == ("true" if name == "users" else "false")
    assert lab()[f"program:{name}"].get("autostart", "true") == ("false" if name == "payments-canary" else "true")


@pytest.mark.parametrize("name", COPIES)
def test_a_services_log_is_where_the_workers_read_it_and_in_the_containers_log(name):
    log = f"%(ENV_SRE_LAB_DIR)s/log/{name}.log"
    assert lab()[f"program:{name}"]["stdout_logfile"] == log
    assert log in shlex.split(lab()["program:logs"]["command"])
    here = SERVICES["worker"]["environment"]
    assert here["SRE_LAB_LOG_DIR"] == f"{here['SRE_LAB_DIR']}/log"


def test_the_lab_starts_with_every_release_in_place_and_leaves_a_deployed_one(tmp_path):
    built, lab_dir, tools = (tmp_path / name for name in ("built", "lab", "tools"))
    for service, names in RELEASES.items():
        for release in names:
            (built / service / "releases" / release).mkdir(parents=True)
            (built / service / "releases" / release / service).write_text(release)
    tools.mkdir()
    (tools / "supervisord").write_text("#!/bin/sh\n")
    (tools / "supervisord").chmod(0o755)
    environment = {"PATH": f"{tools}:{os.environ['PATH']}", "LAB_BUILT": str(built), "SRE_LAB_DIR": str(lab_dir)}

    def start():
        subprocess.run(["sh", DOCKER / "lab" / "start.sh"], env=environment, check=True)
        return {f"{service}/{link}": (lab_dir / service / link / service).read_text() for service, link in LINKS}

    assert start() == {f"{service}/{link}": "v1" for service, link in LINKS}
    assert (lab_dir / "log").is_dir()
    current = lab_dir / "payments" / "current"
    current.unlink()
    current.symlink_to(lab_dir / "payments" / "releases" / "v4")
    assert start() == {f"{service}/{link}": "v1" for service, link in LINKS} | {"payments/current": "v4"}


def flags(words: list[str]) -> dict[str, str]:
    return dict(zip(words[1::2], words[2::2], strict=True))


def test_new_secrets_are_private_differ_and_are_never_replaced(tmp_path):
    script = ["sh", DOCKER / "new-secrets.sh", tmp_path / "env"]
    subprocess.run(script, check=True, capture_output=True)
    text = (tmp_path / "env").read_text()
    made = dict(line.split("=") for line in text.splitlines())
    assert set(made) == REQUIRED
    assert len(set(made.values())) == len(made)
    assert all(len(value) >= 18 for value in made.values())
    assert stat.S_IMODE((tmp_path / "env").stat().st_mode) == 0o600
    again = subprocess.run(script, check=False, capture_output=True, text=True)
    assert (again.returncode, "is there already" in again.stderr) == (1, True)
    assert (tmp_path / "env").read_text() == text


def test_secrets_go_neither_into_git_nor_into_an_image():
    assert "/docker/.env" in (HOME / ".gitignore").read_text().split()
    shipped = [line[1:] for line in (HOME / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    assert "docker" not in shipped
    assert not [path for path in shipped if not (HOME / path).exists()]


def test_without_an_engine_the_check_says_that_it_did_not_run(tmp_path):
    for tool in ("bash", "sh", "dirname", "sed"):
        (tmp_path / tool).symlink_to(subprocess.check_output(["which", tool], text=True).strip())
    for words, code in (([], 0), (["--strict"], 77)):
        done = subprocess.run(
            ["bash", DOCKER / "check.sh", *words],
            env={"PATH": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.stdout, done.returncode) == ("not run: no container engine\n", code)
