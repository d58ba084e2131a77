"""Whatever an API server says: an action prepares something or names what is wrong, and nothing is ever written."""

import json
from copy import deepcopy

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sre_platform.kernel.errors import SreError
from sre_platform.remediation.argocd import Application, ArgoCd
from tests.fakes.kubernetes import NAMESPACE, serving_kubernetes
from tests.remediation.kube import CASES, prepare

anything = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "x", "25%", "True"]),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["name", "uid", "x"]), inner, max_size=2)
    ),
    max_leaves=4,
)


def places(value, path=()):
    """The paths of all values inside a JSON value."""
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inner:
        yield from places(item, (*path, key))


def changed(value, path, to):
    """A copy with another value at a path; the root itself is left."""
    found = deepcopy(value)
    holder = found
    for key in path[:-1]:
        holder = holder[key]
    if path:
        holder[path[-1]] = to
    return found


@pytest.mark.parametrize("which", CASES)
def test_any_field_of_any_object_may_be_anything(which, tmp_path):
    case, tried = CASES[which], []
    with serving_kubernetes() as fake:
        shop = case.shop(fake, tmp_path)
        shop.budget(1)
        quota = {"status": {"hard": {"limits.memory": "8Gi"}, "used": {}}}
        fake.create(f"/api/v1/namespaces/{NAMESPACE}/resourcequotas/team", "ResourceQuota", quota)
        hpa = {"spec": {"scaleTargetRef": {"kind": "Deployment", "name": "orders"}}}
        fake.create(f"/apis/autoscaling/v2/namespaces/{NAMESPACE}/horizontalpodautoscalers/o", "HPA", hpa)
        whole = json.loads(json.dumps(fake.objects))
        every = [(name, path) for name, item in sorted(whole.items()) for path in places(item) if path]

        @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
        @given(place=st.sampled_from(every), to=anything)
        def lies(place, to):
            name, path = place
            fake.objects = {**deepcopy(whole), name: changed(whole[name], path, to)}
            try:
                said = prepare(case.name, shop, **case.params).says
            except SreError as error:
                said = str(error)
            tried.append(said)

        lies()
        assert all(tried)
        assert fake.writes == []


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_any_field_of_an_application_may_be_anything(data):
    whole = {
        "metadata": {"uid": "u"}, "spec": {"syncPolicy": {"automated": {}}}, "operation": {"sync": {"revision": "a"}},
        "status": {"history": [{"id": 1, "revisions": ["a"]}], "operationState": {"phase": "Running", "startedAt": "t",
                   "operation": {"sync": {"revisions": ["a"]}}}},
    }  # fmt: skip
    path = data.draw(st.sampled_from([path for path in places(whole) if path]))
    held = ArgoCd(url="https://argo", application="a", token_env="T")
    found = Application(held, changed(whole, path, data.draw(anything)))
    for name in ("uid", "history", "automated", "started", "busy", "syncing_to"):
        try:
            said = str(getattr(found, name))
        except SreError as error:
            said = str(error)
        assert isinstance(said, str)
