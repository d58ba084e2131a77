"""A few rounds of the torture run on each database: enough to see that it works; `make torture` is the long one."""

import json
import subprocess
import sys

import pytest

from sre_platform.kernel.errors import Unavailable
from tests.system.stack import HOME, environment
from tests.torture import postgres

ROUNDS, WITHIN_S = 3, 240  # what was measured to be worse again waits a minute for an alert that says so
pytestmark = [pytest.mark.system, pytest.mark.timeout(WITHIN_S + 30)]


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_nothing_is_lost_doubled_or_stuck_whoever_is_killed(database: str, tmp_path) -> None:
    if database == "postgres":
        try:
            postgres.binaries()
        except Unavailable as error:
            pytest.skip(str(error))
    words = [str(ROUNDS), "--seed", "7", "--database", database, "--data", str(tmp_path), "--json"]
    command = [sys.executable, "-m", "tests.torture", *words]
    run = subprocess.run(
        command, cwd=HOME, env=environment(tmp_path), capture_output=True, text=True, timeout=WITHIN_S, check=False
    )
    assert run.stdout, run.stderr
    [result] = json.loads(run.stdout)
    assert result["kept"] == {"lost": [], "doubled": [], "stuck": [], "broken": []}
    assert (run.returncode, result["good"]) == (0, True), run.stderr
    assert sum(result["kills"].values()) >= ROUNDS
    assert result["counts"]["acknowledged"] > 20
    assert result["figures"]["effects"] > 0
    assert result["figures"]["deliveries"] > 20
