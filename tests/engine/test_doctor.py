"""``manage.py doctor`` as a person or a script calls it, with things away."""

import json
import os
import subprocess
import sys

import pytest
from django.conf import settings
from django.core.management import call_command

from sre_platform.engine import heartbeats
from sre_platform.intake.models import Delivery
from sre_platform.kernel.clock import now

HOME = settings.BASE_DIR


def doctor(capsys, *words: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as ended:
        call_command("doctor", *words)
    return ended.value.code, capsys.readouterr().out


def alone(data, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, with nothing but this environment."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("SRE_", "DJANGO_", "PROMETHEUS"))}
    known = {"SRE_DATA": str(data), "SRE_ENV_FILE": "/nonexistent", "SRE_REDIS_URL": "redis://127.0.0.1:1/0"}
    command = [sys.executable, str(HOME / "manage.py"), *words]
    return subprocess.run(command, env=kept | known | env, capture_output=True, text=True, timeout=60, check=False)


def test_what_is_stuck_is_told_with_what_to_do(transactional_db, capsys, settings):
    settings.SRE_REDIS_URL = "redis://127.0.0.1:1/0"
    late = Delivery.objects.create(source="x", received_at=now().replace(year=2024), body=b"", digest="")
    code, said = doctor(capsys)
    assert code == 1
    for words in ("✓ database", "✗ broker", "✗ workers", f"- delivery {late.pk}: from x", "→ Start Redis"):
        assert words in said


def test_a_machine_gets_one_json_object(transactional_db, capsys, settings):
    settings.SRE_REDIS_URL = "redis://127.0.0.1:1/0"
    code, said = doctor(capsys, "--json")
    report = json.loads(said)
    checks = {check["name"]: check for check in report["checks"]}
    assert (code, report["well"], checks["broker"]["ok"], checks["database"]["ok"]) == (1, False, False, True)


def test_a_heart_that_beats_is_well(transactional_db, capsys):
    heartbeats.beat("beat")
    _, said = doctor(capsys, "--json")
    assert {check["name"]: check["ok"] for check in json.loads(said)["checks"]}["beat"] is True


def test_without_a_database_the_exit_code_is_2_and_the_broker_is_checked_all_the_same(tmp_path):
    done = alone(tmp_path, "doctor", "--json", SRE_DATABASE_URL="postgres://u:hidden@127.0.0.1:1/x")
    checks = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
    assert (done.returncode, checks["database"]["ok"], checks["beat"]["ok"]) == (2, False, None)
    assert checks["broker"]["ok"] is False
    assert "hidden" not in done.stdout + done.stderr


def test_a_database_file_that_cannot_be_opened_is_told_in_a_sentence(tmp_path):
    (tmp_path / "sre.sqlite3").mkdir()
    done = alone(tmp_path, "doctor")
    assert (done.returncode, "The database does not answer: unable to open" in done.stdout) == (2, True)


def test_a_database_that_was_never_migrated_says_so(tmp_path):
    done = alone(tmp_path, "doctor")
    assert (done.returncode, "Run `manage.py migrate`." in done.stdout) == (2, True)
