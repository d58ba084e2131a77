"""Argo Rollouts, and what holds for whatever the server answers or the catalog says."""

import json

import pytest

from sre_platform.kernel.errors import Malformed, Rejected, TooLarge, Unavailable
from sre_platform.remediation.domain import Seen
from tests.fakes.kubernetes import Shop, serving_kubernetes
from tests.remediation.kube import CASES, WORLD, action, apply, look, prepare, refused, spec, status


@pytest.fixture
def fake():
    with serving_kubernetes() as it:
        yield it


@pytest.fixture
def shop(fake, tmp_path):
    return Shop(fake, tmp_path)


@pytest.fixture
def rollout(fake, tmp_path):
    return CASES["abort"].shop(fake, tmp_path)


# Argo Rollouts


@pytest.mark.parametrize(
    ("do", "patch"),
    [
        ("abort", {"op": "add", "path": "/status/abort", "value": True}),
        ("promote", {"op": "remove", "path": "/status/pauseConditions"}),
        ("promote_full", {"op": "add", "path": "/status/promoteFull", "value": True}),
    ],
)
def test_a_rollout_is_told_by_its_status(rollout, do, patch):
    prepared = prepare("argo_rollout", rollout, do=do)
    apply("argo_rollout", rollout, prepared.aim)
    [(method, path, body)] = rollout.fake.writes
    assert (method, path) == ("PATCH", f"{rollout.path}/status")
    assert json.loads(body)[-1] == patch
    assert rollout.container["image"] == "payments:v3"


def test_a_promotion_is_taken_back_to_the_stable_template(rollout):
    prepared = prepare("argo_rollout", rollout, do="promote_full")
    apply("argo_rollout", rollout, prepared.aim)
    undo = prepare("argo_rollout", rollout, **prepared.undo)
    apply("argo_rollout", rollout, undo.aim)
    assert undo.says == "Roll Rollout shop/payments back from revision 3 to 2"
    assert rollout.container["image"] == "payments:v2"


@pytest.mark.parametrize(("do", "case"), [("abort", "abort"), ("retry", "retry")])
def test_the_undo_of_an_abort_or_a_retry_is_about_the_release_that_was_told(fake, tmp_path, do, case):
    """Somebody's next canary must not be retried after its own analysis aborted it, nor aborted in full health."""
    shop = CASES[case].shop(fake, tmp_path)
    prepared = prepare("argo_rollout", shop, do=do)
    apply("argo_rollout", shop, prepared.aim)
    status(shop, currentPodHash="of-the-next-release", abort=do == "abort")
    with pytest.raises(Rejected, match="is not as it was left: somebody has changed it since"):
        prepare("argo_rollout", shop, **prepared.undo)
    assert len(shop.fake.writes) == 1


def test_a_rollouts_template_has_no_defaults_and_is_known_by_the_controllers_hash(fake, tmp_path):
    """The API server fills in the ReplicaSet's template, not that of a custom resource: the two are never equal."""
    shop = Shop(fake, tmp_path, "Rollout")
    prepared = prepare("argo_rollout", shop, do="rollback")
    assert prepared.says == "Roll Rollout shop/payments back from revision 2 to 1"
    assert "restartPolicy" not in shop.found["spec"]["template"]["spec"]
    apply("argo_rollout", shop, prepared.aim)
    fake.settle()
    pruned = {"terminationMessagePath": None}  # a field that the CRD prunes on writing
    shop.fake.change(shop.path, lambda found: found["spec"]["template"]["spec"]["containers"][0].update(pruned))
    shop.fake.change(
        shop.path, lambda found: found["status"].update(observedGeneration=str(shop.found["metadata"]["generation"]))
    )
    assert look("argo_rollout", shop, prepared.aim) is Seen.DONE
    assert prepare("argo_rollout", shop, **prepared.undo).says == "Roll Rollout shop/payments back from revision 3 to 2"


def _stable_set(shop):
    """The path of the ReplicaSet of the first revision."""
    return next(p for p, s in shop.fake.objects.items() if s["kind"] == "ReplicaSet" and "v1" in json.dumps(s["spec"]))


@pytest.mark.parametrize(
    "add",
    [
        lambda found: found["metadata"]["annotations"].update({"rollout.argoproj.io/ephemeral-metadata": "{}"}),
        lambda found: found["spec"]["template"]["spec"].update(
            affinity={"podAntiAffinity": {"key": "rollouts-pod-template-hash"}}
        ),
    ],
)
def test_what_the_controller_added_to_a_template_for_its_role_is_not_written_back(fake, tmp_path, add):
    """stableMetadata and antiAffinity stand in the ReplicaSet's template: written back, every later canary has them."""
    shop = Shop(fake, tmp_path, "Rollout")
    fake.change(_stable_set(shop), add)
    assert refused("argo_rollout", shop, "carries what its controller added", do="rollback")


@pytest.mark.parametrize("reason", ["InconclusiveAnalysisRun", "InconclusiveExperiment"])
@pytest.mark.parametrize("do", ["promote", "promote_full"])
def test_what_an_analysis_could_not_tell_is_not_promoted(rollout, do, reason):
    status(rollout, pauseConditions=[{"reason": reason, "startTime": "2026-11-21T20:00:00Z"}])
    assert refused("argo_rollout", rollout, "could not tell whether it is well", do=do)


def test_what_is_told_to_a_rollout_that_has_moved_on_is_refused_by_the_server(rollout):
    aim = prepare("argo_rollout", rollout, do="promote").aim
    later = [{"reason": "CanaryPauseStep", "startTime": "2026-11-21T21:00:00Z"}]
    rollout.fake.meanwhile = lambda: status(rollout, pauseConditions=later)
    with pytest.raises(Rejected, match="testing value /status/pauseConditions/0/startTime failed"):
        apply("argo_rollout", rollout, aim)
    assert rollout.fake.writes == []
    assert look("argo_rollout", rollout, aim) is Seen.DONE  # that step's pause has ended, whoever ended it


def test_another_release_is_not_aborted_in_place_of_the_one_that_was_seen(rollout):
    """With a workloadRef the template, and so the hash, changes without the Rollout's generation."""
    aim = prepare("argo_rollout", rollout, do="abort").aim
    rollout.fake.meanwhile = lambda: status(rollout, currentPodHash="0123abcd")
    with pytest.raises(Rejected, match="testing value /status/currentPodHash failed"):
        apply("argo_rollout", rollout, aim)
    assert rollout.fake.writes == []
    assert look("argo_rollout", rollout, aim) is Seen.UNKNOWN


@pytest.mark.parametrize(
    ("do", "values", "why"),
    [
        ("retry", {}, "is not aborted"),
        ("abort", {"abort": True}, "is aborted already"),
        ("promote", {"pauseConditions": []}, "does not wait for anybody"),
        ("promote_full", {"stableRS": "gone"}, "keeps no template of its stable release"),
    ],
)
def test_what_makes_no_sense_for_a_rollout(rollout, do, values, why):
    status(rollout, **values)
    assert refused("argo_rollout", rollout, why, do=do)


def test_a_rollout_that_rolls_nothing_out_or_is_paused_by_its_spec_is_left_alone(fake, tmp_path):
    shop = Shop(fake, tmp_path, "Rollout")
    for do in ("abort", "promote", "promote_full"):
        assert refused("argo_rollout", shop, "is not rolling anything out", do=do)
    CASES["abort"].arrange(shop)
    spec(shop, paused=True)
    assert refused("argo_rollout", shop, "is paused by its spec", do="abort")
    spec(shop, template=None, workloadRef={"kind": "Deployment", "name": "payments"})
    assert refused("argo_rollout", shop, "has no pod template of its own", do="rollback")


# What every answer may lack


@pytest.mark.parametrize("name", ["k8s_restart_rollout", "k8s_undo_rollout", "k8s_evict_pod"])
@pytest.mark.parametrize("lack", ["metadata", "spec", "status", "selector", "template"])
def test_an_answer_that_lacks_something_is_an_error_with_a_sentence_and_no_write(shop, name, lack):
    shop.unready()
    found = shop.fake.objects[shop.path]
    found.pop(lack, None)
    found.get("spec", {}).pop(lack, None)
    try:
        said = prepare(name, shop).says
    except (Rejected, Malformed) as error:
        said = str(error)
    assert said.endswith((".", "payments", " to 1"))
    assert shop.fake.writes == []


@pytest.mark.parametrize(("answer", "kind"), [("garbage", Malformed), ("huge", TooLarge), ("die_before", Unavailable)])
def test_answers_that_are_none_are_errors_of_the_platform(shop, answer, kind):
    shop.fake.fail["GET"] = answer
    with pytest.raises(kind, match=r"JSON|bytes|died"):
        prepare("k8s_restart_rollout", shop)
    assert shop.fake.writes == []


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"kubeconfig": ""}, "exactly one of"),
        ({"in_cluster": True}, "exactly one of"),
        ({"name": "../secrets"}, "handle kubernetes.name"),
        ({"namespace": "shop/pods"}, "handle kubernetes.namespace"),
        ({"kind": "Secret"}, "handle kubernetes.kind"),
        ({"nonsense": 1}, "nonsense"),
    ],
)
def test_a_handle_that_is_not_one_is_malformed(shop, changes, why):
    with pytest.raises(Malformed, match=why):
        action("k8s_scale").prepare(shop.target(**changes), action("k8s_scale").Params(factor=2), WORLD)
    assert shop.fake.requests == []
