"""``manage.py evaluator`` as a real process that is really killed."""

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.fakes.wire import Answer, serving

ROOT = Path(__file__).resolve().parents[2]
ADD_RULE = """
from sre_platform.detection.models import AlertRule
sli = {"kind": "rate", "metric": "n_total", "window_s": 2}
rule = AlertRule(name="Busy", service="orders", sli=sli, op=">", threshold=5)
rule.full_clean()
rule.save()
"""


@pytest.fixture
def manage(tmp_path):
    """A command line for manage.py, on a database of its own."""
    changes = {"SRE_DATABASE_URL": f"sqlite:///{tmp_path}/db.sqlite3", "SRE_ENV_FILE": str(tmp_path / "none")}
    changes |= {"SRE_SECRET_KEY": "x" * 50, "SRE_INTAKE_TOKEN": "secret", "SRE_DATA": str(tmp_path)}
    options = {"cwd": ROOT, "env": os.environ | changes, "stderr": subprocess.STDOUT}

    def start(*arguments: str) -> subprocess.Popen:
        with (tmp_path / "log").open("ab") as log:
            return subprocess.Popen([sys.executable, "manage.py", *arguments], stdout=log, **options)

    for preparation in (["migrate", "--skip-checks"], ["shell", "-c", ADD_RULE]):
        assert start(*preparation).wait(60) == 0, (tmp_path / "log").read_text()
    return start


@contextmanager
def _started(manage, *arguments):
    process = manage(*arguments)
    try:
        yield process
    finally:
        process.kill()
        process.wait(10)


def _eventually(condition, seconds=20.0):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.02)


def test_an_alert_that_fired_before_a_kill_is_resolved_after_the_restart(manage):
    began, per_second = time.monotonic(), [50]

    def exporter(_call):
        return Answer(200, f"n_total {int((time.monotonic() - began) * per_second[0])}\n".encode())

    with serving(exporter) as shop, serving(Answer(202)) as hook:
        arguments = ["evaluator", "--target", f"orders={shop.url}/metrics", "--webhook", hook.url, "--interval", "0.2"]
        with _started(manage, *arguments) as first:
            _eventually(lambda: hook.calls)
            first.send_signal(signal.SIGKILL)
        [firing] = [call.json() for call in hook.calls]
        per_second[0] = 0
        with _started(manage, *arguments) as second:
            _eventually(lambda: hook.calls[-1].json()["status"] == "resolved")
            second.send_signal(signal.SIGTERM)
            assert second.wait(10) == 0
        resolved = hook.calls[-1].json()
    assert firing["status"] == "firing"
    assert resolved["alerts"][0]["fingerprint"] == firing["alerts"][0]["fingerprint"]
    assert resolved["alerts"][0]["startsAt"] == firing["alerts"][0]["startsAt"]


def test_it_says_what_is_missing(manage, tmp_path):
    assert manage("evaluator", "--target", "nonsense", "--webhook", "http://127.0.0.1:1").wait(30) == 2
    assert "not of the form JOB=URL" in (tmp_path / "log").read_text()
