"""The fields of Kubernetes objects that anybody here reads, and what they have to be. All else is let through unread.

One shape for all kinds: where two kinds have a field of one name, it is the same thing. The names are the wire's.
Source: https://kubernetes.io/docs/reference/kubernetes-api/
"""

from typing import Any

from pydantic import TypeAdapter, ValidationError
from typing_extensions import TypedDict

from sre_platform.kernel.complaint import complaint
from sre_platform.kernel.errors import Malformed

Texts = dict[str, str] | None
Amounts = dict[str, str | int | float] | None
Share = int | str | None


class Owner(TypedDict, total=False):
    uid: str
    controller: bool | None


class Meta(TypedDict, total=False):
    name: str | None
    uid: str | None
    generation: int | None
    deletionTimestamp: str | None
    labels: Texts
    annotations: Texts
    ownerReferences: list[Owner] | None


class Expression(TypedDict, total=False):
    key: str
    operator: str
    values: list[str] | None


class Selector(TypedDict, total=False):
    matchLabels: Texts
    matchExpressions: list[Expression] | None


class Variable(TypedDict, total=False):
    name: str
    value: str | None
    valueFrom: dict[str, Any] | None


class Resources(TypedDict, total=False):
    requests: Amounts
    limits: Amounts


class Container(TypedDict, total=False):
    name: str
    image: str | None
    env: list[Variable] | None
    resources: Resources | None


class Template(TypedDict, total=False):
    metadata: Meta | None
    spec: "Spec | None"


class Rolling(TypedDict, total=False):
    maxUnavailable: Share
    maxSurge: Share


class Strategy(TypedDict, total=False):
    type: str | None
    rollingUpdate: Rolling | None
    canary: Rolling | None


class Taint(TypedDict, total=False):
    effect: str | None


class Reference(TypedDict, total=False):
    kind: str | None
    name: str | None


class Spec(TypedDict, total=False):
    """Of a workload, a pod, a node, an autoscaler or a disruption budget."""

    replicas: int | None
    paused: bool | None
    selector: Selector | None
    template: Template | None
    strategy: Strategy | None
    updateStrategy: Strategy | None
    containers: list[Container] | None
    nodeName: str | None
    unschedulable: bool | None
    taints: list[Taint] | None
    scaleTargetRef: Reference | None
    unhealthyPodEvictionPolicy: str | None


class Condition(TypedDict, total=False):
    type: str
    status: str


class Pause(TypedDict, total=False):
    reason: str | None
    startTime: str | None


class ContainerStatus(TypedDict, total=False):
    restartCount: int | None


class Status(TypedDict, total=False):
    """Of the same, and of a quota. Argo Rollouts writes its observedGeneration as a text."""

    observedGeneration: int | str | None
    phase: str | None
    replicas: int | None
    readyReplicas: int | None
    updatedReplicas: int | None
    desiredNumberScheduled: int | None
    updatedNumberScheduled: int | None
    numberReady: int | None
    conditions: list[Condition] | None
    containerStatuses: list[ContainerStatus] | None
    currentHealthy: int | None
    desiredHealthy: int | None
    disruptionsAllowed: int | None
    hard: Amounts
    used: Amounts
    abort: bool | None
    promoteFull: bool | None
    currentPodHash: str | None
    stableRS: str | None
    pauseConditions: list[Pause] | None


class Found(TypedDict, total=False):
    kind: str | None
    metadata: Meta | None
    spec: Spec | None
    status: Status | None


_SHAPE = TypeAdapter(Found)


def checked(found: dict[str, Any], where: str) -> dict[str, Any]:
    """``found`` itself. Raises Malformed, with the first field that is not what it has to be."""
    try:
        _SHAPE.validate_python(found, strict=True)
    except ValidationError as error:
        raise Malformed(f"Kubernetes showed an object at {where} that is none: {complaint(error)}.") from error
    return found
