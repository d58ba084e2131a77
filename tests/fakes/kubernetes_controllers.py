"""What the controllers of the fake cluster do when they are let: ReplicaSets with revisions, pods, and the status."""

import hashlib
import json
from copy import deepcopy
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.fakes.kubernetes import FakeKubernetes

SETS = {
    "Deployment": ("deployment.kubernetes.io/revision", "pod-template-hash"),
    "Rollout": ("rollout.argoproj.io/revision", "rollouts-pod-template-hash"),
}


def settle(fake: "FakeKubernetes") -> None:
    """All workloads have the pods that their template wants; the old ones are gone."""
    for path, found in list(fake.objects.items()):
        if found["kind"] in SETS:
            _settle_with_sets(fake, path, deepcopy(found))
        elif found["kind"] in ("StatefulSet", "DaemonSet"):
            fresh = deepcopy(found)
            ready = _pods(fake, fresh, fresh, fresh["spec"]["template"], _wanted(fresh))
            fresh["status"] = _status(fresh, ready)
            fake._store(path, fresh)


def _settle_with_sets(fake: "FakeKubernetes", path: str, found: dict[str, Any]) -> None:
    number_key, hash_key = SETS[found["kind"]]
    namespace = found["metadata"]["namespace"]
    prefix = f"/apis/apps/v1/namespaces/{namespace}/replicasets"
    own = {p: s for p, s in fake.under(prefix).items() if _owner(s) == found["metadata"]["uid"]}
    template = defaulted(found["spec"]["template"]) if found["kind"] == "Rollout" else found["spec"]["template"]
    name = hashlib.sha256(json.dumps(template, sort_keys=True).encode()).hexdigest()[:8]
    numbers = {p: int(s["metadata"]["annotations"][number_key]) for p, s in own.items()}
    mine = f"{prefix}/{found['metadata']['name']}-{name}"
    newest = max(numbers.values(), default=0)
    number = newest if numbers.get(mine) == newest and newest else newest + 1
    if mine not in own:
        template = deepcopy(template)
        template["metadata"]["labels"][hash_key] = name
        metadata = {"ownerReferences": [_reference(found)], "labels": template["metadata"]["labels"]}
        fake.create(mine, "ReplicaSet", {"metadata": metadata, "spec": {"template": template}})
    fresh = deepcopy(fake.objects[mine])
    known = fresh["metadata"].setdefault("annotations", {})
    if known.get(number_key, str(number)) != str(number):  # it is gone back to
        known[f"{number_key}-history"] = ",".join(filter(None, (known.get(f"{number_key}-history"), known[number_key])))
    known[number_key] = str(number)
    fake._store(mine, fresh)
    ready = _pods(fake, found, fresh, fresh["spec"]["template"], _wanted(found))
    found["metadata"].setdefault("annotations", {})[number_key] = str(number)
    was = found.get("status", {})
    found["status"] = _status(found, ready)
    if found["kind"] == "Rollout":  # aborted or promoted, it keeps that and its stable release
        told = {key: was[key] for key in ("abort", "promoteFull") if was.get(key)}
        found["status"] |= told | {"currentPodHash": name, "stableRS": was["stableRS"] if told else name}
    fake._store(path, found)


def defaulted(template: dict[str, Any]) -> dict[str, Any]:
    """As the API server stores a built-in object's template; it has no defaults for those of custom resources."""
    of_container = {"imagePullPolicy": "IfNotPresent", "terminationMessagePath": "/dev/termination-log"}
    containers = [of_container | item for item in template["spec"]["containers"]]
    return template | {"spec": {"restartPolicy": "Always", **template["spec"], "containers": containers}}


def _wanted(found: dict[str, Any]) -> int:
    return int(found["spec"].get("replicas", 1))


def _owner(found: dict[str, Any]) -> str:
    return next((str(owner["uid"]) for owner in found["metadata"].get("ownerReferences", ())), "")


def _reference(owner: dict[str, Any]) -> dict[str, Any]:
    metadata = owner["metadata"]
    return {"kind": owner["kind"], "name": metadata["name"], "uid": metadata["uid"], "controller": True}


def _pods(
    fake: "FakeKubernetes", workload: dict[str, Any], owner: dict[str, Any], template: dict[str, Any], wanted: int
) -> int:
    """Replace the workload's pods by ones of this template, as many as wanted; how many are ready."""
    prefix = f"/api/v1/namespaces/{workload['metadata']['namespace']}/pods"
    name, stamp = workload["metadata"]["name"], json.dumps(template, sort_keys=True)
    kept = 0
    for path, pod in list(fake.under(prefix).items()):
        if pod["metadata"]["labels"].get("app") != name:
            continue
        if pod["template"] == stamp and kept < wanted and pod["metadata"].get("ownerReferences"):
            kept += 1
        else:
            del fake.objects[path]
    for _ in range(wanted - kept):
        number = next(fake.numbers)
        metadata = {"labels": template["metadata"]["labels"], "ownerReferences": [_reference(owner)]}
        fine = template["spec"]["containers"][0]["image"] not in fake.broken_images
        status = {"conditions": [{"type": "Ready", "status": "True" if fine else "False"}]}
        body = {"metadata": metadata, "spec": {"nodeName": f"node-{number % 3 + 1}"}, "status": status}
        fake.create(f"{prefix}/{name}-{number:04d}", "Pod", body | {"template": stamp})
    own = [pod for pod in fake.under(prefix).values() if pod["metadata"]["labels"].get("app") == name]
    return sum(pod["status"]["conditions"][0]["status"] == "True" for pod in own)


def _status(found: dict[str, Any], ready: int) -> dict[str, Any]:
    wanted, seen = _wanted(found), found["metadata"]["generation"]
    if found["kind"] == "DaemonSet":
        counts = {"desiredNumberScheduled": wanted, "numberReady": ready, "updatedNumberScheduled": wanted}
        return counts | {"observedGeneration": seen}
    counts = {"replicas": wanted, "updatedReplicas": wanted, "readyReplicas": ready}
    return counts | {"observedGeneration": str(seen) if found["kind"] == "Rollout" else seen}
