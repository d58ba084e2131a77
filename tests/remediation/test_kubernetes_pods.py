"""Cordoning a node and evicting a pod: which one, and why a healthy pod is never deleted."""

import pytest

from sre_platform.kernel.errors import Rejected
from sre_platform.remediation.domain import Seen
from sre_platform.remediation.steps import Outcome
from tests.fakes.kubernetes import NAMESPACE, Shop, serving_kubernetes
from tests.fakes.leases import Died, Mortal, take, with_fate
from tests.remediation.kube import apply, carry, look, prepare, refused, written


@pytest.fixture
def fake():
    with serving_kubernetes() as it:
        yield it


@pytest.fixture
def shop(fake, tmp_path):
    return Shop(fake, tmp_path)


# cordon


def test_the_node_in_trouble_is_the_one_that_all_unready_pods_share(fake, tmp_path):
    shop = Shop(fake, tmp_path)
    where = {name: pod["spec"]["nodeName"] for name, pod in shop.pods.items()}
    shop.unready(0)
    prepared = prepare("k8s_cordon", shop)
    assert prepared.aim["node"] == where[sorted(where)[0]]
    apply("k8s_cordon", shop, prepared.aim)
    assert fake.objects[f"/api/v1/nodes/{prepared.aim['node']}"]["spec"] == {"unschedulable": True}
    assert prepared.reach is None


def test_when_it_is_not_clear_which_node_it_is_none_is_cordoned(shop):
    assert refused("k8s_cordon", shop, "do not show which node")  # all are ready
    shop.unready(0)
    shop.unready(1)
    assert refused("k8s_cordon", shop, "do not show which node")  # on two nodes


def test_a_service_that_is_ready_nowhere_does_not_accuse_the_node_of_its_only_pod(shop):
    """A bad release of a service with one pod would cordon one node after the other, wherever that pod crashes."""
    shop.fake.change(shop.path, lambda found: found["spec"].update(replicas=1))
    shop.fake.settle()
    shop.unready(0)
    assert refused("k8s_cordon", shop, "do not show which node")


def test_a_node_with_a_ready_pod_of_the_service_is_not_suspected(shop):
    pods = list(shop.pods.values())
    shop.unready(0, node=pods[1]["spec"]["nodeName"])
    assert refused("k8s_cordon", shop, "do not show which node")


@pytest.mark.parametrize("phase", ["Failed", "Succeeded"])
def test_a_pod_that_has_ended_and_is_only_still_listed_is_no_reason_to_act(shop, phase):
    """As kubelets leave those that they evicted: neither ready nor alive, and another one runs in their place."""
    name = shop.unready(0)
    shop.fake.change(f"{shop.pods_path}/{name}", lambda pod: pod["status"].update(phase=phase))
    assert refused("k8s_cordon", shop, "do not show which node")
    assert refused("k8s_evict_pod", shop, "is ready, so it is not evicted")
    assert refused("k8s_evict_pod", shop, "owns no pod", pod=name)


@pytest.mark.parametrize(
    "gone",
    [
        {"spec": {"unschedulable": True}},
        {"spec": {"taints": [{"key": "k", "effect": "NoSchedule"}]}},
        {"status": {"conditions": [{"type": "Ready", "status": "Unknown"}]}},
    ],
)
def test_enough_other_nodes_have_to_be_left(shop, gone):
    assert prepare("k8s_cordon", shop, node="node-1").says == "Cordon the node node-1 (Deployment shop/payments)"
    shop.fake.change("/api/v1/nodes/node-2", lambda found: found.update(gone))
    assert refused("k8s_cordon", shop, "only 1 nodes would take pods, and 2 have to be left", node="node-1")
    assert prepare("k8s_cordon", shop, node="node-1", leave=1).aim["node"] == "node-1"


def test_a_node_is_not_cordoned_twice_and_only_uncordoned_when_it_is(shop):
    assert refused("k8s_cordon", shop, "is not cordoned", node="node-1", uncordon=True)
    apply("k8s_cordon", shop, prepare("k8s_cordon", shop, node="node-1").aim)
    with pytest.raises(Rejected, match="is cordoned already"):
        prepare("k8s_cordon", shop, node="node-1")


def test_who_cordons_the_same_node_at_the_same_moment_keeps_his_cordon(shop):
    aim = prepare("k8s_cordon", shop, node="node-1").aim
    shop.fake.meanwhile = lambda: shop.fake.change(
        "/api/v1/nodes/node-1", lambda found: found["spec"].update(unschedulable=True)
    )
    with pytest.raises(Rejected, match="testing value /spec/unschedulable failed"):
        apply("k8s_cordon", shop, aim)
    assert shop.fake.writes == []


# evict


def test_the_worst_pod_is_evicted_and_says_whose_uid(shop):
    shop.unready(0, restarts=2)
    worst = shop.unready(2, restarts=9)
    prepared = prepare("k8s_evict_pod", shop)
    reach = prepared.reach
    assert prepared.aim == {"pod": worst, "uid": shop.pods[worst]["metadata"]["uid"], "even_ready": False}
    assert (reach.total, reach.ready, reach.takes) == (3, 1, 0)
    assert (prepared.undo, prepared.irreversible) == (None, "the pod is gone, and its owner has made another one")
    apply("k8s_evict_pod", shop, prepared.aim)
    assert worst not in shop.pods
    assert len(shop.pods) == 2


def test_a_healthy_pod_is_never_evicted_unless_that_is_what_is_asked(shop):
    assert refused("k8s_evict_pod", shop, "is ready, so it is not evicted")
    name = sorted(shop.pods)[1]
    assert refused("k8s_evict_pod", shop, f"{name} of Deployment shop/payments is ready", pod=name)
    prepared = prepare("k8s_evict_pod", shop, pod=name, even_ready=True)
    assert (prepared.aim["pod"], prepared.reach.takes) == (name, 1)


def test_a_pod_that_recovered_since_it_was_chosen_is_no_longer_the_same_step(shop):
    name = shop.unready()
    assert prepare("k8s_evict_pod", shop).aim["pod"] == name
    healed = [{"type": "Ready", "status": "True"}]
    shop.fake.change(f"{shop.pods_path}/{name}", lambda pod: pod["status"].update(conditions=healed))
    assert refused("k8s_evict_pod", shop, "is ready, so it is not evicted")


@pytest.mark.django_db
def test_who_takes_an_eviction_over_does_not_evict_what_has_recovered(shop):
    name = shop.unready()
    step = written(shop, "k8s_evict_pod")
    with pytest.raises(Died):
        carry(shop, step, with_fate(Mortal, take(step.incident_id), 2))  # it was begun, and nothing was sent
    healed = [{"type": "Ready", "status": "True"}]
    shop.fake.change(f"{shop.pods_path}/{name}", lambda pod: pod["status"].update(conditions=healed))
    carried = carry(shop, step)
    assert (carried.outcome, shop.fake.writes) == (Outcome.FAILED, [])
    assert "is ready by now, so it is not evicted" in carried.said


@pytest.mark.django_db
def test_who_takes_a_cordon_over_counts_the_nodes_again(shop):
    step = written(shop, "k8s_cordon", node="node-1")
    with pytest.raises(Died):
        carry(shop, step, with_fate(Mortal, take(step.incident_id), 2))
    shop.fake.change("/api/v1/nodes/node-2", lambda found: found["spec"].update(unschedulable=True))
    carried = carry(shop, step)
    assert (carried.outcome, shop.fake.writes) == (Outcome.FAILED, [])
    assert "only 1 nodes would take pods" in carried.said


def test_a_pod_that_nobody_would_replace_is_not_evicted(shop):
    name = shop.unready()
    shop.fake.change(f"{shop.pods_path}/{name}", lambda pod: pod["metadata"].pop("ownerReferences"))
    assert refused("k8s_evict_pod", shop, "owns no pod", pod=name)
    other = shop.unready(1)
    strange = [{"uid": "somebody", "controller": True}]
    shop.fake.change(f"{shop.pods_path}/{other}", lambda pod: pod["metadata"].update(ownerReferences=strange))
    assert refused("k8s_evict_pod", shop, "owns no pod", pod=other)


@pytest.mark.parametrize(
    ("allowed", "healthy", "desired", "spec", "fits"),
    [
        (1, 3, 2, {}, True),
        (0, 2, 3, {}, False),
        (0, 2, 2, {}, True),  # IfHealthyBudget: enough others are healthy
        (0, 0, 0, {}, False),
        (0, 1, 3, {"unhealthyPodEvictionPolicy": "AlwaysAllow"}, True),
    ],
)
def test_a_disruption_budget_is_kept(shop, allowed, healthy, desired, spec, fits):
    shop.unready()
    shop.budget(allowed, healthy, desired, **spec)
    if fits:
        assert prepare("k8s_evict_pod", shop).effects
    else:
        assert refused("k8s_evict_pod", shop, "the disruption budget payments allows no disruption now")


def test_a_budget_that_is_not_counted_or_not_the_only_one_forbids(shop):
    shop.unready()
    shop.budget(1, observedGeneration=None)
    path = f"/apis/policy/v1/namespaces/{NAMESPACE}/poddisruptionbudgets"
    shop.fake.change(f"{path}/payments", lambda found: found["status"].update(observedGeneration=0))
    assert refused("k8s_evict_pod", shop, "has not been counted")
    shop.fake.create(f"{path}/all", "PodDisruptionBudget", {"spec": {"selector": {}}, "status": {}})
    assert refused("k8s_evict_pod", shop, "has 2 disruption budgets")


def test_the_servers_own_no_to_an_eviction_is_a_no(shop):
    shop.unready()
    aim = prepare("k8s_evict_pod", shop).aim
    shop.fake.meanwhile = lambda: shop.budget(0)
    with pytest.raises(Rejected, match=r"allows no eviction .*429.*would violate the pod's disruption budget"):
        apply("k8s_evict_pod", shop, aim)
    assert aim["pod"] in shop.pods


def test_a_pod_of_the_same_name_with_another_uid_is_not_evicted(fake, tmp_path):
    shop = Shop(fake, tmp_path, "StatefulSet")
    name = shop.unready()
    aim = prepare("k8s_evict_pod", shop).aim
    shop.fake.create(f"{shop.pods_path}/{name}", "Pod", shop.pods[name])
    assert look("k8s_evict_pod", shop, aim) is Seen.DONE
    apply("k8s_evict_pod", shop, aim)
    assert (name in shop.pods, fake.writes) == (True, [])
