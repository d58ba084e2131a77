"""Rolling back through Argo CD at the wire: to what ran before, once, and never against its own auto-sync."""

import json

import pytest

from sre_platform.kernel.errors import Lost, Malformed, Rejected
from sre_platform.remediation import steps
from sre_platform.remediation.domain import Seen
from sre_platform.remediation.steps import Outcome
from tests.fakes.argocd import PATH, TOKEN, serving_argocd
from tests.fakes.leases import Died, Mortal, Overtaken, incident, take, with_fate
from tests.remediation.kube import WORLD, action, nothing

NAME = "argocd_rollback"
pytestmark = pytest.mark.django_db


@pytest.fixture
def argo(monkeypatch):
    monkeypatch.setenv("ARGOCD_TOKEN", TOKEN)
    with serving_argocd() as it:
        yield it


def prepare(argo, target=None, **params):
    return steps.prepare(NAME, params, target or argo.target(), WORLD)


def apply(argo, aim):
    return action(NAME).apply(argo.target(), aim, WORLD, nothing)


def look(argo, aim):
    return action(NAME).look(argo.target(), aim, WORLD)


def written(argo):
    fields = {"incident_id": incident().pk, "cause": "c", "action": NAME, "target": "payments"}
    step = steps.from_prepared(prepare(argo), **fields)
    assert steps.write(step)
    return step


def carry(argo, step, lease=None):
    step.refresh_from_db()
    return steps.carry_out(step, argo.target(), WORLD, lease or take(step.incident_id))


def test_it_goes_to_the_newest_other_revision_and_what_arrives_was_announced(argo):
    prepared = prepare(argo)
    assert prepared.says == "Roll application payments back from c2 (entry 5) to c1 (entry 3)"
    assert (argo.writes, prepared.undo) == ([], {"id": 5, "only_from": ["c1"]})
    assert apply(argo, prepared.aim) == "application payments is being rolled back to ['c1']"
    [effect] = prepared.effects
    assert effect.to == f"{argo.url}{PATH}/rollback"
    assert argo.writes == [(effect.verb, f"{PATH}/rollback", argo.writes[0][2])]
    assert (
        json.loads(argo.writes[0][2]) == effect.body == {"name": "payments", "id": 3, "prune": False, "dryRun": False}
    )


def test_its_undo_goes_back_to_the_entry_that_ran(argo):
    prepared = prepare(argo)
    apply(argo, prepared.aim)
    argo.settle()
    undo = prepare(argo, **prepared.undo)
    apply(argo, undo.aim)
    argo.settle()
    assert [json.loads(body)["id"] for _, _, body in argo.writes] == [3, 5]
    assert argo.history[-1] == {"id": 7, "revision": "c2"}


def test_an_undo_is_refused_when_somebody_has_deployed_since(argo):
    prepared = prepare(argo)
    apply(argo, prepared.aim)
    argo.settle()
    argo.begin("c3")
    argo.settle()
    with pytest.raises(Rejected, match="somebody has changed it since"):
        prepare(argo, **prepared.undo)
    assert len(argo.writes) == 1


def test_the_look_tells_done_failed_and_somebody_elses(argo):
    aim = prepare(argo).aim
    assert look(argo, aim) is Seen.NOT_DONE
    apply(argo, aim)
    assert look(argo, aim) is Seen.DONE  # it is on its way
    apply(argo, aim)
    argo.settle("Failed")
    assert look(argo, aim) is Seen.UNKNOWN
    argo.settle()
    assert look(argo, aim) is Seen.DONE
    argo.begin("c9")
    argo.settle()
    assert look(argo, aim) is Seen.UNKNOWN
    argo.uid = "another"
    assert look(argo, aim) is Seen.UNKNOWN
    assert len(argo.writes) == 1


@pytest.mark.parametrize("automated", [{}, {"prune": True}, {"enabled": True}])
def test_auto_sync_is_refused_with_what_to_do(argo, automated):
    argo.automated = automated
    with pytest.raises(Rejected, match=r"synced automatically.*Revert the commit in Git, or turn auto-sync off"):
        prepare(argo)
    assert argo.writes == []


def test_auto_sync_that_is_switched_off_is_none(argo):
    argo.automated = {"enabled": False}
    assert prepare(argo).aim["to"] == ["c1"]


@pytest.mark.parametrize(
    ("history", "params", "why"),
    [
        ([], {}, "no history"),
        ([{"id": 1, "revision": "c2"}], {}, "no other revision"),
        ([{"id": 1, "revision": "c2"}, {"id": 2, "revision": "c2"}], {}, "no other revision"),
        ([{"id": 1, "revision": "c1"}, {"id": 2, "revision": "c2"}], {"id": 7}, "no entry 7"),
        ([{"id": 1, "revision": "c1"}, {"id": 2, "revision": "c2"}], {"id": 2}, "no entry 2"),
    ],
)
def test_without_another_revision_there_is_nothing_to_go_back_to(argo, history, params, why):
    argo.history = history
    with pytest.raises(Rejected, match=why):
        prepare(argo, **params)
    assert argo.writes == []


def test_an_application_of_several_sources_goes_back_with_all_of_them(argo):
    argo.history = [{"id": 1, "revisions": ["a1", "b1"]}, {"id": 2, "revisions": ["a2", "b1"]}]
    assert prepare(argo).aim["to"] == ["a1", "b1"]


def test_a_release_of_the_same_commit_with_another_image_is_a_release(argo):
    """As Argo CD Image Updater makes them: passed over, the rollback would go one release too far back."""
    images = [{"repoURL": "r", "kustomize": {"images": [f"payments:v{number}"]}} for number in range(3)]
    argo.history = [{"id": 1, "revision": "c0", "source": images[0]}]
    argo.history += [{"id": number + 1, "revision": "c1", "source": images[number]} for number in (1, 2)]
    prepared = prepare(argo)
    assert prepared.says == "Roll application payments back from c1 (entry 3) to c1 (entry 2)"
    apply(argo, prepared.aim)
    assert look(argo, prepared.aim) is Seen.DONE
    argo.settle()
    assert look(argo, prepared.aim) is Seen.DONE
    apply(argo, prepare(argo, **prepared.undo).aim)
    argo.settle()
    assert (argo.history[-1]["source"], len(argo.writes)) == (images[2], 2)
    with pytest.raises(Rejected, match="somebody has changed it since"):
        prepare(argo, **prepared.undo)


def test_somebody_elses_sync_of_the_same_commit_is_not_taken_for_the_rollback(argo):
    argo.history = [{"id": n, "revision": "c1", "source": {"repoURL": "r", "targetRevision": str(n)}} for n in (1, 2)]
    aim = prepare(argo).aim
    argo.begin("c1")
    assert look(argo, aim) is Seen.UNKNOWN


def test_another_operation_is_waited_for(argo):
    argo.begin("c3")
    with pytest.raises(Rejected, match="Another operation of application payments is under way"):
        prepare(argo)
    assert argo.writes == []


def test_who_was_faster_is_not_overwritten(argo):
    step = written(argo)
    argo.begin("c3")
    argo.settle()
    assert carry(argo, step).outcome is Outcome.CHANGED
    with pytest.raises(Rejected, match="changed by somebody else"):
        apply(argo, step.aim)
    assert argo.writes == []


@pytest.mark.parametrize("failure", ["die_before", "die_after"])
def test_a_lost_answer_is_unknown_and_the_next_owner_finishes_it_once(argo, failure):
    step = written(argo)
    argo.fail = failure
    assert carry(argo, step).outcome is Outcome.UNKNOWN
    assert carry(argo, step).outcome is Outcome.DONE
    assert len(argo.writes) == 1


@pytest.mark.parametrize("last", [1, 2, 3])
@pytest.mark.parametrize("fate", [Mortal, Overtaken])
def test_an_owner_who_dies_or_is_overtaken_anywhere(argo, fate, last):
    step = written(argo)
    with pytest.raises((Died, Lost)):
        carry(argo, step, with_fate(fate, take(step.incident_id), last))
    assert len(argo.writes) == int(last == 3)
    assert carry(argo, step).outcome is Outcome.DONE
    assert len(argo.writes) == 1


def test_the_token_comes_from_its_variable_goes_by_https_only_and_is_never_said(argo, monkeypatch):
    with pytest.raises(Rejected, match="not spoken to by https"):
        prepare(argo, argo.target(url="http://argocd.example.org"))
    monkeypatch.setenv("ARGOCD_TOKEN", "wr0ng-one")
    with pytest.raises(Rejected, match="401") as caught:
        prepare(argo)
    assert "wr0ng" not in str(caught.value)
    monkeypatch.delenv("ARGOCD_TOKEN")
    with pytest.raises(Rejected, match="ARGOCD_TOKEN holds no token"):
        prepare(argo)


def test_an_applications_own_namespace_is_named(argo):
    target = argo.target(namespace="team-a")
    prepared = prepare(argo, target)
    assert argo.calls == [("GET", f"{PATH}?appNamespace=team-a")]
    assert prepared.effects[0].body["appNamespace"] == "team-a"


@pytest.mark.parametrize("history", [7, [7], [{"id": "x"}], [{"id": 1, "revisions": 7}], [None]])
def test_an_answer_that_is_none_is_malformed(argo, history):
    argo.history = history
    with pytest.raises(Malformed, match="cannot be read"):
        prepare(argo)
    assert argo.writes == []
