"""The auditor: when it tells, by which ways, and that it does so with everything else away."""

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from datetime import timedelta
from time import monotonic, sleep

import pytest
from django.conf import settings
from django.core.management import call_command

from sre_platform.engine import alarms
from sre_platform.engine.alarms import Kind, Watch, Way
from sre_platform.engine.auditing import Auditor
from sre_platform.engine.checks import Check, Stuck
from sre_platform.engine.models import Alarm, Heartbeat
from sre_platform.kernel.clock import now
from sre_platform.kernel.errors import Rejected, Unavailable
from tests.fakes.wire import Answer, serving

HOME = settings.BASE_DIR
WELL = Check("broker", True, "The broker answers.")
BAD = Check("broker", False, "The broker does not answer.", "Start Redis.")


def at(seconds: float):
    return now().replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(seconds=seconds)


def told(watch: Watch, seconds: float, check: Check) -> list[Kind]:
    return [news.kind for news in watch.round([check], at(seconds))]


def incidents(*numbers: int) -> Check:
    return Check("incidents", False, f"{len(numbers)} overdue.", stuck=[Stuck(f"incident {n}", "why") for n in numbers])


def test_a_problem_is_told_once_when_it_has_lasted_and_when_it_is_over():
    watch = Watch(30)
    assert [told(watch, s, BAD) for s in (0, 10, 20, 30, 40, 50)] == [[], [], [], [Kind.RAISED], [], []]
    assert [told(watch, s, WELL) for s in (60, 70)] == [[Kind.WELL], []]


def test_what_is_over_before_it_was_told_is_never_told():
    watch = Watch(30)
    assert [told(watch, s, c) for s, c in ((0, BAD), (20, WELL), (25, BAD), (50, BAD))] == [[], [], [], []]


def test_a_problem_is_told_again_when_another_thing_joins_but_not_when_one_leaves():
    watch = Watch(30)
    told(watch, 0, incidents(1, 2))
    assert told(watch, 30, incidents(1, 2)) == [Kind.RAISED]
    assert told(watch, 70, incidents(1)) == []
    assert told(watch, 80, incidents(1, 3)) == [Kind.CHANGED]
    assert told(watch, 90, incidents(1, 3, 4)) == []  # not more often than every 30 s
    assert told(watch, 110, incidents(1, 3, 4)) == [Kind.CHANGED]


def test_not_knowing_is_another_problem_than_knowing_it_is_bad():
    watch = Watch(0)
    assert told(watch, 0, BAD) == [Kind.RAISED]
    assert told(watch, 10, Check("broker", None, "No answer.")) == [Kind.CHANGED]


def test_what_could_not_be_checked_because_of_another_problem_stays_as_it_was():
    watch = Watch(0)
    told(watch, 0, incidents(1))
    unknown = Check("incidents", None, "Could not be checked.", because="database")
    assert told(watch, 10, unknown) == []
    assert told(watch, 20, incidents(1)) == []
    assert told(watch, 30, Check("incidents", True, "None.")) == [Kind.WELL]


def test_a_lasting_problem_is_told_every_hour():
    watch = Watch(30)
    told(watch, 0, BAD)
    told(watch, 30, BAD)
    assert [told(watch, 30 + s, BAD) for s in (3590, 3600, 3610)] == [[], [Kind.REMINDER], []]


def test_news_that_were_not_taken_are_kept_in_order_and_refused_ones_are_not():
    taken, answers = [], [Unavailable("away"), None, Rejected("no such token"), None]

    def send(news):
        if error := answers.pop(0):
            raise error
        taken.append(news.check.name)

    way = Way("webhook", send)
    way.tell([alarms.News(Kind.RAISED, Check(name, False, ""), at(0)) for name in ("one", "two", "three")])
    assert (taken, len(way.unsent)) == ([], 3)
    way.tell([])
    assert (taken, len(way.unsent)) == (["one", "three"], 0)


def test_an_open_row_for_the_pages_lives_as_long_as_the_problem(db):
    raised = [alarms.News(Kind.RAISED, BAD, at(0))]
    alarms.keep([BAD], raised)
    alarms.keep([BAD], raised)
    assert [(row.check_name, row.ended_at) for row in Alarm.objects.all()] == [("broker", None)]
    alarms.keep([Check("broker", None, "unknown")], [])  # not known to be well: it stays
    assert Alarm.objects.get().ended_at is None
    alarms.keep([WELL], [])
    assert Alarm.objects.get().ended_at
    alarms.keep([BAD], raised)
    assert Alarm.objects.count() == 2


def test_a_round_tells_on_every_way_and_leaves_a_row_and_a_heartbeat(transactional_db, settings):
    settings.SRE_REDIS_URL = "redis://127.0.0.1:1/0"
    settings.SRE_ALARM_TOKEN = "let-me-in"
    with serving(Answer()) as hook, serving(Answer()) as manager:
        settings.SRE_ALARM_URL, settings.SRE_ALARM_ALERTMANAGER_URL = hook.url, manager.url
        _, news = Auditor(for_s=0, every_s=10).round()
        [said] = [call for call in hook.calls if call.json()["problem"] == "broker"]
        [alert] = [a for call in manager.calls for a in call.json() if a["labels"]["check"] == "broker"]
    assert said.headers["authorization"] == "Bearer let-me-in"
    body = said.json()
    assert set(body) == {"problem", "state", "says", "advice", "since", "host"}
    assert (body["state"], "does not answer" in body["says"], "Start Redis" in body["advice"]) == ("raised", True, True)
    assert manager.calls[0].path == "/api/v2/alerts"
    assert alert["labels"]["alertname"] == "SrePlatformStuck"
    assert alert["endsAt"] > alert["startsAt"]
    assert "broker" in {one.check.name for one in news}
    assert Alarm.objects.filter(check_name="broker", ended_at=None).exists()
    assert Heartbeat.objects.get(kind="auditor").details["every_s"] == 10


def test_one_way_that_is_away_does_not_keep_the_other_from_telling(transactional_db, settings):
    settings.SRE_REDIS_URL = "redis://127.0.0.1:1/0"
    with serving(Answer()) as manager:
        settings.SRE_ALARM_URL, settings.SRE_ALARM_ALERTMANAGER_URL = "http://127.0.0.1:1", manager.url
        auditor = Auditor(for_s=0, every_s=10)
        auditor.round()
        assert manager.calls
    [waiting] = [way for way in auditor.ways if way.name == "webhook"]
    with serving(Answer()) as hook:  # it comes back, and gets what it missed
        settings.SRE_ALARM_URL = hook.url
        waiting.tell([])
        assert "broker" in {call.json()["problem"] for call in hook.calls}


def test_once_looks_once_and_alarms_at_once(transactional_db, settings, capsys):
    settings.SRE_REDIS_URL = "redis://127.0.0.1:1/0"
    with pytest.raises(SystemExit) as ended:
        call_command("auditor", "--once", "--json")
    report = json.loads(capsys.readouterr().out)
    assert ended.value.code == 1
    assert "broker" in {news["problem"] for news in report["news"]}


@contextmanager
def auditing(data, url: str, **env: str):
    """The auditor as a process of its own, that looks ten times a second."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("SRE_", "DJANGO_", "PROMETHEUS"))}
    known = {"SRE_DATA": str(data), "SRE_ENV_FILE": "/nonexistent", "SRE_REDIS_URL": "redis://127.0.0.1:1/0"}
    known |= {"SRE_ALARM_URL": url} | env
    command = [sys.executable, str(HOME / "manage.py"), "auditor", "--every", "0.1", "--for", "0.5"]
    with (data / "err").open("w") as err:
        process = subprocess.Popen(command, env=kept | known, stderr=err, stdout=err)
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0


def wait_for(calls, problem: str, state: str, within_s: float = 40) -> dict:
    deadline = monotonic() + within_s
    while monotonic() < deadline:
        for call in list(calls):
            if (call.json()["problem"], call.json()["state"]) == (problem, state):
                return call.json()
        sleep(0.05)
    raise AssertionError(f"nobody told that {problem} is {state}: {[call.json() for call in calls]}")


def migrated(data) -> None:
    env = os.environ | {"SRE_DATA": str(data), "SRE_ENV_FILE": "/nonexistent", "SRE_DATABASE_URL": ""}
    subprocess.run([sys.executable, str(HOME / "manage.py"), "migrate", "-v0"], env=env, check=True, timeout=60)


def test_the_process_tells_that_redis_is_away_and_that_the_database_is_gone_and_back(tmp_path):
    migrated(tmp_path)
    database, away = tmp_path / "sre.sqlite3", tmp_path / "away"
    with serving(Answer()) as hook, auditing(tmp_path, hook.url) as process:
        assert "Start Redis" in wait_for(hook.calls, "broker", "raised")["advice"]
        assert not any(call.json()["problem"] == "database" for call in hook.calls)
        database.rename(away)
        database.mkdir()  # nothing can open it, whoever asks
        assert "does not answer" in wait_for(hook.calls, "database", "raised")["says"]
        database.rmdir()
        away.rename(database)
        wait_for(hook.calls, "database", "well")
        assert process.poll() is None
        raised = [call.json() for call in hook.calls if call.json()["state"] == "raised"]
        assert len([one for one in raised if one["problem"] == "broker"]) == 1  # once per problem
        assert not any(one["problem"] == "deliveries" for one in raised)  # the database is the problem
    lines = [json.loads(line) for line in (tmp_path / "err").read_text().splitlines()]
    alarms_logged = [line for line in lines if line["event"] == "alarm"]
    assert {"broker", "database"} <= {line["problem"] for line in alarms_logged}
    assert {line["level"] for line in alarms_logged} == {"error"}


def test_the_process_starts_and_tells_with_the_database_unreadable_from_the_beginning(tmp_path):
    (tmp_path / "sre.sqlite3").mkdir()
    with serving(Answer()) as hook, auditing(tmp_path, hook.url):
        wait_for(hook.calls, "database", "raised")
        wait_for(hook.calls, "broker", "raised")
