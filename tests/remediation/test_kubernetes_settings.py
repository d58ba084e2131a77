"""Variables and resources of a container: changed where they are, within bounds, never a secret."""

import json

import pytest

from sre_platform.kernel.errors import Rejected
from tests.fakes.kubernetes import NAMESPACE, Shop, serving_kubernetes
from tests.remediation.kube import WORLD, action, apply, prepare, refused


@pytest.fixture
def fake():
    with serving_kubernetes() as it:
        yield it


@pytest.fixture
def shop(fake, tmp_path):
    return Shop(fake, tmp_path)


# variables


def test_a_variable_is_added_replaced_and_removed_where_it_is(shop):
    apply("k8s_set_env", shop, prepare("k8s_set_env", shop, variable="A", value="1").aim)
    apply("k8s_set_env", shop, prepare("k8s_set_env", shop, variable="B", value="2").aim)
    prepared = prepare("k8s_set_env", shop, variable="A", value="3")
    assert (prepared.undo, prepared.says) == (
        {"variable": "A", "value": "1", "only_from": "3"},
        "Set A of Deployment shop/payments from '1' to '3'",
    )
    apply("k8s_set_env", shop, prepared.aim)
    apply("k8s_set_env", shop, prepare("k8s_set_env", shop, variable="B", remove=True).aim)
    assert shop.container["env"] == [{"name": "A", "value": "3"}]


def with_env(shop, *entries):
    shop.fake.change(
        shop.path, lambda found: found["spec"]["template"]["spec"]["containers"][0].update(env=list(entries))
    )


@pytest.mark.parametrize(
    ("params", "why"),
    [
        ({}, "No variable is named"),
        ({"variable": "DB_PASSWORD", "value": "x"}, "looks like a secret"),
        ({"variable": "API_KEY", "remove": True}, "looks like a secret"),
        ({"variable": "URL", "value": "redis://user:word@host"}, "looks like a secret"),
        ({"variable": "OLD_URL", "value": "x"}, "looks like a secret"),
        ({"variable": "FROM_ELSEWHERE", "value": "x"}, "valueFrom"),
        ({"variable": "TWICE", "value": "x"}, "2 times"),
        ({"variable": "SAME", "value": "1"}, "is '1' already"),
        ({"variable": "NONE", "remove": True}, "is not set already"),
        ({"variable": "SAME", "value": "2", "only_from": "9"}, "not as it was left"),
    ],
)
def test_what_setting_a_variable_refuses(shop, params, why):
    reference = {"name": "FROM_ELSEWHERE", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}
    twice = [{"name": "TWICE", "value": "1"}, {"name": "TWICE", "value": "2"}]
    with_env(shop, reference, *twice, {"name": "SAME", "value": "1"}, {"name": "OLD_URL", "value": "http://a:b@c"})
    assert refused("k8s_set_env", shop, why, **params)


def test_of_several_containers_the_named_one_is_meant(shop):
    sidecar = {"name": "proxy", "image": "proxy:1"}
    shop.fake.change(shop.path, lambda found: found["spec"]["template"]["spec"]["containers"].insert(0, sidecar))
    assert refused("k8s_set_env", shop, "has 2 containers; name one", variable="A", value="1")
    target = shop.target(container="app")
    chosen = action("k8s_set_env").prepare(target, action("k8s_set_env").Params(variable="A", value="1"), WORLD)
    action("k8s_set_env").apply(target, chosen.aim, WORLD, lambda: None)
    assert "env" not in shop.found["spec"]["template"]["spec"]["containers"][0]
    assert shop.found["spec"]["template"]["spec"]["containers"][1]["env"] == [{"name": "A", "value": "1"}]
    with pytest.raises(Rejected, match="has no container web"):
        action("k8s_set_env").prepare(
            shop.target(container="web"), action("k8s_set_env").Params(variable="A", value="1"), WORLD
        )


# resources


def with_resources(shop, **resources):
    shop.fake.change(
        shop.path, lambda found: found["spec"]["template"]["spec"]["containers"][0].update(resources=resources)
    )


def test_a_factor_multiplies_what_is_set_and_stops_at_the_bound(shop):
    with_resources(shop, requests={"memory": "256Mi", "cpu": "100m"}, limits={"memory": "1Gi"})
    to = prepare("k8s_set_resources", shop, factor=1.5).aim["to"]
    assert to == {"requests": {"memory": "384Mi", "cpu": "100m"}, "limits": {"memory": "1536Mi"}}
    to = prepare("k8s_set_resources", shop, factor=3, max_memory="1.2Gi").aim["to"]
    assert to == {"requests": {"memory": "768Mi", "cpu": "100m"}, "limits": {"memory": "1229Mi"}}
    to = prepare("k8s_set_resources", shop, factor=2.5, resource="cpu").aim["to"]
    assert to["requests"]["cpu"] == "250m"


@pytest.mark.parametrize(
    ("params", "why"),
    [
        ({}, "either amounts or a factor"),
        ({"factor": 2, "limits": {"memory": "1Gi"}}, "either amounts or a factor"),
        ({"limits": {"memory": "64Gi"}}, "not within the bound of 8192Mi"),
        ({"limits": {"cpu": "0"}}, "not within the bound of 4000m"),
        ({"limits": {"memory": "0.25Gi"}}, "already"),
        ({"factor": 2, "resource": "cpu"}, "has no cpu set"),
        ({"factor": 2, "max_memory": "100Mi"}, "already"),
        ({"requests": {"memory": "512Mi"}}, "must be less than or equal to memory limit of 256Mi"),
        ({"restore": {}, "only_from": {"limits": {"memory": "1Gi"}}}, "has not the resources that it was left with"),
    ],
)
def test_what_setting_resources_refuses(shop, params, why):
    with_resources(shop, limits={"memory": "256Mi"})
    assert refused("k8s_set_resources", shop, why, **params)


def test_the_servers_admission_is_asked_in_a_dry_run(shop):
    before = json.dumps(shop.fake.objects)
    prepare("k8s_set_resources", shop, limits={"memory": "1Gi"})
    assert shop.fake.rehearsed == [("PATCH", shop.path)]
    assert (shop.fake.writes, json.dumps(shop.fake.objects)) == ([], before)


@pytest.mark.parametrize(
    ("hard", "used", "fits"),
    [
        ({"limits.memory": "4095Mi"}, {"limits.memory": "768Mi"}, False),  # 3 * 768 Mi more, and 1 Gi for the surge
        ({"limits.memory": "4Gi"}, {"limits.memory": "768Mi"}, True),
        ({"requests.memory": "1"}, {}, True),  # nothing is requested
        ({"pods": "3"}, {"pods": "3"}, True),
    ],
)
def test_a_quota_without_room_is_seen_before(shop, hard, used, fits):
    with_resources(shop, limits={"memory": "256Mi"})
    path = f"/api/v1/namespaces/{NAMESPACE}/resourcequotas/team"
    shop.fake.create(path, "ResourceQuota", {"status": {"hard": hard, "used": used}})
    if fits:
        assert prepare("k8s_set_resources", shop, limits={"memory": "1Gi"}).says
        return
    assert refused("k8s_set_resources", shop, "the quota team has 4095Mi of limits.memory", limits={"memory": "1Gi"})
    assert shop.fake.rehearsed == []
