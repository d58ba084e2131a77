from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from sre_platform.catalog.domain import Target
from sre_platform.clients.kubernetes import Write
from sre_platform.kernel.errors import Rejected
from sre_platform.kernel.redaction import redact_text
from sre_platform.remediation.domain import Delta, Prepared, Seen, Traits, World
from sre_platform.remediation.kubernetes import (
    BUILT_IN,
    POD_EVIDENCE,
    Kubernetes,
    Workload,
    effect,
    expects,
    put,
    secret,
)

MAX_VALUE = 4096


class K8sSetEnv:
    """Sets or removes one literal variable of a workload's container, which replaces its pods; never a secret."""

    name = "k8s_set_env"
    traits = Traits(destroys=POD_EVIDENCE)
    handles = (Kubernetes,)

    class Params(BaseModel):
        """``variable`` gets ``value``, or goes with ``remove``. ``only_from``, for the undo: what it has to be now."""

        model_config = ConfigDict(extra="forbid")
        variable: str = Field("", pattern=r"^([A-Za-z_][A-Za-z0-9_.-]{0,199})?$")
        value: str = Field("", max_length=MAX_VALUE)
        remove: bool = False
        only_from: str | None = Field(None, max_length=MAX_VALUE)

    def prepare(self, target: Target, params: Params, world: World) -> Prepared:  # noqa: ARG002
        if not params.variable:
            raise Rejected("No variable is named, so there is nothing to set.")
        workload = Workload.of(target, *BUILT_IN)
        workload.rolls()
        now, to = _literal(workload, params.variable), None if params.remove else params.value
        _check(workload, params, now, to)
        aim = workload.identity | {"variable": params.variable, "from": now, "to": to}
        change = f"Set {params.variable} of {workload} from {now!r} to {to!r}" if to is not None else ""
        back: dict[str, Any] = {"remove": True} if now is None else {"value": now}
        return Prepared(
            says=change or f"Remove {params.variable} ({now!r}) from {workload}",
            aim=aim,
            undo={"variable": params.variable, **back, **({} if to is None else {"only_from": to})},
            effects=[effect(_write(workload, aim))],
            diff=[Delta(params.variable, now, to)],
            reach=workload.reach(),
        )

    def apply(self, target: Target, aim: Mapping[str, Any], world: World, confirm: Callable[[], None]) -> str:  # noqa: ARG002
        workload = Workload.of(target, *BUILT_IN)
        if _seen(workload, aim) is Seen.DONE:
            return f"{aim['variable']} of {workload} was so already"
        put(workload, _write(workload, aim), confirm)
        return f"{aim['variable']} of {workload} is {'removed' if aim['to'] is None else 'set'}; its pods are replaced"

    def look(self, target: Target, aim: Mapping[str, Any], world: World) -> Seen:  # noqa: ARG002
        return _seen(Workload.of(target, *BUILT_IN), aim)


def _entries(workload: Workload, variable: str) -> list[tuple[int, Mapping[str, Any]]]:
    listed = workload.container()[1].get("env") or ()
    return [(place, item) for place, item in enumerate(listed) if item.get("name") == variable]


def _literal(workload: Workload, variable: str) -> str | None:
    """The variable's value, None when it is not there. Raises Rejected when it is a reference, or there twice."""
    found = _entries(workload, variable)
    if len(found) > 1:
        raise Rejected(f"{workload} sets {variable} {len(found)} times, so it is not clear which counts.")
    if found and found[0][1].get("valueFrom"):
        raise Rejected(f"{variable} of {workload} refers to something else (valueFrom), which is not replaced.")
    return str(found[0][1].get("value") or "") if found else None


def _check(workload: Workload, params: K8sSetEnv.Params, now: str | None, to: str | None) -> None:
    if secret(params.variable) or any(redact_text(text or "") != (text or "") for text in (now, to)):
        raise Rejected(f"{params.variable} looks like a secret, and steps keep no secrets.")
    if now == to:
        raise Rejected(f"{params.variable} of {workload} is {'not set' if to is None else repr(to)} already.")
    if params.only_from is not None and now != params.only_from:
        raise Rejected(f"{params.variable} of {workload} is not as it was left: somebody has changed it since.")


def _seen(workload: Workload, aim: Mapping[str, Any]) -> Seen:
    found = [item for _, item in _entries(workload, aim["variable"])]
    now = None if not found or found[0].get("valueFrom") else str(found[0].get("value") or "")
    return workload.seen(aim, now == aim["to"] and len(found) == (aim["to"] is not None))


def _write(workload: Workload, aim: Mapping[str, Any]) -> Write:
    place, container = workload.container()
    path = f"/spec/template/spec/containers/{place}"
    lock = expects(f"{path}/name", container.get("name"))
    entry, found = {"name": aim["variable"], "value": aim["to"]}, _entries(workload, aim["variable"])
    if found and aim["to"] is None:
        return workload.patch(aim, lock, {"op": "remove", "path": f"{path}/env/{found[0][0]}"})
    if found:
        return workload.patch(aim, lock, {"op": "replace", "path": f"{path}/env/{found[0][0]}", "value": entry})
    if container.get("env"):
        return workload.patch(aim, lock, {"op": "add", "path": f"{path}/env/-", "value": entry})
    return workload.patch(aim, lock, {"op": "add", "path": f"{path}/env", "value": [entry]})
