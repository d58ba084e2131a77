"""The pure view models: timeline, stages, measured values, evidence, Markdown, durations."""

from datetime import UTC, datetime, timedelta

import pytest

from sre_platform.incidents import record
from sre_platform.incidents.domain import Event, State
from sre_platform.incidents.models import Incident
from sre_platform.remediation.models import Step
from sre_platform.verification.models import SampleRow
from sre_platform.web import timeline
from sre_platform.web.markdown import render
from sre_platform.web.measured import SAMPLES_SHOWN, table
from sre_platform.web.reading import read
from sre_platform.web.seen import lay_out
from sre_platform.web.stages import stages
from sre_platform.web.templatetags import shown
from tests.web import factories

START = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


def case(story):
    return read(Incident.objects.get(pk=story.incident.pk))


def kinds(story) -> list[str]:
    return [moment.kind for moment in timeline.moments(case(story))]


def test_everything_that_can_happen_and_every_state_has_its_words():
    known = set(Event) | {
        record.LEASE_EXPIRED,
        record.STAGE_FAILED,
        record.WAITS,
        "step_first",
        "watch_blind",
        "opened",
        "alert_joined",
        "alerts_clear",
        "ticket_opened",
    }
    assert known == set(timeline.HEADS)
    assert set(shown.STATES) == set(State)
    assert set(shown.STEPS) == set(Step.State)
    assert set(timeline.PENDING) == set(State) - {State.RESOLVED, State.ESCALATED}


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("story", "expected"),
    [
        ("opened", ["alert", "evidence"]),
        ("diagnosed", ["alert", "evidence", "cause", "note"]),
        ("decided", ["alert", "evidence", "cause", "decision", "action"]),
        ("acted", ["alert", "evidence", "cause", "decision", "action", "verification"]),
        ("resolved", ["alert", "evidence", "cause", "decision", "action", "verification", "ticket"]),
        ("escalated", ["alert", "evidence", "cause", "ticket"]),
        ("rolled_back", ["alert", "evidence", "cause", "decision", "action", "verification", "rollback", "note"]),
    ],
)
def test_the_story_is_told_in_order(story, expected):
    assert kinds(getattr(factories, story)()) == expected


@pytest.mark.django_db
def test_times_count_from_the_first_alert_and_never_run_backwards():
    times = [moment.after_s for moment in timeline.moments(case(factories.resolved()))]
    assert times == sorted(times)
    assert times[0] == pytest.approx(0.7)


@pytest.mark.django_db
def test_a_second_attempt_has_its_own_step_and_its_own_samples():
    story = factories.rolled_back()
    first = story.step
    story.step = Step.objects.create(
        incident=story.incident,
        cause="bad_release",
        action="rollback_release",
        target="p2",
        says="Roll back",
        aim={},
        undo={"to": "v2"},
    )
    story.tell(1, "allowed", "Roll back: nobody objects.", {"says": "Roll back"}, to=State.APPROVED)
    story.sample(0.1, 0.4, 1, 1)
    story.tell(1, "steps_done", "Done.", to=State.REMEDIATED)
    told = timeline.moments(case(story))
    assert [m.step.pk for m in told if m.kind == "action"] == [first.pk, story.step.pk]
    assert [len(m.table.columns) for m in told if m.kind == "verification"] == [4, 1]


@pytest.mark.django_db
def test_a_refused_action_does_not_show_the_step_of_an_earlier_one():
    story = factories.rolled_back()
    story.tell(1, "refused", "Other: too many.", {"says": "Other"}, to=State.ESCALATED)
    assert [m.step is None for m in timeline.moments(case(story)) if m.kind == "decision"] == [False, True]


@pytest.mark.django_db
def test_an_event_that_nobody_foresaw_is_told_too():
    story = factories.opened()
    story.tell(1, "moon_rose", "It is night.")
    moment = timeline.moments(case(story))[1]
    assert (moment.kind, moment.title, moment.reason) == ("note", "Moon rose", "It is night.")


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("story", "marks"),
    [
        ("opened", ["done", "done", "busy", "todo", "todo", "todo", "todo"]),
        ("verifying", ["done", "done", "done", "done", "done", "busy", "todo"]),
        ("resolved", ["done"] * 7),
        ("escalated", ["done", "done", "failed", "skipped", "skipped", "skipped", "done"]),
        ("rolled_back", ["done", "done", "done", "busy", "todo", "todo", "todo"]),
    ],
)
def test_the_bar_says_how_far_it_has_come(story, marks):
    assert [stage.mark for stage in stages(case(getattr(factories, story)()))] == marks


@pytest.mark.django_db
def test_the_bar_tells_the_seconds_of_each_stage():
    times = [stage.after_s for stage in stages(case(factories.resolved()))]
    assert times == pytest.approx([0, 0.4, 2.8, 3.1, 4.7, 9.7, 9.9])


def sample(number: int, value: float | None, met: bool | None) -> SampleRow:
    check = {
        "name": "errors",
        "value": value,
        "op": "<",
        "threshold": 0.05,
        "met": met,
        "missing": "" if met is not None else "no data",
    }
    return SampleRow(number=number, at=START + timedelta(seconds=number), checks=[check], good=met)


def test_samples_become_a_row_for_each_criterion_with_before_first():
    rows = [sample(0, 0.4, False), sample(1, None, None), sample(2, 0.01, True)]
    [row] = (seen := table(rows, START)).rows
    assert [column.number for column in seen.columns] == [0, 1, 2]
    assert [(cell.value, cell.met) for cell in row.cells] == [(0.4, False), (None, None), (0.01, True)]
    assert (row.name, row.wants, row.cells[1].missing) == ("errors", "< 0.05", "no data")
    assert row.spark.says == "errors: 0.4, not measured, 0.01. It has to be < 0.05."
    assert row.spark.last[2] is True


def test_of_many_samples_the_newest_are_shown_beside_the_one_before():
    seen = table([sample(number, 0.1, False) for number in range(20)], START)
    assert [column.number for column in seen.columns] == [0, *range(20 - SAMPLES_SHOWN, 20)]
    assert seen.hidden == 20 - SAMPLES_SHOWN - 1
    assert len(seen.rows[0].spark.lines[0].split()) == 20


def test_samples_that_are_not_there_or_all_the_same_or_unmeasured_are_no_error():
    assert table([], START) is None
    assert table([sample(0, 0.05, False)], START).rows[0].spark.lines == []
    assert table([sample(0, None, None)], START).rows[0].spark.last is None


def test_evidence_is_laid_out_without_knowing_its_collector():
    seen = lay_out(
        {
            "up_s": 3.14159,
            "ok": True,
            "who": None,
            "tags": ["a", "b"],
            "probes": [{"ms": 3, "said": ""}, {"ms": 4}] * 10,
        }
    )
    assert seen.fields == [("up (s)", "3.142"), ("ok", "yes"), ("who", "–"), ("tags", "a, b")]
    [grid] = seen.grids
    assert (grid.name, grid.columns, grid.rows[0], grid.more) == ("probes", ["ms"], ["3"], 8)


@pytest.mark.parametrize(
    ("source", "html"),
    [
        ("a\nb\n\nc", "<p>a b</p><p>c</p>"),
        (
            "## Cause\n\n1. `x` is **bad**\n   - why\n2. y",
            "<h2>Cause</h2><ol><li><code>x</code> is <strong>bad</strong><ul><li>why</li></ul></li><li>y</li></ol>",
        ),
        ("<b>&", "<p>&lt;b&gt;&amp;</p>"),
        (
            "see https://a.b/c?d=1&e=2.",
            '<p>see <a href="https://a.b/c?d=1&amp;e=2" rel="noreferrer">https://a.b/c?d=1&amp;e=2</a>.</p>',
        ),
        (
            'https://a.b/"onload="x',
            '<p><a href="https://a.b/" rel="noreferrer">https://a.b/</a>&quot;onload=&quot;x</p>',
        ),
        ("{0} %s {}", "<p>{0} %s {}</p>"),
        ("", ""),
    ],
)
def test_markdown(source, html):
    assert render(source) == html


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(None, "–"), (0, "0.0 s"), (99.94, "99.9 s"), (99.96, "1 min 40 s"), (3661, "1 h 01 min"), (93600, "1 d 2 h")],
)
def test_durations(seconds, expected):
    assert shown.duration(seconds) == expected


def test_a_place_in_code_is_shortened_from_the_left():
    assert (shown.folder("/go/src/shop/till.go"), shown.basename("/go/src/shop/till.go")) == ("…/shop/", "till.go")
    assert shown.folder("till.go") == ""


def test_records_by_name_are_a_table_and_points_are_a_few_numbers():
    points = [[1_795_313_898 + n, value] for n, value in enumerate([16, 24.5, 18])]
    queries = {
        "pool_size": {"missing": "", "query": "pool", "series": [{"labels": {}, "points": points}]},
        "timeouts": {"missing": "No answer.", "query": "gone", "series": []},
    }
    seen = lay_out({"end": 1_795_313_900.0, "queries": queries, "nested": {"x": 0, "y": None}})
    assert seen.fields == [("end", "1,795,313,900"), ("nested", "x: 0")]
    [grid] = seen.grids
    assert (grid.name, grid.columns) == ("queries", ["name", "missing", "query", "series"])
    assert grid.rows == [
        ["pool size", "\N{EN DASH}", "pool", "points: 18 at last, from 16 to 24.5 in all"],
        ["timeouts", "No answer.", "gone", "\N{EN DASH}"],
    ]
