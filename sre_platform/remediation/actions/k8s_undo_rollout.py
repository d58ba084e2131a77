from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from sre_platform.catalog.domain import Target
from sre_platform.remediation import revisions
from sre_platform.remediation.domain import Prepared, Seen, Traits, World
from sre_platform.remediation.kubernetes import POD_EVIDENCE, Kubernetes, Workload


class K8sUndoRollout:
    """Rolls a Deployment back to the pod template of an earlier revision, as ``kubectl rollout undo`` does."""

    name = "k8s_undo_rollout"
    traits = Traits(destroys=POD_EVIDENCE)
    handles = (Kubernetes,)

    class Params(BaseModel):
        """``to_revision``: 0 for the newest before the running one that is more than a restart of it.

        ``only_from``, for the undo: the digest of the template that has to run, or it is refused.
        """

        model_config = ConfigDict(extra="forbid")
        to_revision: int = Field(0, ge=0)
        only_from: str = Field("", max_length=64)

    def prepare(self, target: Target, params: Params, world: World) -> Prepared:  # noqa: ARG002
        workload = Workload.of(target, "Deployment")
        workload.rolls()
        return revisions.prepare(workload, params.to_revision, params.only_from, {})

    def apply(self, target: Target, aim: Mapping[str, Any], world: World, confirm: Callable[[], None]) -> str:  # noqa: ARG002
        return revisions.apply(Workload.of(target, "Deployment"), aim, confirm)

    def look(self, target: Target, aim: Mapping[str, Any], world: World) -> Seen:  # noqa: ARG002
        return revisions.look(Workload.of(target, "Deployment"), aim)
