from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from sre_platform.catalog.domain import Target
from sre_platform.clients.kubernetes import Missing, Refused, Throttled, Write
from sre_platform.guardrails.domain import Reach
from sre_platform.kernel.errors import Rejected, Untouched
from sre_platform.remediation import disruption
from sre_platform.remediation.domain import Delta, Prepared, Seen, Traits, World
from sre_platform.remediation.kubernetes import (
    BUILT_IN,
    NAME,
    POD_EVIDENCE,
    Kubernetes,
    Workload,
    effect,
    needed,
    part,
    pods,
)

_KINDS = (*BUILT_IN, "Rollout")


class K8sEvictPod:
    """Evicts one pod, whose owner makes another, through the eviction API, which keeps disruption budgets.

    The eviction names the pod's uid: it hits that pod or none. A pod that is ready is left alone unless that is said.
    """

    name = "k8s_evict_pod"
    traits = Traits(restarts=True, destroys=POD_EVIDENCE)
    handles = (Kubernetes,)

    class Params(BaseModel):
        """``pod``: empty for the worst one: not ready, then most restarts. ``even_ready`` lets it be a ready one."""

        model_config = ConfigDict(extra="forbid")
        pod: str = Field("", pattern=NAME)
        even_ready: bool = False

    def prepare(self, target: Target, params: Params, world: World) -> Prepared:  # noqa: ARG002
        workload = Workload.of(target, *_KINDS)
        own = pods(workload)
        pod = _named(own, params.pod, workload) if params.pod else disruption.worst(own)
        name, healthy = disruption.name(pod), disruption.ready(pod)
        if healthy and not params.even_ready:
            raise Rejected(f"The pod {name} of {workload} is ready, so it is not evicted.")
        budgets = workload.cluster.items(workload.held.all("apis/policy/v1", "poddisruptionbudgets"))
        if why := disruption.forbids(budgets, pod):
            raise Rejected(f"The pod {name} is not evicted: {why}.")
        aim = {"pod": name, "uid": needed(pod, "metadata", "uid"), "even_ready": params.even_ready}
        return Prepared(
            says=f"Evict the pod {name} of {workload}",
            aim=aim,
            undo=None,
            irreversible="the pod is gone, and its owner has made another one",
            effects=[effect(_write(workload.held, aim))],
            diff=[Delta("pod", name, None)],
            reach=Reach(workload.replicas, sum(map(disruption.ready, own)), int(healthy)),
        )

    def apply(self, target: Target, aim: Mapping[str, Any], world: World, confirm: Callable[[], None]) -> str:  # noqa: ARG002
        held = target.held_by(Kubernetes)
        pod = _found(held, aim)
        if pod is None:
            return f"the pod {aim['pod']} was gone already"
        if disruption.ready(pod) and not aim["even_ready"]:  # who took the step over may come late
            raise Rejected(f"The pod {aim['pod']} is ready by now, so it is not evicted.")
        confirm()
        try:
            held.cluster.send(_write(held, aim))
        except Throttled as error:
            raise Untouched(f"The disruption budget allows no eviction of {aim['pod']} now. {error}") from error
        except Refused as error:
            if _found(held, aim) is not None:
                raise Untouched(str(error)) from error
            return f"the pod {aim['pod']} had gone by itself"
        return f"the pod {aim['pod']} is evicted"

    def look(self, target: Target, aim: Mapping[str, Any], world: World) -> Seen:  # noqa: ARG002
        return Seen.NOT_DONE if _found(target.held_by(Kubernetes), aim) else Seen.DONE


def _found(held: Kubernetes, aim: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The pod that is meant, while it is there and stays."""
    try:
        pod = held.cluster.get(held.all("api/v1", f"pods/{aim['pod']}"))
    except Missing:
        return None
    metadata = part(pod, "metadata")
    return None if metadata.get("uid") != aim["uid"] or metadata.get("deletionTimestamp") else pod


def _write(held: Kubernetes, aim: Mapping[str, Any]) -> Write:
    metadata = {"name": aim["pod"], "namespace": held.namespace}
    options = {"preconditions": {"uid": aim["uid"]}}
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": metadata, "deleteOptions": options}
    return Write("POST", held.all("api/v1", f"pods/{aim['pod']}/eviction"), body)


def _named(own: list[dict[str, Any]], name: str, workload: Workload) -> dict[str, Any]:
    found = next((pod for pod in own if disruption.name(pod) == name), None)
    if found is None:
        raise Rejected(f"{workload} owns no pod {name}, so nothing would make another one.")
    return found
