from collections.abc import Callable, Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from sre_platform.catalog.domain import Target
from sre_platform.clients.kubernetes import Write
from sre_platform.kernel.errors import Rejected
from sre_platform.remediation import revisions
from sre_platform.remediation.domain import Delta, Prepared, Seen, Traits, World
from sre_platform.remediation.kubernetes import POD_EVIDENCE, Kubernetes, Workload, effect, expects, needed, put

INCONCLUSIVE = ("InconclusiveAnalysisRun", "InconclusiveExperiment")  # reasons of a pause
Do = Literal["abort", "retry", "promote", "promote_full", "rollback"]


class ArgoRollout:
    """Aborts, retries, promotes or rolls back an Argo Rollout, by the same patches as its kubectl plugin.

    ``abort`` sends all traffic back to the stable release and leaves the template; ``promote`` ends the pause of this
    step, ``promote_full`` skips all steps; ``rollback`` writes an earlier template back.
    """

    name = "argo_rollout"
    traits = Traits(destroys=POD_EVIDENCE)
    handles = (Kubernetes,)

    class Params(BaseModel):
        """``to_revision``, of a rollback: 0 for the newest before the running one.

        ``only_from``, for the undo: the template hash that has to be there, or it is refused.
        """

        model_config = ConfigDict(extra="forbid")
        do: Do = "abort"
        to_revision: int = Field(0, ge=0)
        only_from: str = Field("", max_length=64)

    def prepare(self, target: Target, params: Params, world: World) -> Prepared:  # noqa: ARG002
        workload = Workload.of(target, "Rollout")
        if params.do == "rollback":
            return _marked(revisions.prepare(workload, params.to_revision, params.only_from, {"do": "rollback"}))
        if params.only_from and _hash(workload) != params.only_from:
            raise Rejected(f"{workload} is not as it was left: somebody has changed it since.")
        _check(workload, params.do)
        aim = workload.identity | {"do": params.do, "hash": _hash(workload), "pauses": _pauses(workload)}
        before, after = _change(workload, params.do)
        return Prepared(
            says=f"{_SAYS[params.do]} {workload}",
            aim=aim,
            undo=_undo(workload, params.do),
            effects=[effect(_write(workload, aim))],
            diff=[Delta(_FIELD[params.do], before, after)],
        )

    def apply(self, target: Target, aim: Mapping[str, Any], world: World, confirm: Callable[[], None]) -> str:  # noqa: ARG002
        workload = Workload.of(target, "Rollout")
        if aim["do"] == "rollback":
            return revisions.apply(workload, aim, confirm)
        if _seen(workload, aim) is Seen.DONE:
            return f"{workload} had been told to {aim['do']} already"
        put(workload, _write(workload, aim), confirm)
        return f"{workload} was told to {aim['do']}"

    def look(self, target: Target, aim: Mapping[str, Any], world: World) -> Seen:  # noqa: ARG002
        workload = Workload.of(target, "Rollout")
        return revisions.look(workload, aim) if aim["do"] == "rollback" else _seen(workload, aim)


_SAYS = {"abort": "Abort", "retry": "Retry", "promote": "Promote by one step", "promote_full": "Promote fully"}
_FIELD = {"abort": "abort", "retry": "abort", "promote": "pauseConditions", "promote_full": "promoteFull"}


def _marked(prepared: Prepared) -> Prepared:
    aim = {**prepared.aim, "do": "rollback"}
    return Prepared(
        prepared.says,
        aim,
        prepared.undo,
        effects=prepared.effects,
        diff=prepared.diff,
        reach=prepared.reach,
    )


def _hash(workload: Workload) -> str:
    """The hash of the template that is being rolled out."""
    return str(needed(workload.found, "status", "currentPodHash"))


def _pauses(workload: Workload) -> list[list[str]]:
    """The pauses that hold it: reason and start."""
    found = workload.status.get("pauseConditions") or ()
    return [[str(item.get("reason", "")), str(item.get("startTime", ""))] for item in found]


def _check(workload: Workload, do: str) -> None:
    """Raises Rejected when this makes no sense here and now."""
    aborted, stable = bool(workload.status.get("abort")), _hash(workload) == workload.status.get("stableRS")
    if do == "retry" and not aborted:
        raise Rejected(f"{workload} is not aborted, so there is nothing to retry.")
    if do != "retry" and aborted:
        raise Rejected(f"{workload} is aborted already.")
    if do != "retry" and stable:
        raise Rejected(f"{workload} is not rolling anything out: the release that runs is its stable one.")
    if workload.spec.get("paused"):
        raise Rejected(f"{workload} is paused by its spec, which is somebody's decision.")
    if do.startswith("promote") and any(reason in INCONCLUSIVE for reason, _ in _pauses(workload)):
        raise Rejected(f"An analysis of {workload} could not tell whether it is well, which is for people to decide.")
    if do == "promote" and not _pauses(workload):
        raise Rejected(f"{workload} does not wait for anybody: it goes on by itself.")


def _undo(workload: Workload, do: str) -> dict[str, Any]:
    """Abort and retry take each other back; a promotion is taken back by the stable release's template."""
    if do in ("abort", "retry"):
        return {"do": "retry" if do == "abort" else "abort", "only_from": _hash(workload)}
    known, stable = revisions.known(workload), str(workload.status.get("stableRS", ""))
    of_stable = next((item for item in known if item.hash == stable), None)
    now = revisions.wanted(workload, known)
    if of_stable is None or of_stable.added or now is None:
        raise Rejected(f"{workload} keeps no template of its stable release, so a promotion could not be undone.")
    return {"do": "rollback", "to_revision": of_stable.number, "only_from": now.digest}


def _change(workload: Workload, do: str) -> tuple[Any, Any]:
    if do == "promote":
        return _pauses(workload), None
    return bool(workload.status.get("promoteFull" if do == "promote_full" else "abort")), do != "retry"


def _seen(workload: Workload, aim: Mapping[str, Any]) -> Seen:
    if _hash(workload) != aim["hash"]:
        return Seen.UNKNOWN
    aborted, stable = bool(workload.status.get("abort")), aim["hash"] == workload.status.get("stableRS")
    done = {
        "abort": aborted,
        "retry": not aborted,
        "promote": _pauses(workload) != aim["pauses"],
        "promote_full": stable or bool(workload.status.get("promoteFull")),
    }
    return workload.seen(aim, done[aim["do"]])


def _write(workload: Workload, aim: Mapping[str, Any]) -> Write:
    do, locks = aim["do"], [expects("/status/currentPodHash", aim["hash"])]
    if do == "promote":
        locks.append(expects("/status/pauseConditions/0/startTime", aim["pauses"][0][1]))
    changes: dict[str, dict[str, Any]] = {
        "abort": {"op": "add", "path": "/status/abort", "value": True},
        "retry": {"op": "add", "path": "/status/abort", "value": False},
        "promote": {"op": "remove", "path": "/status/pauseConditions"},
        "promote_full": {"op": "add", "path": "/status/promoteFull", "value": True},
    }
    return workload.patch(aim, *locks, changes[do], sub="/status")
