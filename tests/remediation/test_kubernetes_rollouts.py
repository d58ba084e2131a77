"""Restarting, rolling back and scaling a workload: what it aims at, how far it reaches, what it refuses."""

import json

import pytest

from sre_platform.kernel.errors import Rejected
from sre_platform.remediation.domain import Seen
from tests.fakes.kubernetes import NAMESPACE, Shop, serving_kubernetes
from tests.remediation.kube import apply, look, prepare, refused, spec, status


@pytest.fixture
def fake():
    with serving_kubernetes() as it:
        yield it


@pytest.fixture
def shop(fake, tmp_path):
    return Shop(fake, tmp_path)


STAMP = "kubectl.kubernetes.io/restartedAt"
REVISION = "deployment.kubernetes.io/revision"


# restart


def test_a_restart_writes_the_generation_it_restarts_into_the_template(shop):
    prepared = prepare("k8s_restart_rollout", shop)
    apply("k8s_restart_rollout", shop, prepared.aim)
    stamp = shop.found["spec"]["template"]["metadata"]["annotations"][STAMP]
    assert stamp == prepared.aim["stamp"] == f"sre-platform:{shop.found['metadata']['uid']}:2"
    before = set(shop.pods)
    shop.fake.settle()
    assert not set(shop.pods) & before
    assert prepared.says == "Restart the 3 pods of Deployment shop/payments"


def test_the_next_restart_is_another_one(shop):
    first = prepare("k8s_restart_rollout", shop)
    apply("k8s_restart_rollout", shop, first.aim)
    shop.fake.settle()
    second = prepare("k8s_restart_rollout", shop)
    apply("k8s_restart_rollout", shop, second.aim)
    assert second.aim["stamp"] != first.aim["stamp"]
    assert len(shop.fake.writes) == 2
    assert json.loads(shop.fake.writes[1][2])[-1]["path"].endswith("/annotations/kubectl.kubernetes.io~1restartedAt")


def test_a_finished_restart_is_left_alone_by_its_undo(shop):
    prepared = prepare("k8s_restart_rollout", shop)
    apply("k8s_restart_rollout", shop, prepared.aim)
    shop.fake.settle()
    undo = prepare("k8s_restart_rollout", shop, **prepared.undo)
    apply("k8s_restart_rollout", shop, undo.aim)
    assert undo.says.startswith("Leave Deployment shop/payments as it is")
    assert (undo.effects, look("k8s_restart_rollout", shop, undo.aim)) == ((), Seen.DONE)
    assert len(shop.fake.writes) == 1


def test_a_restart_that_is_stuck_is_turned_around(shop):
    prepared = prepare("k8s_restart_rollout", shop)
    apply("k8s_restart_rollout", shop, prepared.aim)
    shop.fake.broken_images.add("payments:v2")
    shop.fake.settle()
    undo = prepare("k8s_restart_rollout", shop, **prepared.undo)
    apply("k8s_restart_rollout", shop, undo.aim)
    assert undo.says == "Turn the unfinished restart of Deployment shop/payments around"
    assert STAMP not in shop.found["spec"]["template"]["metadata"]["annotations"]


@pytest.mark.parametrize(
    ("values", "kind", "why"),
    [
        ({"paused": True}, "Deployment", "is paused"),
        ({"replicas": 0}, "Deployment", "scaled to none"),
        ({"updateStrategy": {"type": "OnDelete"}}, "StatefulSet", "OnDelete"),
        ({"updateStrategy": {"type": "OnDelete"}}, "DaemonSet", "OnDelete"),
        ({}, "Rollout", "Rollout payments is not one of"),
    ],
)
def test_what_cannot_be_restarted(fake, tmp_path, values, kind, why):
    shop = Shop(fake, tmp_path, kind)
    spec(shop, **values)
    assert refused("k8s_restart_rollout", shop, why)


def test_a_workload_that_is_gone_or_going_is_left_alone(shop):
    shop.fake.change(shop.path, lambda found: found["metadata"].update(deletionTimestamp="2026-11-21T20:00:00Z"))
    assert refused("k8s_restart_rollout", shop, "is being deleted")
    shop.fake.delete(shop.path)
    assert refused("k8s_restart_rollout", shop, 'deployments "payments" not found')


@pytest.mark.parametrize(
    ("kind", "values", "takes"),
    [
        ("Deployment", {}, 0),  # 25% of 3, rounded down, and a surge instead
        ("Deployment", {"strategy": {"type": "Recreate"}}, 3),
        ("Deployment", {"strategy": {"rollingUpdate": {"maxUnavailable": 2}}}, 2),
        ("Deployment", {"strategy": {"rollingUpdate": {"maxUnavailable": "67%"}}}, 2),
        ("Deployment", {"strategy": {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 0}}}, 1),
        ("StatefulSet", {}, 1),
        ("StatefulSet", {"updateStrategy": {"rollingUpdate": {"maxUnavailable": "34%"}}}, 2),
        ("DaemonSet", {}, 1),
    ],
)
def test_a_restart_takes_what_the_strategy_lets_be_unavailable(fake, tmp_path, kind, values, takes):
    shop = Shop(fake, tmp_path, kind)
    spec(shop, **values)
    reach = prepare("k8s_restart_rollout", shop).reach
    assert (reach.total, reach.ready, reach.takes) == (3, 3, takes)


def test_what_is_not_ready_is_not_taken(shop):
    spec(shop, strategy={"type": "Recreate"})
    status(shop, readyReplicas=1)
    reach = prepare("k8s_restart_rollout", shop).reach
    assert (reach.total, reach.ready, reach.takes) == (3, 1, 1)


# undo


def test_undo_goes_to_the_previous_template_with_fields_that_nobody_knows(shop):
    prepared = prepare("k8s_undo_rollout", shop)
    assert prepared.says == "Roll Deployment shop/payments back from revision 2 to 1"
    assert [item.as_json() for item in prepared.diff][1] == {
        "of": "images", "before": ["payments:v2"], "after": ["payments:v1"]
    }  # fmt: skip
    apply("k8s_undo_rollout", shop, prepared.aim)
    found = shop.found["spec"]["template"]
    assert found["spec"] == {"containers": [{"name": "app", "image": "payments:v1"}], "futureField": {"kept": True}}
    assert found["metadata"]["labels"] == {"app": "payments"}


def test_undo_passes_over_a_mere_restart(shop):
    aim = prepare("k8s_restart_rollout", shop).aim
    apply("k8s_restart_rollout", shop, aim)
    shop.fake.settle()
    assert prepare("k8s_undo_rollout", shop).aim["revision"] == 1


def test_undo_to_a_revision_and_back_by_its_own_undo(shop):
    shop.deploy("payments:v3")
    prepared = prepare("k8s_undo_rollout", shop, to_revision=1)
    apply("k8s_undo_rollout", shop, prepared.aim)
    shop.fake.settle()
    assert shop.container["image"] == "payments:v1"
    apply("k8s_undo_rollout", shop, prepare("k8s_undo_rollout", shop, **prepared.undo).aim)
    assert shop.container["image"] == "payments:v3"


@pytest.mark.parametrize("restarted", [False, True])
def test_the_release_that_was_left_by_a_rollback_is_not_gone_back_to(shop, restarted):
    """Each next undo would turn around between two releases, as kubectl's does: the second brings the bad one back."""
    apply("k8s_undo_rollout", shop, prepare("k8s_undo_rollout", shop).aim)
    shop.fake.settle()
    if restarted:
        apply("k8s_restart_rollout", shop, prepare("k8s_restart_rollout", shop).aim)
        shop.fake.settle()
    shop.fake.writes.clear()
    assert refused("k8s_undo_rollout", shop, "gone back to what it runs: revision 2 is what was left")
    shop.deploy("payments:v3")
    assert prepare("k8s_undo_rollout", shop).diff[1].after == ["payments:v1"]


@pytest.mark.parametrize("number", ["9" * 5000, "-1", "two"])
def test_a_revision_whose_number_is_none_is_passed_over(shop, number):
    for path, found in list(shop.fake.objects.items()):
        if found["kind"] == "ReplicaSet" and found["metadata"]["annotations"][REVISION] == "1":
            shop.fake.change(path, lambda item: item["metadata"]["annotations"].update({REVISION: number}))
    assert refused("k8s_undo_rollout", shop, "keeps no revision before 2")


def test_the_undo_of_an_undo_does_not_take_back_a_newer_release(shop):
    prepared = prepare("k8s_undo_rollout", shop)
    apply("k8s_undo_rollout", shop, prepared.aim)
    shop.fake.settle()
    shop.deploy("payments:v3")
    shop.fake.writes.clear()
    assert refused("k8s_undo_rollout", shop, "is not as it was left", **prepared.undo)


def test_what_undo_refuses(shop):
    assert refused("k8s_undo_rollout", shop, "keeps no revision 7", to_revision=7)
    assert refused("k8s_undo_rollout", shop, "runs revision 2 already", to_revision=2)
    status(shop, observedGeneration=1)
    assert refused("k8s_undo_rollout", shop, "has not seen its newest change")
    status(shop, observedGeneration=2)
    for path in [path for path in shop.fake.objects if "/replicasets/" in path]:
        if shop.fake.objects[path]["metadata"]["annotations"][REVISION] == "1":
            shop.fake.delete(path)
    assert refused("k8s_undo_rollout", shop, "keeps no revision before 2")
    spec(shop, paused=True)
    assert refused("k8s_undo_rollout", shop, "is paused")


def test_undo_does_not_take_another_owners_template(shop):
    for path, found in list(shop.fake.objects.items()):
        if found["kind"] == "ReplicaSet":
            shop.fake.change(path, lambda item: item["metadata"]["ownerReferences"][0].update(uid="somebody"))
    assert refused("k8s_undo_rollout", shop, "has no revision yet")


def test_a_revision_that_was_cleaned_up_meanwhile_is_not_guessed(shop):
    aim = prepare("k8s_undo_rollout", shop).aim
    for path in [path for path in shop.fake.objects if "/replicasets/" in path]:
        shop.fake.delete(path)
    with pytest.raises(Rejected, match="keeps revision 1 no more"):
        apply("k8s_undo_rollout", shop, aim)
    assert shop.fake.writes == []


def test_a_secret_in_a_template_is_written_back_but_never_shown(shop):
    hidden = {
        "name": "app",
        "image": "x",
        "env": [{"name": "DB_PASSWORD", "value": "hunter2"}, {"name": "STRIPE", "value": "sk_live_1"}],
        "args": ["--password", "hunter3"],
    }
    spec(
        shop,
        template={**shop.found["spec"]["template"], "spec": {"containers": [{"name": "app", "image": "x", **hidden}]}},
    )
    shop.fake.settle()
    shop.deploy("payments:v4")
    prepared = prepare("k8s_undo_rollout", shop)
    shown = json.dumps([prepared.plan(), dict(prepared.aim), prepared.undo])
    assert "hunter" not in shown and "sk_live" not in shown
    assert '"name": "STRIPE", "value": "[redacted]"' in shown
    apply("k8s_undo_rollout", shop, prepared.aim)
    assert all(secret in shop.fake.writes[0][2] for secret in (b"hunter2", b"hunter3", b"sk_live_1"))


# scale


@pytest.mark.parametrize(
    ("params", "to"), [({"factor": 1.5}, 5), ({"factor": 10}, 10), ({"factor": 10, "max": 4}, 4), ({"replicas": 6}, 6)]
)
def test_scaling_up_stays_within_its_bound(shop, params, to):
    prepared = prepare("k8s_scale", shop, **params)
    apply("k8s_scale", shop, prepared.aim)
    assert shop.found["spec"]["replicas"] == to
    assert prepared.undo == {"replicas": 3, "only_from": to}
    assert prepared.reach.takes == 0


def test_a_rollout_that_leaves_its_count_to_its_controller_is_not_scaled(fake, tmp_path):
    """The API server has no default for it, and answers 500 to whoever asks its scale."""
    shop = Shop(fake, tmp_path, "Rollout")
    shop.fake.change(shop.path, lambda found: found["spec"].pop("replicas"))
    assert refused("k8s_scale", shop, "does not say how many pods it has", factor=2)


def test_taking_pods_away_again_says_how_many_ready_ones_go(shop):
    undo = prepare("k8s_scale", shop, replicas=5).undo
    spec(shop, replicas=5)
    shop.fake.settle()
    reach = prepare("k8s_scale", shop, **undo).reach
    assert (reach.total, reach.ready, reach.takes) == (5, 5, 2)


@pytest.mark.parametrize(
    ("params", "why"),
    [
        ({}, "either replicas or a factor"),
        ({"replicas": 4, "factor": 2}, "either replicas or a factor"),
        ({"replicas": 11}, "more than the bound of 10"),
        ({"replicas": 2}, "only scaled up"),
        ({"replicas": 3}, "has 3 pods already"),
        ({"factor": 2, "max": 3}, "has 3 pods already"),
        ({"replicas": 1, "only_from": 5}, "has 3 pods, not 5"),
    ],
)
def test_what_scaling_refuses(shop, params, why):
    assert refused("k8s_scale", shop, why, **params)


def test_what_an_autoscaler_owns_or_somebody_has_switched_off_is_not_scaled(shop):
    path = f"/apis/autoscaling/v2/namespaces/{NAMESPACE}/horizontalpodautoscalers/"
    other = {"spec": {"scaleTargetRef": {"kind": "Deployment", "name": "orders"}}}
    shop.fake.create(path + "orders", "HorizontalPodAutoscaler", other)
    assert prepare("k8s_scale", shop, factor=2).aim["to"] == 6
    own = {"spec": {"scaleTargetRef": {"kind": "Deployment", "name": "payments"}}}
    shop.fake.create(path + "pay-hpa", "HorizontalPodAutoscaler", own)
    assert refused("k8s_scale", shop, "autoscaler pay-hpa decides", factor=2)
    shop.fake.delete(path + "pay-hpa")
    aim = prepare("k8s_scale", shop, factor=2).aim
    shop.fake.create(path + "late", "HorizontalPodAutoscaler", own)
    with pytest.raises(Rejected, match="autoscaler late decides"):
        apply("k8s_scale", shop, aim)
    shop.fake.delete(path + "late")
    spec(shop, replicas=0)
    assert refused("k8s_scale", shop, "somebody's decision", factor=2)
