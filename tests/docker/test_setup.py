"""What the one-shot part of the large form leaves behind, and what it says when it cannot."""

import os
import shlex
import stat
import subprocess
import sys
import threading

import pytest
import yaml
from django.contrib.auth import authenticate, get_user_model
from django.core.management import CommandError, call_command

from sre_platform.detection.models import AlertRule
from sre_platform.embedded.stack import HOME
from sre_platform.intake import tokens
from tests.docker.test_compose import SERVICES

SECRETS = {"SRE_INTAKE_TOKEN": "intake-token", "SRE_ADMIN_PASSWORD": "a long password"}
PORTS = {"users": 8089, "storefront": 8081, "orders": 8082, "payments": 8083, "payments-canary": 8084}
NAMES = {name: f"lab:{port}" for name, port in PORTS.items()}


def words(folder):
    """The command as the compose file has it, with both folders of files in ``folder``."""
    text = shlex.join(SERVICES["setup"]["command"][3:])
    for name in ("prometheus", "alertmanager"):
        (folder / name).mkdir(exist_ok=True)
        text = text.replace(f"/etc/sre/{name}", str(folder / name))
    return shlex.split(text.replace("experiments/", f"{HOME}/experiments/"))


@pytest.fixture
def environment(monkeypatch):
    lab = {key: value for key, value in SERVICES["setup"]["environment"].items() if key.startswith("SRE_LAB_")}
    for name, value in (lab | SECRETS).items():
        monkeypatch.setenv(name, value)


@pytest.mark.django_db
def test_prometheus_and_alertmanager_find_what_they_need(tmp_path, environment):
    call_command("compose_setup", *words(tmp_path))
    files = {path.name: path for path in tmp_path.rglob("*.*")}
    scraping = yaml.safe_load(files["prometheus.yml"].read_text())
    targets = {job["job_name"]: job["static_configs"][0]["targets"][0] for job in scraping["scrape_configs"]}
    assert targets == NAMES | {"sre-platform": "web:8000"}
    own = scraping["scrape_configs"][-1]["authorization"]["credentials_file"]
    assert own == str(files["platform.token"])
    assert tokens.sender(f"Bearer {files['platform.token'].read_text()}").may_read_metrics
    assert scraping["alerting"]["alertmanagers"][0]["static_configs"] == [{"targets": ["alertmanager:9093"]}]
    assert scraping["rule_files"] == [str(files["rules.yml"])]
    rules = yaml.safe_load(files["rules.yml"].read_text())["groups"][0]["rules"]
    assert len(rules) == AlertRule.objects.count() == 12
    [receiver] = yaml.safe_load(files["alertmanager.yml"].read_text())["receivers"]
    [hook] = receiver["webhook_configs"]
    assert hook["url"] == "http://web:8000/hooks/alertmanager"
    assert hook["http_config"]["authorization"]["credentials_file"] == str(files["intake.token"])


@pytest.mark.django_db
def test_what_it_writes_is_for_its_owner_and_the_group_alone(tmp_path, environment):
    call_command("compose_setup", *words(tmp_path))
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.rglob("*") if path.is_file()}
    assert set(modes) >= {"rules.yml", "prometheus.yml", "alertmanager.yml", "intake.token"}
    assert set(modes.values()) == {0o640}


@pytest.mark.django_db
def test_the_token_that_was_written_lets_its_sender_in(tmp_path, environment, client):
    call_command("compose_setup", *words(tmp_path))
    token = (tmp_path / "alertmanager" / "intake.token").read_text()
    answers = [
        client.post(
            "/hooks/changes", "{}", content_type="application/json", headers={"Authorization": f"Bearer {sent}"}
        ).status_code
        for sent in (token, token + "x")
    ]
    assert (answers[0] != 401, answers[1]) == (True, 401)


@pytest.mark.django_db
def test_a_second_time_changes_nothing_that_people_have_changed(tmp_path, environment):
    call_command("compose_setup", *words(tmp_path))
    assert authenticate(username="sre", password="a long password").is_superuser
    user = get_user_model().objects.get(username="sre")
    user.set_password("chosen by a person")
    user.save()
    call_command("compose_setup", *words(tmp_path))
    assert authenticate(username="sre", password="chosen by a person")


@pytest.mark.parametrize("missing", SECRETS)
def test_a_missing_secret_is_named_before_anything_is_touched(missing, tmp_path, environment, monkeypatch):
    monkeypatch.delenv(missing)
    with pytest.raises(CommandError, match=rf"{missing} is not set: run docker/new-secrets.sh first"):
        call_command("compose_setup", *words(tmp_path))


def run(folder, url, *more):
    named = {key: value for key, value in os.environ.items() if key.startswith("SRE_LAB_")} | SECRETS
    return subprocess.run(
        [sys.executable, "manage.py", "compose_setup", *words(folder), *more],
        cwd=HOME,
        env={"PATH": os.environ["PATH"], "SRE_SECRET_KEY": "x", "SRE_DATA": str(folder), "SRE_DATABASE_URL": url}
        | named,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_database_that_comes_late_is_waited_for(tmp_path, environment):
    later = tmp_path / "later"
    timer = threading.Timer(3.0, later.mkdir)
    timer.start()
    done = run(tmp_path, f"sqlite:///{later}/sre.sqlite3", "--wait", "30")
    timer.join()
    assert done.returncode == 0, done.stderr
    assert "Wrote 12 alert rules and 5 targets" in done.stdout


def test_a_database_that_never_comes_is_said_and_where_to_look(tmp_path, environment):
    done = run(tmp_path, f"sqlite:///{tmp_path}/never/sre.sqlite3", "--wait", "0.5")
    assert done.returncode == 1
    assert "has not answered for 0.5 s" in done.stderr
    assert "SRE_DATABASE_URL" in done.stderr
