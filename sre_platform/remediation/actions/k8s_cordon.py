from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from sre_platform.catalog.domain import Target
from sre_platform.clients.kubernetes import Write
from sre_platform.kernel.errors import Rejected
from sre_platform.remediation.disruption import ready
from sre_platform.remediation.domain import Delta, Prepared, Seen, Traits, World
from sre_platform.remediation.kubernetes import (
    BUILT_IN,
    NAME,
    Kubernetes,
    Workload,
    effect,
    expects,
    needed,
    part,
    pods,
    put,
)

_KINDS = (*BUILT_IN, "Rollout")
_NODES = "/api/v1/nodes"


class K8sCordon:
    """Keeps new pods off a node; those on it stay. It is refused when too few other nodes could take pods."""

    name = "k8s_cordon"
    traits = Traits()
    handles = (Kubernetes,)

    class Params(BaseModel):
        """``node``: empty for the one on which all pods of the service that are not ready are, and no ready one is.

        A service that is ready nowhere shows nothing of a node. ``leave``: how many other ready nodes must be left for
        new pods. ``uncordon`` is the undo.
        """

        model_config = ConfigDict(extra="forbid")
        node: str = Field("", pattern=NAME)
        leave: int = Field(2, ge=1, le=10_000)
        uncordon: bool = False

    def prepare(self, target: Target, params: Params, world: World) -> Prepared:  # noqa: ARG002
        workload = Workload.of(target, *_KINDS)
        node = params.node or _suspect(workload)
        found = workload.cluster.get(f"{_NODES}/{node}")
        if bool(part(found, "spec").get("unschedulable")) != params.uncordon:
            raise Rejected(f"The node {node} is {'not cordoned' if params.uncordon else 'cordoned already'}.")
        if not params.uncordon:
            _check_left(workload.cluster.items(_NODES), node, params.leave)
        aim = {"node": node, "uid": needed(found, "metadata", "uid"), "cordoned": not params.uncordon}
        aim["leave"] = params.leave
        return Prepared(
            says=f"{'Uncordon' if params.uncordon else 'Cordon'} the node {node} ({workload})",
            aim=aim,
            undo={"node": node, "uncordon": not params.uncordon},
            effects=[effect(_write(aim))],
            diff=[Delta(f"unschedulable of {node}", params.uncordon, not params.uncordon)],
        )

    def apply(self, target: Target, aim: Mapping[str, Any], world: World, confirm: Callable[[], None]) -> str:
        workload = Workload.of(target, *_KINDS)
        if self.look(target, aim, world) is not Seen.DONE:
            if aim["cordoned"]:  # again, for who took the step over may come late
                _check_left(workload.cluster.items(_NODES), aim["node"], aim["leave"])
            put(workload, _write(aim), confirm)
        return f"the node {aim['node']} {'takes no new pods' if aim['cordoned'] else 'takes pods again'}"

    def look(self, target: Target, aim: Mapping[str, Any], world: World) -> Seen:  # noqa: ARG002
        found = Workload.of(target, *_KINDS).cluster.get(f"{_NODES}/{aim['node']}")
        if part(found, "metadata").get("uid") != aim["uid"]:
            return Seen.UNKNOWN
        return Seen.DONE if bool(part(found, "spec").get("unschedulable")) == aim["cordoned"] else Seen.NOT_DONE


def _write(aim: Mapping[str, Any]) -> Write:
    """A node has no generation, and its resourceVersion changes with each heartbeat: the field itself is the lock."""
    path = "/spec/unschedulable"
    lock = [expects("/metadata/uid", aim["uid"]), expects(path, None if aim["cordoned"] else True)]
    change = {"op": "add", "path": path, "value": True} if aim["cordoned"] else {"op": "remove", "path": path}
    return Write("PATCH", f"{_NODES}/{aim['node']}", [*lock, change])


def _suspect(workload: Workload) -> str:
    """The one node that the service's pods are not ready on, while they are elsewhere: else it may be the service.

    Raises Rejected when no node or several could be it.
    """
    found = pods(workload)
    bad = Counter(str(part(pod, "spec").get("nodeName") or "") for pod in found if not ready(pod))
    good = {str(part(pod, "spec").get("nodeName") or "") for pod in found if ready(pod)}
    if len(bad) != 1 or "" in bad or not good or set(bad) & good:
        raise Rejected(f"The pods of {workload} do not show which node is in trouble: name one.")
    return next(iter(bad))


def _check_left(nodes: Sequence[Mapping[str, Any]], node: str, leave: int) -> None:
    others = [item for item in nodes if part(item, "metadata").get("name") != node and _takes_pods(item)]
    if len(others) < leave:
        raise Rejected(f"Without {node} only {len(others)} nodes would take pods, and {leave} have to be left.")


def _takes_pods(node: Mapping[str, Any]) -> bool:
    spec = part(node, "spec")
    tainted = any(item.get("effect") in ("NoSchedule", "NoExecute") for item in spec.get("taints") or ())
    return ready(node) and not spec.get("unschedulable") and not tainted
