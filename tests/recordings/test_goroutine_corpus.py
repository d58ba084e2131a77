"""The goroutine corpus says what its dumps show: each labelled line is in its dump, and marked in its source."""

import base64
import gzip
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.recordings.goroutines.cases import KERNELS, SUITES, most_grown, read_cases, read_goroutines

CORPUS = Path(__file__).parent / "goroutines"
FIELDS = {"id", "suite", "leak", "root_cause", "culprit_in_dump", "roots", "victims", "goroutine", "earlier"}
FIELDS |= {"debug1", "protobuf", "leakprofile", "leakprotobuf"}
CAUSES = {
    "chan_send_no_receiver",
    "chan_recv_no_sender",
    "nil_chan",
    "chan_wait_cycle",
    "semaphore_not_released",
    "subscriber_never_unsubscribed",
    "select_no_ctx_done",
    "ctx_never_cancelled",
    "context_not_propagated",
    "ticker_never_stopped",
    "timer_stopped_receive",
    "sleep_poll_loop",
    "http_client_no_timeout",
    "http_body_not_closed",
    "server_no_read_timeout",
    "net_read_no_deadline",
    "io_pipe_no_reader",
    "listener_never_closed",
    "blocked_syscall",
    "child_process_wait",
    "db_pool_exhausted",
    "db_tx_or_rows_not_closed",
    "mutex_missing_unlock",
    "mutex_double_lock",
    "lock_order_abba",
    "rwmutex_recursive_rlock",
    "chan_lock_cycle",
    "mutex_held_across_io",
    "once_reentered",
    "cond_never_signaled",
    "waitgroup_never_done",
}


def recorded(suite: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in gzip.decompress((CORPUS / f"{suite}.jsonl.gz").read_bytes()).splitlines()]


CASES = {case["id"]: case for suite in SUITES for case in recorded(suite)}
SOURCES = {f"own/{case.name}": case for case in read_cases(CORPUS / "services")}
by_id = pytest.mark.parametrize("name", sorted(CASES))


def blocks(case: dict[str, Any], state: str) -> list[str]:
    head = re.compile(rf"goroutine \d+ \[{re.escape(state)}[\],]")
    return [block for block in case["goroutine"].split("\n\n") if head.match(block)]


def shows(block: str, place: dict[str, Any], call: str = "") -> bool:
    at = rf"{re.escape(place['file'])}:{place['line']}(?: \+0x[0-9a-f]+)?$"
    begin = (
        rf"^{re.escape(place['func'])}\(.*\)\n"
        if not call
        else rf"^{call} {re.escape(place['func'])}(?: in goroutine \d+)?\n"
    )
    return re.search(rf"{begin}\t(?:.*/)?{at}", block, re.MULTILINE) is not None


def test_every_source_is_recorded_and_nothing_else() -> None:
    assert set(CASES) == set(SOURCES)


def test_every_cause_has_at_least_two_cases() -> None:
    of = Counter(case["root_cause"] for case in CASES.values() if case["leak"])
    assert set(of) == CAUSES
    assert min(of.values()) >= 2
    assert sum(not case["leak"] for case in CASES.values()) >= 12


@by_id
def test_a_line_has_all_fields(name: str) -> None:
    case = CASES[name]
    assert set(case) == FIELDS
    assert case["root_cause"] == (SOURCES[name].cause if case["leak"] else None)
    assert case["suite"] == SUITES[SOURCES[name].suite]
    assert bool(case["roots"]) == case["leak"]
    total = int(case["debug1"].split("total ")[1].split()[0])
    assert abs(total - case["goroutine"].count("\ngoroutine ") - 1) <= 3
    assert all(gzip.decompress(base64.b64decode(case[key])) for key in ("protobuf", "leakprotobuf"))
    assert case["leakprofile"].startswith("goroutineleak profile: total ")


@by_id
def test_the_labelled_lines_are_in_the_dump(name: str) -> None:
    case = CASES[name]
    for place in case["victims"] + (case["roots"] if case["culprit_in_dump"] else []):
        found = [block for block in blocks(case, place["state"]) if shows(block, place)]
        assert found, place
        if creator := place.get("created_by"):
            assert any(shows(block, creator, "created by") for block in found), place


@by_id
def test_what_is_said_to_be_absent_is_absent(name: str) -> None:
    case = CASES[name]
    if case["culprit_in_dump"]:
        return
    for root in case["roots"]:
        assert blocks(case, root["state"])
        assert f"/{root['file']}:{root['line']} " not in case["goroutine"].replace("/net/http/server.go", "")


@by_id
def test_the_labelled_lines_bear_their_mark_in_the_source(name: str) -> None:
    marks = SOURCES[name].marks
    assert {(root["file"], root["line"]) for root in CASES[name]["roots"]} == marks["ROOT"]
    assert {(victim["file"], victim["line"]) for victim in CASES[name]["victims"]} <= marks["VICTIM"]


@by_id
def test_services_grow_healthy_ones_do_not_and_kernels_have_one_dump(name: str) -> None:
    case = CASES[name]
    if SOURCES[name].suite in KERNELS:
        assert case["earlier"] is None
        return
    growth, _ = most_grown(case["earlier"], case["goroutine"])
    assert 10 <= growth <= 60 if case["leak"] else growth <= 3


@pytest.mark.parametrize("name", sorted(name for name in CASES if SOURCES[name].suite in KERNELS))
def test_a_kernel_holds_one_to_six_goroutines(name: str) -> None:
    case = CASES[name]
    places = {(p["func"], p["file"], p["line"], p["state"]) for p in case["roots"] + case["victims"]}
    stuck = [
        goroutine
        for goroutine in read_goroutines(case["goroutine"])
        if any((frame.func, frame.file, frame.line, goroutine.state) in places for frame in goroutine.frames)
    ]
    assert 1 <= len(stuck) <= 6


def test_the_second_kernels_are_of_the_classic_causes() -> None:
    of = Counter(case.cause for case in SOURCES.values() if case.suite == "kernel2")
    assert sum(of.values()) >= 45
    assert of["mutex_missing_unlock"] + of["mutex_double_lock"] >= 10
    assert of["chan_lock_cycle"] >= 7
    assert min(of[cause] for cause in ("lock_order_abba", "chan_send_no_receiver", "chan_recv_no_sender")) >= 5


@by_id
def test_no_path_of_a_machine_is_in_a_dump(name: str) -> None:
    case = CASES[name]
    for key in ("goroutine", "earlier", "debug1", "leakprofile"):
        assert not re.search(r"^\t/|\t/(?:work|tmp|home|root|usr)/", case[key] or "", re.MULTILINE)


def test_the_recordings_stay_small() -> None:
    assert sum(file.stat().st_size for file in CORPUS.glob("*.jsonl.gz")) < 3_000_000
