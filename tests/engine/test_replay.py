"""``manage.py replay``: which files it reads, and what it says."""

import io
import json
import sys
from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import CommandError, call_command
from hypothesis import given, settings
from hypothesis import strategies as st

from sre_platform.catalog.domain import Target
from sre_platform.catalog.models import Service
from sre_platform.engine.recordings import Recorded, read_files
from sre_platform.engine.replay import Replay
from sre_platform.incidents.board import Board
from sre_platform.incidents.models import Incident, Silence
from sre_platform.intake.domain import UNDATED, AlertValue
from sre_platform.intake.models import Alert, Delivery
from tests.fakes.alertmanager import alert, body, document

AT = datetime(2026, 11, 21, 12, 20, tzinfo=UTC)
CATALOG = """\
services:
  - {name: web, depends_on: [payments], metrics_url: "${NOWHERE}/metrics"}
  - name: payments
    replicas: [{name: a, pprof_url: "${NOWHERE}/debug/pprof"}]
    repository: ${NOWHERE}/shop
    log_file: ${NOWHERE}/log
maintenance_windows:
  - {name: night, matchers: [alertname=Backup], first_start: "2026-11-21T12:00:00Z", duration_s: 3600}
  - {name: off, matchers: [service=web], first_start: "2026-11-21T12:00:00Z", duration_s: 3600, enabled: false}
inhibition_rules:
  - {name: down, source: [alertname=Down], target: [alertname=Slow], equal: [service]}
"""


def line(*alerts, at=AT, **fields):
    return json.dumps({"received_at": at.isoformat(), "source": "alertmanager", "body": document(*alerts)} | fields)


@pytest.fixture
def file(tmp_path):
    def write(text, name="r.jsonl"):
        (tmp_path / name).write_text(text)
        return str(tmp_path / name)

    return write


@pytest.fixture
def run(capsys, file):
    """The report of ``replay --json``, the exit code, and what it complained about."""

    def call(*names, catalog=CATALOG):
        words = ["--catalog", file(catalog, "catalog.yaml")] if catalog else []
        with pytest.raises(SystemExit) as ended:
            call_command("replay", *names, *words, "--json")
        said = capsys.readouterr()
        return json.loads(said.out), ended.value.code, said.err

    return call


def test_a_recording_is_told_without_a_database(run, file):
    """No django_db mark: whoever asks the database fails."""
    report, code, _ = run(file(line(alert()) + "\n\n" + line(alert("Slow", "web"), alert(), at=AT) + "\n"))
    [incident] = report["incidents"]
    assert (code, report["refused"], report["catalog"]) == (0, [], "catalog.yaml")
    assert (incident["key"], incident["alerts"], incident["services"]) == ("payments", 2, ["payments", "web"])
    assert incident["joined"] == {"web depends on payments": 1}
    assert report["fates"] == {"opened": 1, "joined": 1, "duplicate": 1}
    assert (report["webhooks"], report["occurrences"], report["visible"]) == (2, 2, 1)
    assert (report["noise_reduction"], report["noise_reduction_webhooks"]) == (0.5, 0.5)


def test_windows_and_inhibition_of_the_catalog_keep_alerts_quiet(run, file):
    text = line(alert("Backup"), alert("Down"), alert("Slow"), alert("Slow", "web"))
    report, _, _ = run(file(text))
    assert [sorted(incident["services"]) for incident in report["incidents"]] == [["payments", "web"]]
    assert report["quiet"] == {
        "maintenance window night until 13:00 UTC": 1,
        "inhibited by Down (rule down), same service=payments": 1,
    }


def test_what_was_quiet_comes_up_when_it_is_so_no_longer(run, file):
    later = line(alert("Other", "mail"), at=AT + timedelta(hours=1))
    report, _, _ = run(file(line(alert("Backup")) + "\n" + later))
    assert [incident["key"] for incident in report["incidents"]] == ["payments", "mail"]
    assert (report["quiet"], report["fates"]) == ({}, {"quiet": 1, "opened": 2})


def test_a_bad_line_is_named_and_the_others_count(run, file):
    bad = ["{", line(alert(), source="nagios"), line(alert(), body={"version": "3"}), line(alert(), received_at="noon")]
    name = file("\n".join([line(alert()), *bad, line(alert("Slow", "mail"))]))
    report, code, err = run(name, "/nonexistent/file")
    assert (code, report["webhooks"]) == (1, 2)
    assert [said.split(": ")[0] for said in report["refused"]] == [
        *(f"{name}:{n}" for n in range(2, 6)),
        "/nonexistent/file",
    ]
    assert f"{name}:3: There is no source 'nagios'" in err


def test_a_file_may_be_one_body_and_several_files_are_put_in_order(run, file):
    first = file(body(alert("A", "mail", starts_at="2026-11-21T12:00:00Z")).decode(), "a.json")
    pretty = json.dumps(document(alert("B", "payments", starts_at="2026-11-21T11:00:00Z")), indent=1)
    report, code, _ = run(first, file(pretty, "b.json"))
    assert [(i["key"], i["opened_at"][11:16]) for i in report["incidents"]] == [
        ("payments", "11:00"),
        ("mail", "12:00"),
    ]
    assert code == 0


def test_other_sources_with_their_mapping_and_bodies_as_text(file):
    mapping = {"labels": {"alertname": "name", "service": "where"}, "status": "state", "resolved_values": ["ok"]}
    mapping |= {"starts_at": "since"}
    other = {"name": "Slow", "where": "mail", "state": "bad", "since": AT.isoformat()}
    lines = [line(source="generic", body=other, mapping=mapping), line(body=body(alert()).decode())]
    found = read_files([file("\n".join(lines))])
    assert (len(found.webhooks), found.refused) == (2, [])


def test_standard_input_is_read(run, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(line(alert()).encode())))
    assert run("-")[0]["occurrences"] == 1


def test_nothing_at_all_is_no_reduction(run, file):
    report, code, _ = run(file(""))
    assert (code, report["noise_reduction"], report["incidents"]) == (0, None, [])


@pytest.mark.parametrize("text", ["services: [{name: a, colour: red}]", "services: [{name: a b}]", "nonsense: 1"])
def test_a_bad_catalog_is_an_error(file, text):
    with pytest.raises(CommandError, match=r"catalog\.yaml"):
        call_command("replay", file(""), "--catalog", file(text, "catalog.yaml"))


@pytest.mark.django_db
def test_without_a_catalog_the_database_is_asked_and_not_written(run, file):
    Service.objects.create(name="web", depends_on=["payments"])
    Service.objects.create(name="payments")
    Silence.objects.create(matchers=["alertname=B"], starts_at=AT, ends_at=AT + timedelta(hours=1), by="ann")
    report, _, _ = run(file(line(alert(), alert("Slow", "web"), alert("B", "mail"))), catalog="")
    assert (report["catalog"], report["visible"], len(report["quiet"])) == ("the database", 1, 1)
    assert not any(model.objects.exists() for model in (Alert, Delivery, Incident))


def test_people_see_incidents_and_what_was_saved(capsys, file):
    alerts = [alert("A", f"[s{n}]", starts_at=f"2026-11-21T12:00:{n:02}Z") for n in range(12)]
    with pytest.raises(SystemExit):
        call_command("replay", file(line(*alerts)), "--catalog", file(CATALOG, "catalog.yaml"))
    said = capsys.readouterr().out
    assert "Alert storm: 10 incidents within 60 s: 3 alerts on [s10], [s11], [s9]" in said
    assert "    12:20:00 [s0] A on [s0]: 1 alert on [s0]\n" in said
    assert "1 incidents to look at: 91% less than alerts, 0% less than webhooks." in said


fired = st.tuples(st.sampled_from([*"abcd", "x", "y", *(f"s{n}" for n in range(15))]), st.sampled_from(["A", "B"]))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.lists(fired, max_size=4), st.integers(0, 400)), max_size=15))
def test_webhook_by_webhook_or_in_one_batch_alerts_find_the_same_incidents(stream):
    """The digester takes up to 100 deliveries at once: that must not change where alerts go."""
    needs = {"a": ("c",), "b": ("c",), "c": ("d",), "d": ()}
    topology = {name: Target(name, depends_on=deps) for name, deps in needs.items()}
    it, board, at = Replay(topology=topology), Board(topology), AT
    for alerts, wait in stream:
        at += timedelta(seconds=wait)
        values = tuple(value(service=service, name=name) for service, name in alerts)
        one = it.take(Recorded(at, values))
        other = [board.take(alert, at) for alert in values]
        assert [(p.fate, p.reason, _key(p)) for p in one] == [(p.fate, p.reason, _key(p)) for p in other]
    assert [(told.live.key, told.live.parent) for told in it.incidents.values() if not told.live.parent] == [
        (live.key, None) for live in board.opened if not live.parent
    ]


def _key(placed):
    return placed.live.key if placed.live else ""


def value(status="firing", starts=AT, service="mail", name="A"):
    labels = {"alertname": name, "service": service}
    return AlertValue(f"{name}{service}", status, labels, {}, starts, None, "")


def come(it, *alerts, minutes=0.0):
    return [item.fate.value for item in it.take(Recorded(AT + timedelta(minutes=minutes), alerts))]


def test_alerts_without_a_date_are_the_occurrence_that_is_open():
    it, undated = Replay(), value(starts=UNDATED)
    assert come(it, undated) == ["opened"]
    assert come(it, undated, minutes=1) == ["duplicate"]
    assert come(it, value("resolved", UNDATED), minutes=2) == ["resolved"]
    assert come(it, undated, minutes=3) == ["opened"]
    assert sorted(start for _, start in it.fired) == [AT, AT + timedelta(minutes=3)]


def test_an_incident_takes_alerts_until_all_of_its_own_have_resolved():
    it = Replay()
    come(it, value(), value(name="B"))
    come(it, value("resolved"))
    assert come(it, value(name="C"), minutes=1) == ["joined"]
    come(it, value("resolved", name="B"), value("resolved", name="C"))
    assert come(it, value(name="D"), minutes=2) == ["opened"]


@pytest.mark.parametrize(("minutes", "fate"), [(4.9, "joined"), (5.1, "opened")])
def test_an_alert_that_flaps_holds_its_incident_for_five_minutes(minutes, fate):
    it = Replay()
    for n in range(4):
        come(it, value(starts=AT + timedelta(seconds=n)))
        come(it, value("resolved", AT + timedelta(seconds=n)))
    assert len(it.incidents) == 4
    assert come(it, value(name="B"), minutes=minutes) == [fate]


def test_flapping_is_forgotten_after_an_hour():
    it = Replay()
    for n in range(6):
        come(it, value(starts=AT + timedelta(minutes=n * 25)), minutes=n * 25)
        come(it, value("resolved", AT + timedelta(minutes=n * 25)), minutes=n * 25)
    assert len(it.incidents) == 6


@pytest.mark.parametrize(("minutes", "fate"), [(5, "storm"), (5.1, "opened")])
def test_a_storm_takes_alerts_until_it_is_calm_though_its_own_have_resolved(minutes, fate):
    it = Replay()
    come(it, *(value(service=f"s{n}") for n in range(10)))
    come(it, *(value("resolved", service=f"s{n}") for n in range(10)))
    assert come(it, value(), minutes=minutes) == [fate]
