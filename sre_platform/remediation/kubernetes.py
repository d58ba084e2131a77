"""How a service is held on Kubernetes, and what every action there shares: one workload, looked at, locked and written.

A write is a JSON Patch whose tests name the uid and the generation that were seen. So the server itself refuses it when
the object is another one by now, or its spec was changed, and nothing that somebody else did is overwritten.
"""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import ceil, floor
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from sre_platform.catalog.domain import ENVIRONMENT_NAME, Handle, Target
from sre_platform.clients.kubeconfig import Access
from sre_platform.clients.kubernetes import Cluster, Refused, Throttled, Write
from sre_platform.guardrails.domain import Reach
from sre_platform.kernel.errors import Malformed, Rejected, Untouched
from sre_platform.kernel.redaction import HIDDEN, redact
from sre_platform.remediation.domain import Effect, Seen

NAME = r"^([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?)?$"  # RFC 1123, or empty
GROUPS = {
    "Deployment": "apis/apps/v1",
    "StatefulSet": "apis/apps/v1",
    "DaemonSet": "apis/apps/v1",
    "Rollout": "apis/argoproj.io/v1alpha1",
}
BUILT_IN = ("Deployment", "StatefulSet", "DaemonSet")
POD_EVIDENCE = "what the running pods hold: memory, open connections, the logs of their containers"
UNSET = "25%"  # of maxUnavailable: the API's default for Deployments and Rollouts
# Names of variables besides those that are redacted everywhere: in other texts these words mean much else.
TELLING = re.compile(r"(?i)(^|[_.-])(pass|dsn|salt)([_.-]|$)|(^|[_.-])key$|pwd|passphrase|private")
ENDED = ("Succeeded", "Failed")  # phases of a pod that never runs again
CHANGED = (409, 422)  # a conflict; a test of the patch that failed, or a change that is not valid


class Kubernetes(Handle):
    """The workload that a service is, and the kubeconfig (a path, or the name of a variable that holds it) to reach it.

    ``in_cluster`` takes the service account of the pod that the platform runs in; exactly one of the three is given.
    ``allow_exec`` lets the kubeconfig's credential plugin, a program, run. ``container`` is empty for the only one.
    """

    handle: ClassVar[str] = "kubernetes"
    kubeconfig: str = Field("", max_length=1000)
    kubeconfig_env: str = Field("", pattern=f"{ENVIRONMENT_NAME}|^$")
    in_cluster: bool = False
    context: str = Field("", max_length=253)
    allow_exec: bool = False
    namespace: str = Field("default", pattern=NAME, min_length=1)
    kind: Literal["Deployment", "StatefulSet", "DaemonSet", "Rollout"] = "Deployment"
    name: str = Field(pattern=NAME, min_length=1)
    container: str = Field("", pattern=NAME)

    @model_validator(mode="after")
    def _one_way_in(self) -> "Kubernetes":
        if bool(self.kubeconfig) + bool(self.kubeconfig_env) + self.in_cluster != 1:
            raise ValueError("give exactly one of kubeconfig, kubeconfig_env and in_cluster")
        return self

    @property
    def cluster(self) -> Cluster:
        return Cluster(Access(self.kubeconfig, self.kubeconfig_env, self.in_cluster, self.context, self.allow_exec))

    @property
    def path(self) -> str:
        return f"/{GROUPS[self.kind]}/namespaces/{self.namespace}/{self.kind.lower()}s/{self.name}"

    def all(self, group: str, plural: str) -> str:
        """The path of all objects of one sort in the service's namespace."""
        return f"/{group}/namespaces/{self.namespace}/{plural}"


@dataclass(frozen=True)
class Workload:
    """A workload as the server showed it at one moment. Raises Malformed where the answer lacks what it must have."""

    held: Kubernetes
    cluster: Cluster
    found: Mapping[str, Any]

    @classmethod
    def of(cls, target: Target, *kinds: str) -> "Workload":
        """The service's workload now. Raises Rejected when it is of another kind, gone, or going."""
        held = target.held_by(Kubernetes)
        if held.kind not in kinds:
            raise Rejected(f"{held.kind} {held.name} is not one of {', '.join(kinds)}, so this cannot be done to it.")
        cluster = held.cluster
        workload = cls(held, cluster, cluster.get(held.path))
        if part(workload.found, "metadata").get("deletionTimestamp"):
            raise Rejected(f"{workload} is being deleted.")
        return workload

    def __str__(self) -> str:
        return f"{self.held.kind} {self.held.namespace}/{self.held.name}"

    @property
    def uid(self) -> str:
        return str(needed(self.found, "metadata", "uid"))

    @property
    def generation(self) -> int:
        return int(needed(self.found, "metadata", "generation"))

    @property
    def identity(self) -> dict[str, Any]:
        """What an aim keeps to know the workload, and the spec that was seen, again."""
        return {"uid": self.uid, "generation": self.generation}

    @property
    def spec(self) -> Mapping[str, Any]:
        return part(self.found, "spec")

    @property
    def status(self) -> Mapping[str, Any]:
        return part(self.found, "status")

    @property
    def template(self) -> dict[str, Any]:
        found = self.spec.get("template")
        if not isinstance(found, dict) or not found.get("spec"):
            raise Rejected(f"{self} has no pod template of its own.")
        return found

    @property
    def annotations(self) -> Mapping[str, str]:
        """The pod template's annotations."""
        return part(self.template, "metadata", "annotations")

    @property
    def selector(self) -> str:
        """The label selector of its pods, as a query."""
        return as_query(part(self.spec, "selector"))

    @property
    def replicas(self) -> int:
        if self.held.kind == "DaemonSet":
            return int(self.status.get("desiredNumberScheduled") or 0)
        wanted = self.spec.get("replicas")
        return 1 if wanted is None else int(wanted)

    @property
    def ready(self) -> int:
        return int(self.status.get("numberReady" if self.held.kind == "DaemonSet" else "readyReplicas") or 0)

    @property
    def seen_by_controller(self) -> bool:
        """Whether the controller has acted on the newest spec; Argo Rollouts writes a string."""
        return str(self.status.get("observedGeneration") or "0") == str(self.generation)

    @property
    def rolled_out(self) -> bool:
        """Whether all of its pods run the newest template and are ready."""
        updated = self.status.get("updatedNumberScheduled" if self.held.kind == "DaemonSet" else "updatedReplicas")
        surplus = int(self.status.get("replicas") or self.replicas) - self.replicas
        return self.seen_by_controller and int(updated or 0) == self.ready == self.replicas and surplus == 0

    def rolls(self) -> None:
        """Raises Rejected when a change of the template would not replace its pods now."""
        if self.spec.get("paused"):
            raise Rejected(f"{self} is paused, so a change of it would not be rolled out.")
        if part(self.spec, "updateStrategy").get("type") == "OnDelete":
            raise Rejected(f"{self} replaces its pods only when they are deleted (OnDelete).")

    def reach(self) -> Reach:
        """What a rolling replacement takes: ``maxUnavailable`` of the ready pods, or all when it recreates them."""
        return Reach(total=self.replicas, ready=self.ready, takes=min(self.ready, self._unavailable()))

    def _unavailable(self) -> int:
        strategy = part(self.spec, "strategy" if self.held.kind in ("Deployment", "Rollout") else "updateStrategy")
        if strategy.get("type") == "Recreate":
            return self.replicas
        rolling = part(strategy, "canary" if self.held.kind == "Rollout" else "rollingUpdate")
        if self.held.kind == "DaemonSet":
            return max(1, resolved(rolling.get("maxUnavailable", 1), self.replicas, up=True))
        if self.held.kind == "StatefulSet":
            return max(1, resolved(rolling.get("maxUnavailable", 1), self.replicas, up=True))
        away = resolved(rolling.get("maxUnavailable", UNSET), self.replicas, up=False)
        surge = resolved(rolling.get("maxSurge", UNSET), self.replicas, up=True)
        return away if away or surge else 1

    def container(self) -> tuple[int, dict[str, Any]]:
        """The container that the handle names, or the only one, and its place. Raises Rejected when it is not clear."""
        listed = [item for item in self.template["spec"].get("containers") or () if isinstance(item, dict)]
        if not self.held.container and len(listed) != 1:
            raise Rejected(f"{self} has {len(listed)} containers; name one in the catalog's handle.")
        for place, item in enumerate(listed):
            if self.held.container in ("", item.get("name")):
                return place, item
        raise Rejected(f"{self} has no container {self.held.container}.")

    def patch(self, aim: Mapping[str, Any], *operations: dict[str, Any], sub: str = "") -> Write:
        """The JSON Patch that makes a change to what ``aim`` knew, and to nothing else."""
        return Write("PATCH", self.held.path + sub, [*locks(aim), *operations])

    def seen(self, aim: Mapping[str, Any], done: bool) -> Seen:
        """Done, or not done while nothing has changed; of a spec that was changed otherwise nobody knows."""
        if self.uid != aim["uid"]:
            return Seen.UNKNOWN
        if done:
            return Seen.DONE
        return Seen.NOT_DONE if self.generation == aim["generation"] else Seen.UNKNOWN


def part(found: Any, *names: str) -> Mapping[str, Any]:
    """The object at these names, or an empty one where there is none."""
    for name in names:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def needed(found: Mapping[str, Any], *names: str) -> Any:
    """The value at these names. Raises Malformed when the server left it out."""
    value = part(found, *names[:-1]).get(names[-1])
    if value in (None, ""):
        raise Malformed(f"Kubernetes showed an object without {'.'.join(names)}.")
    return value


def expects(path: str, value: Any) -> dict[str, Any]:
    """The operation that fails the whole patch when there is another value by then."""
    return {"op": "test", "path": path, "value": value}


def locks(aim: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Tests that fail when the object is another one, or its spec was changed, since the aim was made."""
    return [expects("/metadata/uid", aim["uid"]), expects("/metadata/generation", aim["generation"])]


def pointer(name: str) -> str:
    """One reference token of a JSON Pointer (RFC 6901)."""
    return name.replace("~", "~0").replace("/", "~1")


def resolved(share: Any, total: int, *, up: bool) -> int:
    """An IntOrString such as ``25%`` or 2, of ``total``. Raises Malformed."""
    try:
        if isinstance(share, str) and share.endswith("%"):
            exact = int(share[:-1]) * total / 100
            return ceil(exact) if up else floor(exact)
        return int(share)
    except (TypeError, ValueError) as error:
        raise Malformed(f"Kubernetes showed {share!r} as a number or a share.") from error


def as_query(selector: Mapping[str, Any]) -> str:
    """A LabelSelector as the query that lists what it selects. Raises Rejected for an empty one: it selects all."""
    words = {"In": "{} in ({})", "NotIn": "{} notin ({})", "Exists": "{}", "DoesNotExist": "!{}"}
    said = [f"{key}={value}" for key, value in part(selector, "matchLabels").items()]
    for rule in selector.get("matchExpressions") or ():
        if rule.get("operator") not in words:
            raise Malformed(f"Kubernetes showed a selector with the operator {rule.get('operator')!r}.")
        said.append(words[rule["operator"]].format(rule.get("key"), ",".join(rule.get("values") or ())))
    if not said:
        raise Rejected("A workload whose selector is empty is not touched.")
    return ",".join(said)


def digest(value: Any) -> str:
    """A short name for a JSON value: equal values, equal digests."""
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()[:32]


def secret(name: str) -> bool:
    """Whether a variable's name says that its value is a secret."""
    return bool(redact({name: "x"})[name] == HIDDEN or TELLING.search(name))


def effect(write: Write) -> Effect:
    """A write as people see it, and as it is stored: without secrets, which anything a whole container has may be."""
    return Effect(write.method, write.path, _hidden(write.body))


def _hidden(value: Any) -> Any:
    if isinstance(value, dict):
        if "image" in value:
            return _without_words(value)
        telling = "value" in value and isinstance(value.get("name"), str) and secret(value["name"])
        return {key: HIDDEN if telling and key == "value" else _hidden(item) for key, item in value.items()}
    return [_hidden(item) for item in value] if isinstance(value, list) else value


def _without_words(container: Mapping[str, Any]) -> dict[str, Any]:
    """A container of a template that is written back: what its variables and its command line say is nobody's news."""
    shown = {key: HIDDEN if key in ("command", "args") else value for key, value in container.items()}
    env = [{**item, "value": HIDDEN} if item.get("value") else item for item in container.get("env") or ()]
    return shown | ({"env": env} if env else {})


def put(workload: Workload, write: Write, confirm: Callable[[], None]) -> None:
    """Make a change, right after asking whether it may still be made. Raises Untouched when the server says no."""
    confirm()
    try:
        workload.cluster.send(write)
    except (Refused, Throttled) as error:
        faster = isinstance(error, Refused) and error.status in CHANGED
        why = f"{workload} was changed meanwhile, or may not be so; nothing was done. " if faster else ""
        raise Untouched(f"{why}{error}") from error


def controlled(found: Mapping[str, Any]) -> str:
    """The uid of an object's controller, or the empty string when nothing would replace it."""
    owners = part(found, "metadata").get("ownerReferences") or ()
    return next((str(owner.get("uid", "")) for owner in owners if owner.get("controller")), "")


def pods(workload: Workload) -> list[dict[str, Any]]:
    """The workload's own pods: selected by it and, directly or by its ReplicaSets, controlled by it.

    Without those that have ended: what a kubelet evicted stays listed as Failed, long after another one took its place.
    """
    held, owners = workload.held, {workload.uid}
    if held.kind in ("Deployment", "Rollout"):
        sets = workload.cluster.items(held.all("apis/apps/v1", "replicasets"), workload.selector)
        owners |= {str(needed(item, "metadata", "uid")) for item in sets if controlled(item) == workload.uid}
    selected = workload.cluster.items(held.all("api/v1", "pods"), workload.selector)
    return [pod for pod in selected if controlled(pod) in owners and part(pod, "status").get("phase") not in ENDED]
