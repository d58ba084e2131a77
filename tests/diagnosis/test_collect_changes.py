"""Commits of a deploy, what Prometheus recorded, and what the logs say: each bounded, and missing with its reason."""

import json
from dataclasses import replace
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from sre_platform.catalog.domain import Target
from sre_platform.clients import logfile
from sre_platform.diagnosis.collectors import go_trace, prometheus_window, recent_changes
from sre_platform.kernel.errors import Rejected, Unavailable
from tests.clients.test_git import checkout  # noqa: F401 a fixture
from tests.diagnosis.scene import OPENED, collect, deploy, scene
from tests.fakes.wire import Answer, serving


def test_a_deploy_comes_with_its_commits_and_the_lines_that_they_changed(checkout):  # noqa: F811
    target = Target("payments", repository=str(checkout))
    seen = collect("recent_changes", target, scene(deploy(40), deploy(60, kind="config", before="a=1", after="a=2")))
    newest, config = seen.data["changes"]
    assert [c["says"] for c in newest["commits"]] == [
        "Take one away",
        "Put two lines before them",
        "Change two lines",
    ]
    assert newest["commits"][2] == {
        "id": newest["commits"][2]["id"],
        "by": "ann",
        "at": newest["commits"][2]["at"],
        "says": "Change two lines",
        "files": {"orders/quote.go": [[7, 8]]},
    }
    assert (config["kind"], config["before"], config["after"], "commits" in config) == ("config", "a=1", "a=2", False)
    assert seen.asked == (f"git log v1..v2 in {checkout}",)
    assert json.dumps(seen.data)


def test_only_commits_of_the_services_own_folder_count(checkout):  # noqa: F811
    target = Target("payments", repository=str(checkout), source_root="search")
    [change] = collect("recent_changes", target, scene(deploy(40))).data["changes"]
    assert [list(c["files"]) for c in change["commits"]] == [["search/main.go"]]


@pytest.mark.parametrize(("after", "said"), [("v9", "has no release 'v9'"), ("--all", "is no name of a Git reference")])
def test_commits_that_cannot_be_told_are_said_and_the_change_is_there(checkout, after, said):  # noqa: F811
    [change] = collect(
        "recent_changes", Target("payments", repository=str(checkout)), scene(deploy(40, after=after))
    ).data["changes"]
    assert (change["after"], change["commits"], said in change["no_commits"]) == (after, [], True)


def test_of_many_deploys_the_newest_are_read(checkout):  # noqa: F811
    world = scene(*[deploy(40 + n) for n in range(5)])
    seen = collect("recent_changes", Target("payments", repository=str(checkout)), world)
    assert [("commits" in change) for change in seen.data["changes"]] == [True, True, True, False, False]
    assert len(seen.asked) == recent_changes.DEPLOYS_READ


def test_without_a_repository_nothing_is_run():
    [change] = collect("recent_changes", Target("payments"), scene(deploy(40))).data["changes"]
    assert "commits" not in change


def matrix(series):
    return Answer(200, json.dumps({"status": "success", "data": {"resultType": "matrix", "result": series}}).encode())


def ask(answer, **params):
    with serving(answer) as wire:
        world = replace(scene(), prometheus_url=wire.url.replace("http://", "http://ann:hunter2@"))
        return wire, collect("prometheus_window", Target("payments"), world, **params)


def test_the_queries_of_the_playbook_over_the_window_around_the_incident():
    series = [{"metric": {"pod": "b"}, "values": [[1, "2"], [16, "NaN"], [31, "+Inf"], [46, "3.5"]]}]
    wire, seen = ask(matrix(series), queries={"p99": 'p99{job="{service}"}'}, minutes=10, step_s=15)
    asked = parse_qs(urlsplit(wire.calls[0].path).query)
    assert asked["query"] == ['p99{job="payments"}']
    assert float(asked["start"][0]) == (OPENED - timedelta(minutes=10)).timestamp() == seen.data["start"]
    assert float(asked["end"][0]) == pytest.approx(seen.data["end"], abs=0.001)
    assert seen.data["queries"]["p99"] == {
        "query": 'p99{job="payments"}',
        "series": [{"labels": {"pod": "b"}, "points": [[1.0, 2.0], [46.0, 3.5]]}],
        "missing": "",
    }
    points = (seen.data["end"] - seen.data["start"]) / seen.data["step_s"]
    assert points <= prometheus_window.MAX_POINTS
    assert "hunter2" not in repr(seen)


def test_a_query_that_fails_is_missing_and_the_others_are_there():
    def answer(call):
        return Answer(400, b"parse error") if "bad" in call.path else matrix([])

    _, seen = ask(answer, queries={"one": "bad(", "two": "up"})
    assert "parse error" in seen.data["queries"]["one"]["missing"]
    assert seen.data["queries"]["two"]["missing"] == "Prometheus has no data for it in this window."


def test_of_very_many_series_the_first_are_kept_and_that_is_said(monkeypatch):
    monkeypatch.setattr(prometheus_window, "MAX_SERIES", 2)
    _, seen = ask(matrix([{"metric": {"pod": str(n)}, "values": [[1, "1"]]} for n in (3, 1, 2)]), queries={"q": "up"})
    answer = seen.data["queries"]["q"]
    assert [one["labels"]["pod"] for one in answer["series"]] == ["1", "2"]
    assert answer["missing"] == "It gave 3 series, of which the first 2 were kept."


def test_no_prometheus_and_no_queries():
    with pytest.raises(Unavailable, match="SRE_PROMETHEUS_URL"):
        collect("prometheus_window", Target("payments"), queries={"q": "up"})
    with pytest.raises(Unavailable, match="names no queries"):
        ask(matrix([]))


TRACE = """\
listening on :8080
gc 1 @0.012s 2%: 0.026+0.39+0.10 ms clock, 0.21+0.88/0.52/0+0.84 ms cpu, 4->4->0 MB, 5 MB goal, 0 MB stacks, 8 P
2026-11-21T12:00:00.1Z stderr F gc 2 @0.1s 2%: 0.1+0.1+0.1 ms clock, 8 P (forced)
  P7: not of a SCHED line
SCHED 2013ms: gomaxprocs=4 idleprocs=0 threads=11 spinningthreads=0 idlethreads=3 runqueue=2 [ 0 1 0 0 ]
  P0: status=1 schedtick=9 syscalltick=1 m=3 runqsize=0 gfreecnt=0 timerslen=1
  M3: p=0 curg=17 mallocing=0
gc is a word, and so is SCHED 5
"""


def logged(tmp_path, text):
    log = tmp_path / "orders.log"
    log.write_text(text)
    return Target("payments", log_files=(str(log),))


def test_the_runtimes_lines_of_a_log(tmp_path):
    seen = collect("go_trace", logged(tmp_path, TRACE), seconds=0.01)
    assert [line.split(" @")[0] for line in seen.texts["gctrace"].splitlines()] == ["gc 1", "gc 2"]
    assert [line.split(":")[0] for line in seen.texts["schedtrace"].splitlines()] == ["SCHED 2013ms", "  P0", "  M3"]
    assert seen.data == {"seconds": 0.01}


def test_a_collection_that_looks_for_leaks_is_a_collection_too(tmp_path):
    """Since Go 1.26 the leak profile starts one, and its line says so."""
    of_leaks = "gc 7 @1.204s 3% (checking for goroutine leaks): 0.018+1.3+0.076 ms clock, 4->4->2 MB"
    seen = collect("go_trace", logged(tmp_path, f"{of_leaks}\ngc 8 @1s 3% said: nothing\n"), seconds=0)
    assert seen.texts["gctrace"] == f"{of_leaks}\n"


def test_only_the_end_of_a_long_log_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(go_trace, "TAIL_BYTES", 300)
    target = logged(tmp_path, "gc 1 @0.1s 1%: old\n" * 1000 + "x" * 280 + "\ngc 9 @0.1s 1%: new\n")
    assert collect("go_trace", target, seconds=0).texts["gctrace"] == "gc 9 @0.1s 1%: new\n"


def test_a_log_without_such_lines_or_none_at_all(tmp_path):
    with pytest.raises(Unavailable, match=r"no gctrace and no schedtrace lines\. Start it with GODEBUG"):
        collect("go_trace", logged(tmp_path, "hello\n"), seconds=0)
    for name in ("go_trace", "log_templates"):
        with pytest.raises((Unavailable, Rejected)):
            collect(name, Target("payments", log_files=(str(tmp_path / "nothing"),)))
        with pytest.raises((Unavailable, Rejected)):
            collect(name, Target("payments", log_files=(str(tmp_path),)))


def line(seconds_before, says, level="INFO"):
    at = (OPENED - timedelta(seconds=seconds_before)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return json.dumps({"time": at, "level": level, "msg": says}) + "\n"


def test_what_the_log_says_before_and_since_the_change(tmp_path):
    text = "".join(line(100 - n, f"charged order {n} in {n}ms") for n in range(60))
    text += "".join(line(39 - n, f"pool {n} exhausted", "ERROR") for n in range(5)) + line(9999, "too old")
    seen = collect("log_templates", logged(tmp_path, text), scene(deploy(40), deploy(70), deploy(99999)))
    error, info = seen.data["templates"]
    assert (error["template"], error["level"], error["count"], error["count_before"]) == (
        "pool <*> exhausted",
        "error",
        5,
        0,
    )
    assert error["first_at"] == (OPENED - timedelta(seconds=39)).isoformat()
    assert "pool 0 exhausted" in error["sample"]
    assert (info["template"], info["count"], info["count_before"]) == ("charged order <*> in <*>", 0, 60)
    assert (seen.data["lines"], seen.data["minutes"]) == (65, 15)


def test_without_a_change_the_incident_divides(tmp_path):
    text = line(5, "a") + line(-5, "a")
    [seen] = collect("log_templates", logged(tmp_path, text)).data["templates"]
    assert (seen["count"], seen["count_before"]) == (1, 1)
    assert logfile.size(str(tmp_path / "orders.log")) > 0
