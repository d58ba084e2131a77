"""The revisions of a Deployment or an Argo Rollout: the pod templates that its ReplicaSets keep.

A Deployment's template is the very one of its ReplicaSet. A Rollout is a custom resource, so the API server does not
fill its template with defaults as it does the ReplicaSet's: there the controller's hash tells which one is wanted.

Sources: https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#rolling-back-a-deployment,
https://argo-rollouts.readthedocs.io/en/stable/generated/kubectl-argo-rollouts/kubectl-argo-rollouts_undo/
"""

import json
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from sre_platform.clients.kubernetes import Write
from sre_platform.kernel.errors import Rejected
from sre_platform.remediation.domain import Delta, Prepared, Seen
from sre_platform.remediation.kubernetes import Workload, controlled, digest, effect, part, put

RESTARTED_AT = "kubectl.kubernetes.io/restartedAt"
NUMBER = {"Deployment": "deployment.kubernetes.io/revision", "Rollout": "rollout.argoproj.io/revision"}
HISTORY = {kind: f"{name}-history" for kind, name in NUMBER.items()}  # its earlier numbers, when it was gone back to
EPHEMERAL = "rollout.argoproj.io/ephemeral-metadata"  # on a ReplicaSet: what its role, stable or canary, has put on it
MAX_DIGITS = 19  # of a revision, which the controllers count in 64 bits
HASH = {"Deployment": "pod-template-hash", "Rollout": "rollouts-pod-template-hash"}


@dataclass(frozen=True)
class Revision:
    """One template that ran, as it can be written back; ``number`` counts up with every change.

    ``hash`` is the label by which the controller tells its pods from others, ``first`` the number that it had when it
    ran first. ``added`` says that the controller has put something of its role into the template.
    """

    number: int
    template: Mapping[str, Any]
    hash: str = ""
    first: int = 0
    added: bool = False

    @property
    def digest(self) -> str:
        return digest(self.template)

    @property
    def release(self) -> str:
        """What it runs, whoever restarted it when."""
        template = deepcopy(dict(self.template))
        metadata = dict(part(template, "metadata"))
        kept = {key: value for key, value in part(metadata, "annotations").items() if key != RESTARTED_AT}
        metadata.pop("annotations", None)
        template["metadata"] = metadata | ({"annotations": kept} if kept else {})
        return digest(template)

    @property
    def images(self) -> list[str]:
        return [str(item.get("image", "")) for item in part(self.template, "spec").get("containers") or ()]


def known(workload: Workload) -> list[Revision]:
    """The revisions that can be gone back to, oldest first."""
    listed = workload.cluster.items(workload.held.all("apis/apps/v1", "replicasets"), workload.selector)
    own = [item for item in listed if controlled(item) == workload.uid]
    return sorted(filter(None, (_revision(item, workload.held.kind) for item in own)), key=lambda r: r.number)


def _revision(found: Mapping[str, Any], kind: str) -> Revision | None:
    annotations = part(found, "metadata", "annotations")
    number = _number(annotations.get(NUMBER[kind], ""))
    template = part(found, "spec", "template")
    if number is None or not template:
        return None
    clean = deepcopy(dict(template))
    labels = dict(part(clean, "metadata", "labels"))
    named = str(labels.pop(HASH[kind], ""))
    clean["metadata"] = {**part(clean, "metadata"), "labels": labels}
    earlier = map(_number, annotations.get(HISTORY[kind], "").split(","))
    first = min([number, *(each for each in earlier if each is not None)])
    added = EPHEMERAL in annotations or HASH[kind] in json.dumps(clean)  # the latter as antiAffinity does
    return Revision(number, clean, named, first, added)


def _number(text: str) -> int | None:
    return int(text) if text.isdecimal() and len(text) < MAX_DIGITS else None


def wanted(workload: Workload, revisions: Sequence[Revision]) -> Revision | None:
    """The revision whose template the workload wants now; None when there is none of it yet."""
    template, named = digest(workload.template), ""
    if workload.held.kind == "Rollout" and workload.seen_by_controller:
        named = str(workload.status.get("currentPodHash") or "")
    return next((one for one in reversed(revisions) if one.digest == template or one.hash == named != ""), None)


def before(workload: Workload, revisions: Sequence[Revision], now: Revision, number: int = 0) -> Revision:
    """The revision called ``number``, or the newest one before ``now`` that is not a mere restart of it."""
    if number:
        found = next((item for item in revisions if item.number == number), None)
        if found is None:
            raise Rejected(f"{workload} keeps no revision {number} any more.")
    else:
        if not workload.seen_by_controller:
            raise Rejected(f"The controller of {workload} has not seen its newest change: what ran before is unclear.")
        older = [item for item in revisions if item.number < now.number and item.release != now.release]
        if not older:
            raise Rejected(f"{workload} keeps no revision before {now.number}, so there is nothing to go back to.")
        found = older[-1]
        if any(item.first < found.number for item in revisions if item.release == now.release):
            raise Rejected(f"{workload} was gone back to what it runs: revision {found.number} is what was left then.")
    if found.digest == now.digest:
        raise Rejected(f"{workload} runs revision {found.number} already.")
    return found


def prepare(workload: Workload, number: int, only_from: str, undo: Mapping[str, Any]) -> Prepared:
    """Going back to a revision. ``only_from``: the digest of the template that has to be there, empty for any."""
    revisions = known(workload)
    now = wanted(workload, revisions)
    if only_from and (now is None or now.digest != only_from):
        raise Rejected(f"{workload} is not as it was left: somebody has changed it since.")
    if now is None:
        raise Rejected(f"The controller of {workload} has not seen its newest change, so it has no revision yet.")
    to = before(workload, revisions, now, number)
    if to.added:
        raise Rejected(f"Revision {to.number} of {workload} carries what its controller added to it for its role.")
    aim = workload.identity | {"revision": to.number, "template": to.digest}
    return Prepared(
        says=f"Roll {workload} back from revision {now.number} to {to.number}",
        aim=aim,
        undo={**undo, "to_revision": now.number, "only_from": to.digest},
        effects=[effect(_write(workload, aim, to))],
        diff=[Delta("revision", now.number, to.number), Delta("images", now.images, to.images)],
        reach=workload.reach(),
    )


def apply(workload: Workload, aim: Mapping[str, Any], confirm: Callable[[], None]) -> str:
    """Write the revision's template back, unless it is there."""
    if look(workload, aim) is Seen.DONE:
        return f"{workload} had the template of revision {aim['revision']} already"
    to = next((item for item in known(workload) if item.digest == aim["template"]), None)
    if to is None:
        raise Rejected(f"{workload} keeps revision {aim['revision']} no more.")
    put(workload, _write(workload, aim, to), confirm)
    return f"{workload} is being rolled back to revision {aim['revision']}"


def look(workload: Workload, aim: Mapping[str, Any]) -> Seen:
    """Whether the workload wants the revision's template."""
    template = digest(workload.template)
    if template != aim["template"] and workload.held.kind == "Rollout":
        now = wanted(workload, known(workload))
        template = now.digest if now else ""
    return workload.seen(aim, template == aim["template"])


def _write(workload: Workload, aim: Mapping[str, Any], to: Revision) -> Write:
    return workload.patch(aim, {"op": "replace", "path": "/spec/template", "value": to.template})
