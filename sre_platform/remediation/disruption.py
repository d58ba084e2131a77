"""Which pod is worst off, and whether a disruption budget lets it be evicted. Pure.

Source: https://kubernetes.io/docs/tasks/run-application/configure-pdb/
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sre_platform.kernel.errors import Rejected
from sre_platform.remediation.kubernetes import part


def ready(pod: Mapping[str, Any]) -> bool:
    """Whether the pod's Ready condition is True and it is not going away."""
    conditions = part(pod, "status").get("conditions") or ()
    says = any(item.get("type") == "Ready" and item.get("status") == "True" for item in conditions)
    return says and not part(pod, "metadata").get("deletionTimestamp")


def restarts(pod: Mapping[str, Any]) -> int:
    """How often its containers were restarted."""
    return sum(int(item.get("restartCount") or 0) for item in part(pod, "status").get("containerStatuses") or ())


def name(pod: Mapping[str, Any]) -> str:
    return str(part(pod, "metadata").get("name", ""))


def worst(pods: Iterable[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The pod that is not ready, or else was restarted most; one that goes away already is none. Raises Rejected."""
    staying = [pod for pod in pods if not part(pod, "metadata").get("deletionTimestamp")]
    if not staying:
        raise Rejected("There is no pod that could be evicted.")
    return min(staying, key=lambda pod: (ready(pod), -restarts(pod), name(pod)))


def forbids(budgets: Sequence[Mapping[str, Any]], pod: Mapping[str, Any]) -> str:
    """Why the disruption budgets do not let this pod be evicted now; the empty string when they do."""
    covering = [item for item in budgets if selects(part(item, "spec", "selector"), pod)]
    if len(covering) > 1:
        return f"it has {len(covering)} disruption budgets, with which Kubernetes evicts nothing"
    return next((why for item in covering if (why := _forbids(item, pod))), "")


def _forbids(budget: Mapping[str, Any], pod: Mapping[str, Any]) -> str:
    status, label = part(budget, "status"), f"the disruption budget {name(budget)}"
    healthy, desired = int(status.get("currentHealthy") or 0), int(status.get("desiredHealthy") or 0)
    if not ready(pod) and part(budget, "spec").get("unhealthyPodEvictionPolicy") == "AlwaysAllow":
        return ""
    if not ready(pod) and 0 < desired <= healthy:
        return ""
    if str(status.get("observedGeneration", "")) != str(part(budget, "metadata").get("generation", "")):
        return f"{label} has not been counted since it was changed"
    if int(status.get("disruptionsAllowed") or 0) < 1:
        return f"{label} allows no disruption now: {healthy} pods are healthy and {desired} have to be"
    return ""


def selects(selector: Mapping[str, Any], pod: Mapping[str, Any]) -> bool:
    """Whether a LabelSelector selects the pod; an empty one, in policy/v1, selects all."""
    labels = part(pod, "metadata", "labels")
    wanted = part(selector, "matchLabels").items()
    return all(labels.get(key) == value for key, value in wanted) and all(
        _matches(rule, labels) for rule in selector.get("matchExpressions") or ()
    )


def _matches(rule: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    key, values = str(rule.get("key")), rule.get("values") or ()
    answers = {
        "In": labels.get(key) in values,
        "NotIn": labels.get(key) not in values,
        "Exists": key in labels,
        "DoesNotExist": key not in labels,
    }
    return answers.get(str(rule.get("operator")), True)  # an operator that is not known counts as covering
