"""``manage.py judge_canary`` as it is called: what it prints, and its exit codes."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from sre_platform.rollouts.domain import Request
from tests.rollouts.test_canary import regular

ROOT = Path(__file__).parents[2]
GOOD, SLOW, BROKEN = regular(60, 50), regular(60, 50, factor=1.5), regular(60, 50, bad=20)


def call(*arguments: str | Path, given: str = "") -> subprocess.CompletedProcess[str]:
    bare = {name: value for name, value in os.environ.items() if not name.startswith(("SRE_", "DJANGO_", "DATABASE"))}
    return subprocess.run(
        [sys.executable, "manage.py", "judge_canary", *arguments],
        check=False,
        cwd=ROOT,
        env=bare | {"COLUMNS": "80"},
        input=given,
        capture_output=True,
        text=True,
        timeout=60,
    )


def csv(path: Path, requests: Sequence[Request]) -> Path:
    path.write_text("time,status,latency_ms\n" + "".join(f"{r.time},{r.status},{r.latency_ms}\n" for r in requests))
    return path


@pytest.mark.parametrize(
    ("canary", "code", "verdict"), [(GOOD, 0, "pass"), (SLOW, 1, "fail"), (GOOD[:20], 2, "inconclusive")]
)
def test_one_object_and_its_exit_code(tmp_path: Path, canary: list[Request], code: int, verdict: str) -> None:
    done = call("--baseline", csv(tmp_path / "a.csv", GOOD), "--canary", csv(tmp_path / "b.csv", canary), "--json")
    assert (done.returncode, done.stderr) == (code, "")
    answer = json.loads(done.stdout)
    assert answer["verdict"] == verdict
    assert set(answer) == {"verdict", "at", "checks"}
    assert all(set(c) == {"name", "baseline", "canary", "limit", "verdict", "reason"} for c in answer["checks"])


@pytest.mark.parametrize("answered", [0, 1, 150, 2999])
def test_a_baseline_that_answers_nothing_is_no_crash(tmp_path: Path, answered: int) -> None:
    """Exit code 1 would say that the canary is bad."""
    outage = [request._replace(status=503) for request in GOOD]
    other = [request._replace(status=200 if n < answered else 503) for n, request in enumerate(GOOD)]
    done = call("--baseline", csv(tmp_path / "a.csv", outage), "--canary", csv(tmp_path / "b.csv", other), "--json")
    assert (done.returncode in (0, 2), done.stderr) == (True, "")
    assert json.loads(done.stdout)["verdict"] != "fail"


def test_people_are_told_within_80_columns(tmp_path: Path) -> None:
    done = call("--baseline", csv(tmp_path / "a.csv", GOOD), "--canary", csv(tmp_path / "b.csv", BROKEN))
    assert done.returncode == 1
    assert "The canary fails, after 10 s." in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80


@pytest.mark.parametrize("text", [None, "", "time,status\n1,200\n", "time,status,latency_ms\n1,200,nan\n", "\xff\x00"])
def test_unusable_input_is_said_in_one_sentence(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "b.csv").write_bytes(text.encode("latin-1"))
    done = call("--baseline", csv(tmp_path / "a.csv", GOOD), "--canary", tmp_path / "b.csv", "--json")
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.strip().splitlines()) == 1
    assert "Traceback" not in done.stderr


def test_limits_are_options(tmp_path: Path) -> None:
    files = ("--baseline", csv(tmp_path / "a.csv", GOOD), "--canary", csv(tmp_path / "b.csv", SLOW), "--json")
    done = call(*files, "--max-p99-rise", "2", "--max-errors", "0.01")
    limits = {check["name"]: check["limit"] for check in json.loads(done.stdout)["checks"]}
    assert (done.returncode, limits["p99_rise"], limits["5xx_share"], limits["p99_ms"]) == (0, 2, 0.01, 850)
    done = call(*files, "--max-errors", "nan")
    assert (done.returncode, done.stdout) == (2, "")
    assert "--max-errors: input should be" in done.stderr


@pytest.mark.parametrize("arguments", [(), ("--baseline", "a.csv"), ("--batch", "--canary", "b.csv")])
def test_half_a_question_is_refused(arguments: tuple[str, ...]) -> None:
    assert call(*arguments).returncode == 2


def test_a_batch_answers_every_line() -> None:
    cases = [{"id": 1, "baseline": GOOD, "canary": GOOD}, {"id": "b", "baseline": GOOD, "canary": BROKEN}]
    done = call("--batch", given="\n".join(map(json.dumps, cases)))
    assert done.returncode == 0
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(a["id"], a["verdict"]) for a in answers] == [(1, "pass"), ("b", "fail")]


@pytest.mark.parametrize(
    "name", ['"\\ud800"', "NaN", "1e999", "[" * 900 + "]" * 900, "null", "1.5", "1" + "0" * 400, '"é"']
)
def test_an_odd_id_costs_no_other_line_its_answer(name: str) -> None:
    lines = [f'{{"id": {name}, "baseline": [], "canary": []}}', json.dumps({"id": 8, "baseline": GOOD, "canary": GOOD})]
    done = call("--batch", given="\n".join(lines))
    answers = [json.loads(line, parse_constant=pytest.fail) for line in done.stdout.splitlines()]
    named = name.startswith(('"', "null", "1.5", "10"))
    assert (done.returncode, [answer["id"] for answer in answers]) == (
        0 if named else 2,
        [json.loads(name) if named else None, 8],
    )
    assert (answers[0].get("verdict"), answers[1]["verdict"]) == ("inconclusive" if named else None, "pass")


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="there is no endless file on this machine")
def test_a_file_without_an_end_is_refused_at_once(tmp_path: Path) -> None:
    done = call("--baseline", "/dev/zero", "--canary", csv(tmp_path / "b.csv", GOOD), "--json")
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)


def test_a_bad_line_of_a_batch_is_answered_with_its_error() -> None:
    lines = [
        "{",
        "[]",
        '{"id": 7, "baseline": [[0, 200, -1]], "canary": []}',
        json.dumps({"id": 8, "baseline": GOOD, "canary": GOOD}),
    ]
    done = call("--batch", given="\n".join(lines))
    assert done.returncode == 2
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(a["id"], "error" in a) for a in answers] == [(None, True), (None, True), (7, True), (8, False)]
