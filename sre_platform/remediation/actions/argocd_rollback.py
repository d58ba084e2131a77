from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from sre_platform.catalog.domain import Target
from sre_platform.kernel.errors import Rejected
from sre_platform.remediation.argocd import Application, ArgoCd, Deployed
from sre_platform.remediation.domain import Delta, Effect, Prepared, Seen, Traits, World
from sre_platform.remediation.kubernetes import POD_EVIDENCE


class ArgocdRollback:
    """Rolls an Argo CD application back to what it deployed before; refused while it syncs to Git by itself."""

    name = "argocd_rollback"
    traits = Traits(destroys=POD_EVIDENCE)
    handles = (ArgoCd,)

    class Params(BaseModel):
        """``id`` of the history; 0 for the newest entry before the running one that deployed something else.

        ``only_from``, for the undo: the mark of what has to run, or it is refused.
        """

        model_config = ConfigDict(extra="forbid")
        id: int = Field(0, ge=0)
        only_from: list[str] | None = Field(None, max_length=100)

    def prepare(self, target: Target, params: Params, world: World) -> Prepared:  # noqa: ARG002
        application = Application.of(target)
        _check(application)
        now, to = _chosen(application, params)
        aim = {"uid": application.uid, "id": to.id, "to": list(to.revisions), "mark": list(to.mark)}
        aim |= {"newest": now.id, "operation": application.started}
        return Prepared(
            says=f"Roll {application} back from {_said(now)} to {_said(to)}",
            aim=aim,
            undo={"id": now.id, "only_from": list(to.mark)},
            effects=[Effect("POST", f"{application.held.path}/rollback", _body(application.held, aim))],
            diff=[Delta("revisions", list(now.revisions), list(to.revisions))],
        )

    def apply(self, target: Target, aim: Mapping[str, Any], world: World, confirm: Callable[[], None]) -> str:  # noqa: ARG002
        application = Application.of(target)
        seen = _seen(application, aim)
        if seen is Seen.DONE:
            return f"{application} had been rolled back already"
        if seen is Seen.UNKNOWN:  # its API takes no precondition, so nothing is sent on top of what is not known
            raise Rejected(f"{application} was changed by somebody else meanwhile.")
        confirm()
        application.roll_back(_body(application.held, aim))
        return f"{application} is being rolled back to {aim['to']}"

    def look(self, target: Target, aim: Mapping[str, Any], world: World) -> Seen:  # noqa: ARG002
        return _seen(Application.of(target), aim)


def _check(application: Application) -> None:
    if application.automated:
        raise Rejected(
            f"{application} is synced automatically, so Argo CD refuses to roll it back.",
            advice="Revert the commit in Git, or turn auto-sync off.",
        )
    if application.busy:
        raise Rejected(f"Another operation of {application} is under way.")


def _chosen(application: Application, params: ArgocdRollback.Params) -> tuple[Deployed, Deployed]:
    """What runs, and what to go back to."""
    history = application.history
    if not history:
        raise Rejected(f"Argo CD has no history of {application}.")
    now = history[-1]
    if params.only_from is not None and list(now.mark) != params.only_from:
        raise Rejected(f"{application} is not as it was left: somebody has changed it since.")
    older = [entry for entry in history[:-1] if entry.revisions and entry.mark != now.mark]
    found = [entry for entry in older if params.id in (0, entry.id)]
    if not found:
        raise Rejected(
            f"The history of {application} has no {f'entry {params.id}' if params.id else 'other revision'}."
        )
    return now, found[-1]


def _body(held: ArgoCd, aim: Mapping[str, Any]) -> dict[str, Any]:
    body: dict[str, Any] = {"name": held.application, "id": aim["id"], "prune": False, "dryRun": False}
    return body | ({"appNamespace": held.namespace} if held.namespace else {})


def _seen(application: Application, aim: Mapping[str, Any]) -> Seen:
    """Argo CD keeps an operation from the request on, and a new entry of the history when the sync has succeeded."""
    history, to = application.history, tuple(aim["mark"])
    newest = history[-1] if history else Deployed(0, ())
    if application.uid != aim["uid"]:
        return Seen.UNKNOWN
    if newest.id > aim["newest"]:
        return Seen.DONE if newest.mark == to else Seen.UNKNOWN
    if application.busy:
        return Seen.DONE if application.syncing_to == to else Seen.UNKNOWN
    # An operation that has begun since and brought no entry has failed.
    return Seen.NOT_DONE if application.started == aim["operation"] else Seen.UNKNOWN


def _said(entry: Deployed) -> str:
    return f"{', '.join(revision[:12] for revision in entry.revisions) or 'nothing'} (entry {entry.id})"
