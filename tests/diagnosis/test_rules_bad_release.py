import pytest

from sre_platform.diagnosis.rules.bad_release import BadRelease
from tests.diagnosis.scene import seen


def change(before_s=40.0, before="v1", after="v2", kind="deploy", by="ann"):
    return {"kind": kind, "seconds_before": before_s, "before": before, "after": after, "by": by}


def goal(met, value=0.3):
    return {"name": "share of errors", "value": value, "op": "<=", "threshold": 0.02, "met": met, "missing": ""}


DEPLOYED, MISSED = (change(),), (goal(False),)


def judge(changes=DEPLOYED, running="v2", objectives=MISSED):
    evidence = seen("recent_changes", changes=list(changes), running=running)
    return BadRelease().judge("payments", evidence | seen("sli_window", objectives=list(objectives)))


def test_a_release_that_runs_and_does_not_meet_its_objectives():
    finding = judge(objectives=[goal(True, 0.0), goal(False), goal(None, None)])
    assert (finding.cause, finding.family, finding.service, finding.evidence) == (
        "bad_release", "release", "payments", "change",
    )  # fmt: skip
    assert list(finding.because) == [
        "payments: release v2 replaced v1 40 s before the incident (by ann), and it is the one that runs.",
        "share of errors is 0.3, and has to be <= 0.02.",
    ]


@pytest.mark.parametrize(("before_s", "confidence"), [(1, 0.85), (120, 0.85), (121, 0.75), (800, 0.75)])
def test_a_close_deploy_is_surer(before_s, confidence):
    assert judge([change(before_s)]).confidence == confidence


@pytest.mark.parametrize(
    "near_miss",
    [
        {"changes": []},
        {"running": "v1"},
        {"running": ""},
        {"changes": [change(kind="config")]},
        {"changes": [change(before="")]},
        {"changes": [change(10, "v2", "v3"), change(40)]},
        {"objectives": [goal(True)]},
        {"objectives": [goal(None, None)]},
        {"objectives": []},
    ],
)
def test_near_misses(near_miss):
    assert judge(**near_miss) is None


def test_missing_evidence_is_no_finding():
    changes, slis = (
        seen("recent_changes", changes=[change()], running="v2"),
        seen("sli_window", objectives=[goal(False)]),
    )
    rule = BadRelease()
    assert rule.judge("payments", changes | slis)
    for lacking in (
        {},
        changes,
        slis,
        changes | seen("sli_window", missing="m"),
        slis | seen("recent_changes", missing="m"),
    ):
        assert rule.judge("payments", lacking) is None
