"""docs/reference/kubernetes.md: its handles can be read, and its rights are enough for every action and not idle."""

import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from sre_platform.engine import handles
from sre_platform.remediation.steps import ACTIONS
from tests.fakes.kubernetes import serving_kubernetes
from tests.remediation.kube import CASES, apply, look, prepare

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "kubernetes.md").read_text()
ROLES = {
    role["metadata"]["name"].replace("-", "_"): {
        (group, resource, verb)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    for role in yaml.safe_load_all(re.search(r"```yaml\n(apiVersion: rbac.*?)```", PAGE, re.DOTALL)[1])
}
KINDS = {"deployments", "statefulsets", "daemonsets"}


def right(method, path):
    """The right that a request needs, as RBAC names it: group, resource with its subresource, verb."""
    found = re.fullmatch(r"/(?:api|apis/([^/]+))/v\w+(?:/namespaces/[^/]+)?/(\w+)(?:/([^/]+))?(?:/(\w+))?", path)
    assert found, path
    group, resource, name, sub = found.groups()
    verb = {"GET": "get" if name else "list", "PATCH": "patch", "POST": "create"}[method]
    return group or "", f"{resource}/{sub}" if sub else resource, verb


def needed(case, folder):
    """The rights that preparing, applying, looking at and taking back the action of a case used."""
    with serving_kubernetes() as fake:
        shop = case.shop(fake, folder)
        prepared = prepare(case.name, shop, **({} if case.name == "k8s_cordon" else case.params))
        apply(case.name, shop, prepared.aim)
        look(case.name, shop, prepared.aim)
        if prepared.undo:
            apply(case.name, shop, prepare(case.name, shop, **prepared.undo).aim)
        return {right(method, urlsplit(path).path) for method, path in fake.requests}


def arranged(name):
    """The cases of an action; a cordon has to find out by itself which node is in trouble."""
    cases = [case for case in CASES.values() if case.name == name]
    if name != "k8s_cordon":
        return cases
    return [type(case)(name, arrange=CASES["evict"].arrange) for case in cases]


def test_every_action_on_kubernetes_has_its_role():
    wanted = {action.name for action in ACTIONS if "kubernetes" in [k.handle for k in getattr(action, "handles", ())]}
    assert set(ROLES) == wanted


@pytest.mark.parametrize("name", ROLES)
def test_a_role_is_enough_and_no_rule_of_it_is_idle(name, tmp_path):
    used = set().union(*(needed(case, tmp_path) for case in arranged(name)))
    assert used <= ROLES[name]
    kinds = {(group, resource, verb) for group, resource, verb in ROLES[name] if resource.split("/")[0] in KINDS}
    assert ROLES[name] - kinds <= used
    assert {verb for _, _, verb in kinds} == {verb for _, resource, verb in used if resource.split("/")[0] in KINDS}


def test_the_handles_in_the_page_are_handles():
    [service] = yaml.safe_load(re.search(r"```yaml\n(services:.*?)```", PAGE, re.DOTALL)[1])["services"]
    handles.check("the page", service["name"], service["handles"])
    assert set(service["handles"]) == {"kubernetes", "argocd"}


@pytest.mark.parametrize("name", [*ROLES, "argocd_rollback"])
def test_every_action_and_parameter_is_on_the_page(name):
    fields = set(ACTIONS.get(name).Params.model_fields) - {"only_from"}
    assert f"| `{name}` |" in PAGE
    assert [field for field in fields if f"`{field}" not in PAGE] == []
