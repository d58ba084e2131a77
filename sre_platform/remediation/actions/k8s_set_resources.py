from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from sre_platform.catalog.domain import Target
from sre_platform.clients.kubernetes import Write
from sre_platform.kernel.errors import Rejected
from sre_platform.remediation.domain import Delta, Prepared, Seen, Traits, World
from sre_platform.remediation.kubernetes import (
    BUILT_IN,
    POD_EVIDENCE,
    Kubernetes,
    Workload,
    effect,
    expects,
    part,
    put,
    resolved,
)
from sre_platform.remediation.quantities import no_room, quantity, written

Amounts = dict[Literal["cpu", "memory"], str]


class K8sSetResources:
    """Changes what one container requests and may use, within bounds and the namespace's quota; its pods are replaced.

    Before anything is said about it the API server admits the change in a dry run, which writes nothing.
    """

    name = "k8s_set_resources"
    traits = Traits(destroys=POD_EVIDENCE)
    handles = (Kubernetes,)

    class Params(BaseModel):
        """``requests`` and ``limits`` as in Kubernetes, or ``factor`` times the set ones of ``resource``.

        Both are bounded by ``max_cpu`` and ``max_memory``. For the undo: ``restore`` is what there was, and
        ``only_from`` what there has to be now.
        """

        model_config = ConfigDict(extra="forbid", allow_inf_nan=False)
        requests: Amounts = {}
        limits: Amounts = {}
        factor: float | None = Field(None, gt=0, le=10)
        resource: Literal["cpu", "memory"] = "memory"
        max_cpu: str = "4"
        max_memory: str = "8Gi"
        restore: dict[str, Any] | None = None
        only_from: dict[str, Any] | None = None

    def prepare(self, target: Target, params: Params, world: World) -> Prepared:  # noqa: ARG002
        workload = Workload.of(target, *BUILT_IN)
        workload.rolls()
        now = _resources(workload)
        to = _wanted(workload, params, now)
        aim = workload.identity | {"to": to}
        write = _write(workload, aim)
        if params.restore is None and (why := no_room(_quotas(workload), _extra(workload, now, to))):
            raise Rejected(f"{workload} cannot be given {_said(to)}: {why}.")
        workload.cluster.rehearse(write)
        return Prepared(
            says=f"Give each pod of {workload} {_said(to)} instead of {_said(now)}",
            aim=aim,
            undo={"restore": now, "only_from": to},
            effects=[effect(write)],
            diff=[Delta("resources", now, to)],
            reach=workload.reach(),
        )

    def apply(self, target: Target, aim: Mapping[str, Any], world: World, confirm: Callable[[], None]) -> str:  # noqa: ARG002
        workload = Workload.of(target, *BUILT_IN)
        if _seen(workload, aim) is Seen.DONE:
            return f"{workload} had these resources already"
        put(workload, _write(workload, aim), confirm)
        return f"Each pod of {workload} gets {_said(aim['to'])}; the pods are replaced"

    def look(self, target: Target, aim: Mapping[str, Any], world: World) -> Seen:  # noqa: ARG002
        return _seen(Workload.of(target, *BUILT_IN), aim)


def _resources(workload: Workload) -> dict[str, Any]:
    return dict(part(workload.container()[1], "resources"))


def _seen(workload: Workload, aim: Mapping[str, Any]) -> Seen:
    return workload.seen(aim, _same(_resources(workload), aim["to"]))


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether both mean the same amounts: the server may write 1024Mi as 1Gi."""
    return _amounts(one) == _amounts(other)


def _amounts(found: Mapping[str, Any]) -> dict[str, Decimal]:
    kinds = ("requests", "limits")
    return {f"{kind}.{name}": quantity(amount) for kind in kinds for name, amount in part(found, kind).items()}


def _write(workload: Workload, aim: Mapping[str, Any]) -> Write:
    place, container = workload.container()
    path = f"/spec/template/spec/containers/{place}"
    lock = expects(f"{path}/name", container.get("name"))
    return workload.patch(aim, lock, {"op": "add", "path": f"{path}/resources", "value": aim["to"]})


def _wanted(workload: Workload, params: K8sSetResources.Params, now: dict[str, Any]) -> dict[str, Any]:
    if params.only_from is not None and not _same(now, params.only_from):
        raise Rejected(f"{workload} has not the resources that it was left with: somebody has changed them since.")
    explicit = bool(params.requests or params.limits)
    if (params.restore is not None) + explicit + (params.factor is not None) != 1:
        raise Rejected("Resources need either amounts or a factor.")
    if params.restore is not None:
        return params.restore
    to = _multiplied(workload, params, now) if params.factor else _explicit(params, now)
    if _same(now, to):
        raise Rejected(f"{workload} has {_said(now)} already, which is what the bounds leave.")
    return to


def _bounds(params: K8sSetResources.Params) -> dict[str, Decimal]:
    return {"cpu": quantity(params.max_cpu), "memory": quantity(params.max_memory)}


def _explicit(params: K8sSetResources.Params, now: dict[str, Any]) -> dict[str, Any]:
    bounds, given = _bounds(params), {"requests": params.requests, "limits": params.limits}
    for amounts in given.values():
        for name, amount in amounts.items():
            if not 0 < quantity(amount) <= bounds[name]:
                raise Rejected(f"{amount} of {name} is not within the bound of {written(name, bounds[name])}.")
    return now | {kind: {**part(now, kind), **amounts} for kind, amounts in given.items() if amounts}


def _multiplied(workload: Workload, params: K8sSetResources.Params, now: dict[str, Any]) -> dict[str, Any]:
    name, to, bound = params.resource, dict(now), _bounds(params)[params.resource]
    for kind in ("requests", "limits"):
        if amount := part(now, kind).get(name):
            # Never below what is there: a bound that is under it leaves it alone.
            wanted = min(quantity(amount) * Decimal(str(params.factor)), max(bound, quantity(amount)))
            to[kind] = {**part(now, kind), name: written(name, wanted)}
    if to == now and not any(part(now, kind).get(name) for kind in ("requests", "limits")):
        raise Rejected(f"{workload} has no {name} set, so there is nothing to multiply.")
    return to


def _quotas(workload: Workload) -> list[dict[str, Any]]:
    return workload.cluster.items(workload.held.all("api/v1", "resourcequotas"))


def _extra(workload: Workload, now: Mapping[str, Any], to: Mapping[str, Any]) -> dict[str, Decimal]:
    """What the namespace has to have room for: all pods' increase, and the new pods that a rollout starts first."""
    before, after, rolling = _amounts(now), _amounts(to), part(workload.spec, "strategy", "rollingUpdate")
    deployed = workload.held.kind == "Deployment" and part(workload.spec, "strategy").get("type") != "Recreate"
    surge = resolved(rolling.get("maxSurge", "25%"), workload.replicas, up=True) if deployed else 0
    return {
        key: (amount - before.get(key, Decimal(0))) * workload.replicas + amount * surge
        for key, amount in after.items()
    }


def _said(found: Mapping[str, Any]) -> str:
    kinds = ("requests", "limits")
    told = [f"{kind} {name} {amount}" for kind in kinds for name, amount in sorted(part(found, kind).items())]
    return ", ".join(told) or "no requests and limits"
