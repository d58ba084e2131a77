from collections.abc import Callable, Mapping
from math import ceil
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from sre_platform.catalog.domain import Target
from sre_platform.clients.kubernetes import Write
from sre_platform.guardrails.domain import Reach
from sre_platform.kernel.errors import Rejected
from sre_platform.remediation.domain import Delta, Prepared, Seen, Traits, World
from sre_platform.remediation.kubernetes import Kubernetes, Workload, effect, expects, part, put

_KINDS = ("Deployment", "StatefulSet", "Rollout")


class K8sScale:
    """Gives a workload more pods within bounds, and takes away only what it gave; one with an autoscaler is refused."""

    name = "k8s_scale"
    traits = Traits()
    handles = (Kubernetes,)

    class Params(BaseModel):
        """``replicas``, or ``factor`` times what is there (rounded up, cut at ``max``): one of them.

        ``only_from``, for the undo: how many there have to be now; with it, fewer than before are allowed.
        """

        model_config = ConfigDict(extra="forbid", allow_inf_nan=False)
        replicas: int | None = Field(None, ge=1, le=1000)
        factor: float | None = Field(None, gt=1, le=10)
        max: int = Field(10, ge=1, le=1000)
        only_from: int | None = Field(None, ge=1)

    def prepare(self, target: Target, params: Params, world: World) -> Prepared:  # noqa: ARG002
        workload = Workload.of(target, *_KINDS)
        _check_autoscaler(workload)
        now, to = workload.replicas, _wanted(workload, params)
        aim = workload.identity | {"from": now, "to": to}
        return Prepared(
            says=f"Scale {workload} from {now} to {to} pods",
            aim=aim,
            undo={"replicas": now, "only_from": to},
            effects=[effect(_write(workload, aim))],
            diff=[Delta("replicas", now, to)],
            reach=Reach(total=now, ready=workload.ready, takes=min(workload.ready, max(0, now - to))),
        )

    def apply(self, target: Target, aim: Mapping[str, Any], world: World, confirm: Callable[[], None]) -> str:  # noqa: ARG002
        workload = Workload.of(target, *_KINDS)
        if _seen(workload, aim) is Seen.DONE:
            return f"{workload} was scaled to {aim['to']} already"
        _check_autoscaler(workload)
        put(workload, _write(workload, aim), confirm)
        return f"{workload} is scaled to {aim['to']} pods"

    def look(self, target: Target, aim: Mapping[str, Any], world: World) -> Seen:  # noqa: ARG002
        return _seen(Workload.of(target, *_KINDS), aim)


def _seen(workload: Workload, aim: Mapping[str, Any]) -> Seen:
    return workload.seen(aim, workload.replicas == aim["to"])


def _write(workload: Workload, aim: Mapping[str, Any]) -> Write:
    """Of the scale subresource, which shows the workload's uid and no generation: the count itself is the lock."""
    set_to = {"op": "replace", "path": "/spec/replicas", "value": aim["to"]}
    locks = [expects("/metadata/uid", aim["uid"]), expects("/spec/replicas", aim["from"])]
    return Write("PATCH", f"{workload.held.path}/scale", [*locks, set_to])


def _wanted(workload: Workload, params: K8sScale.Params) -> int:
    now = workload.replicas
    if (params.replicas is None) == (params.factor is None):
        raise Rejected("Scaling needs either replicas or a factor.")
    if params.only_from not in (None, now):
        raise Rejected(f"{workload} has {now} pods, not {params.only_from} as it was left: somebody has changed it.")
    if workload.spec.get("replicas") is None:  # a Rollout's: no default is filled in, and its scale shows nothing then
        raise Rejected(f"{workload} does not say how many pods it has, so it cannot be scaled.")
    if not now:
        raise Rejected(f"{workload} is scaled to none, which is somebody's decision.")
    to = params.replicas or min(params.max, ceil(now * (params.factor or 1)))
    if to > params.max and params.only_from is None:
        raise Rejected(f"{to} pods are more than the bound of {params.max}.")
    if to == now or (to < now and params.only_from is None):
        raise Rejected(f"{workload} has {now} pods already, and is only scaled up (to {params.max} at most).")
    return to


def _check_autoscaler(workload: Workload) -> None:
    """Raises Rejected when a HorizontalPodAutoscaler owns the count."""
    listed = workload.cluster.items(workload.held.all("apis/autoscaling/v2", "horizontalpodautoscalers"))
    for found in listed:
        of = part(found, "spec", "scaleTargetRef")
        if (of.get("kind"), of.get("name")) == (workload.held.kind, workload.held.name):
            name = part(found, "metadata").get("name")
            raise Rejected(f"The autoscaler {name} decides how many pods {workload} has: change its bounds instead.")
