"""The offline command as it is called: files, standard input, batches, and what it says when it cannot."""

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LEAK = ROOT / "tests" / "recordings" / "go" / "leak"
HEALTHY = ROOT / "tests" / "recordings" / "go" / "healthy"
FINDING = {
    *("cause", "family", "confidence", "evidence", "state", "site", "created_by", "count", "growth", "in_dump"),
    *("because", "against", "would_decide", "advice"),
}


def run(*arguments, given=b""):
    """The command, without any setting, database or network."""
    command = [sys.executable, "manage.py", "diagnose_goroutines", *map(str, arguments)]
    bare = {"PATH": "/usr/bin:/bin", "SRE_DATABASE_URL": "sqlite:////nowhere/at/all.db", "COLUMNS": "80"}
    return subprocess.run(command, check=False, input=given, capture_output=True, cwd=ROOT, env=bare, timeout=60)


def answer(*arguments, given=b""):
    done = run(*arguments, "--json", given=given)
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


def test_the_contract():
    told = answer("--dump", LEAK / "goroutine.txt", "--earlier", LEAK / "earlier.txt")
    assert told.keys() == {"id", "total", "truncated", "leak", "findings", "victims"}
    first = told["findings"][0]
    assert first.keys() == FINDING
    assert (first["cause"], first["family"], first["evidence"]) == ("chan_send_no_receiver", "chan-send", "growth")
    assert first["site"] == {"function": "main.(*cashier).hedge", "file": "lab/orders/quote_v2.go", "line": 35}
    assert first["created_by"]["line"] == 22
    assert (told["leak"], told["truncated"], first["in_dump"], first["growth"]) == (True, False, True, 39)


def test_healthy_service_is_silent():
    told = answer("--dump", HEALTHY / "goroutine.txt", "--earlier", HEALTHY / "earlier.txt")
    assert (told["leak"], told["findings"], told["victims"]) == (False, [], [])


def test_one_dump_alone_cannot_tell():
    told = answer("--dump", LEAK / "goroutine.txt")
    assert told["leak"] is None
    assert {finding["evidence"] for finding in told["findings"]} == {"state"}


def test_leak_profile_proves_it():
    told = answer("--dump", LEAK / "goroutine.txt", "--leak-profile", LEAK / "goroutineleak.txt")
    assert (told["leak"], told["findings"][0]["evidence"]) == (True, "gc-proof")


def test_standard_input_packed_or_not():
    text = (LEAK / "goroutine.txt").read_bytes()
    plain, packed = (answer("--dump", "-", given=given) for given in (text, gzip.compress(text)))
    assert plain == packed
    assert plain["total"] > 100


def test_for_people_it_fits_80_columns_and_says_what_to_do():
    done = run("--dump", LEAK / "goroutine.txt", "--earlier", LEAK / "earlier.txt")
    text = done.stdout.decode()
    assert done.returncode == 0
    assert "They leak or hang." in text
    assert "lab/orders/quote_v2.go:35" in text
    assert "buffer of 1" in text
    assert max(len(line.rstrip()) for line in text.split("\n")) <= 80


def test_batch_answers_line_by_line_and_goes_on_behind_a_bad_one():
    texts = {"goroutine": (LEAK / "goroutine.txt").read_text(), "earlier": (LEAK / "earlier.txt").read_text()}
    lines = [
        {"id": "a", **texts, "leakprofile": None},
        {"id": "b", "goroutine": "404"},
        [1],
        {"id": "c", "goroutine": ""},
    ]
    given = "".join(json.dumps(line) + "\n" for line in lines) + "{\n\n" + json.dumps({"id": "d", **texts}) + "\n"
    done = run("--batch", given=given.encode())
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 1
    assert [told["id"] for told in answers] == ["a", "b", None, "c", None, "d"]
    assert [told["line"] for told in answers if "error" in told] == [2, 3, 4, 5]
    assert answers[0] == answers[5] | {"id": "a"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--dump", "/nowhere.txt"], "/nowhere.txt"),
        (["--dump", str(ROOT / "README.md")], "not a goroutine profile"),
        (["--dump", str(LEAK / "goroutine.txt"), "--source", "/nowhere"], "is no folder"),
        ([], "--dump"),
        (["--dump", "-", "--batch"], "not allowed with"),
    ],
)
def test_what_cannot_be_used_is_said_in_one_sentence(arguments, said):
    done = run(*arguments)
    assert done.returncode == 2
    assert said in done.stderr.decode()
    assert "Traceback" not in done.stderr.decode()
