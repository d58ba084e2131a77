from collections.abc import Callable, Mapping
from typing import Any

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
    pointer,
    put,
)
from sre_platform.remediation.revisions import RESTARTED_AT

_AT = "/spec/template/metadata/annotations"


class K8sRestartRollout:
    """Replaces all pods of a workload step by step, as ``kubectl rollout restart`` does; the template stays as it is.

    What is written to the template's annotation names the uid and the generation that are restarted, so the same
    restart written twice is one restart. Taken back, a restart that is stuck is turned around, and a finished one is
    left alone: its pods run what ran before.
    """

    name = "k8s_restart_rollout"
    traits = Traits(restarts=True, destroys=POD_EVIDENCE)
    handles = (Kubernetes,)

    class Params(BaseModel):
        """For the undo only: ``back_from`` is the stamp that the restart wrote, ``back_to`` the one before, if any."""

        model_config = ConfigDict(extra="forbid")
        back_from: str = Field("", max_length=200)
        back_to: str = Field("", max_length=200)

    def prepare(self, target: Target, params: Params, world: World) -> Prepared:  # noqa: ARG002
        workload = Workload.of(target, *BUILT_IN)
        workload.rolls()
        if params.back_from:
            return _take_back(workload, params)
        if not workload.replicas:
            raise Rejected(f"{workload} is scaled to none, so there is nothing to restart.")
        stamp, was = f"sre-platform:{workload.uid}:{workload.generation}", _stamp(workload)
        undo = {"back_from": stamp, "back_to": was}
        return _prepared(workload, f"Restart the {workload.replicas} pods of {workload}", stamp, undo)

    def apply(self, target: Target, aim: Mapping[str, Any], world: World, confirm: Callable[[], None]) -> str:  # noqa: ARG002
        workload = Workload.of(target, *BUILT_IN)
        if aim["leave"]:
            return f"{workload} is left as it is, for the restart is complete"
        if _seen(workload, aim) is Seen.DONE:
            return f"{workload} had been told so already"
        put(workload, _write(workload, aim), confirm)
        return f"{workload} replaces its {workload.replicas} pods"

    def look(self, target: Target, aim: Mapping[str, Any], world: World) -> Seen:  # noqa: ARG002
        return Seen.DONE if aim["leave"] else _seen(Workload.of(target, *BUILT_IN), aim)


def _take_back(workload: Workload, params: K8sRestartRollout.Params) -> Prepared:
    if _stamp(workload) != params.back_from:
        raise Rejected(f"{workload} is not as the restart left it: somebody has changed it since.")
    if workload.rolled_out:
        says = f"Leave {workload} as it is: the restart is complete, and its pods run the template that ran before"
        return Prepared(says, workload.identity | {"stamp": params.back_from, "leave": True}, {})
    undo = {"back_from": params.back_to, "back_to": params.back_from}
    return _prepared(workload, f"Turn the unfinished restart of {workload} around", params.back_to, undo)


def _prepared(workload: Workload, says: str, stamp: str, undo: Mapping[str, Any]) -> Prepared:
    aim = workload.identity | {"stamp": stamp, "leave": False}
    return Prepared(
        says=says,
        aim=aim,
        undo=undo,
        effects=[effect(_write(workload, aim))],
        diff=[Delta(f"annotation {RESTARTED_AT}", _stamp(workload) or None, stamp or None)],
        reach=workload.reach(),
    )


def _stamp(workload: Workload) -> str:
    return str(workload.annotations.get(RESTARTED_AT, ""))


def _seen(workload: Workload, aim: Mapping[str, Any]) -> Seen:
    return workload.seen(aim, _stamp(workload) == aim["stamp"])


def _write(workload: Workload, aim: Mapping[str, Any]) -> Write:
    path = f"{_AT}/{pointer(RESTARTED_AT)}"
    if not aim["stamp"]:
        return workload.patch(aim, expects(path, _stamp(workload)), {"op": "remove", "path": path})
    if workload.annotations:
        return workload.patch(aim, {"op": "add", "path": path, "value": aim["stamp"]})
    return workload.patch(aim, {"op": "add", "path": _AT, "value": {RESTARTED_AT: aim["stamp"]}})
