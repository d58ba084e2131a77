"""A Kubernetes API server at the wire: objects with uids, resource versions and generations, and what it refuses.

As https://kubernetes.io/docs/reference/using-api/api-concepts/ says it: lists with label selectors, JSON Patch
with its tests (422), the status and scale subresources, ``dryRun=All``, evictions with preconditions (409) and
disruption budgets (429), and tokens (401, 403). ``settle`` is its controllers; nothing moves before it is called.
"""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from itertools import count
from pathlib import Path
from threading import Event, RLock
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml

from sre_platform.catalog.domain import Target
from tests.fakes.kubernetes_controllers import settle
from tests.fakes.wire import Answer, Call, Wire

TOKEN, READER = "t0ken-of-the-platform", "t0ken-that-only-reads"
WITHOUT_GENERATION = ("Pod", "Node", "ReplicaSetList")
APPS, ARGO, CORE = "/apis/apps/v1", "/apis/argoproj.io/v1alpha1", "/api/v1"
NAMESPACE = "shop"


class Refusal(Exception):
    """What the server answers with a Status object."""

    def __init__(self, code: int, message: str) -> None:
        self.code, self.message = code, message


class FakeKubernetes:
    """The fake's inside. ``writes`` are the changes that were made, in order, as (method, path, body as it came).

    ``rehearsed`` are the dry runs, ``requests`` all as (method, path with query). ``fail`` maps a method to what goes
    wrong with its next request: ``die_before`` and ``die_after`` (a 500 before or after the effect), ``hang``,
    ``garbage``, ``huge``. ``meanwhile`` is called once, right before the next write: somebody else. ``watch`` is called
    with each request's number and ``received`` or ``answered``, in the server's thread.
    """

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, Any]] = {}
        self.writes: list[tuple[str, str, bytes]] = []
        self.rehearsed: list[tuple[str, str]] = []
        self.requests: list[tuple[str, str]] = []
        self.fail: dict[str, str] = {}
        self.meanwhile: Callable[[], None] | None = None
        self.watch: Callable[[int, str], None] = lambda _number, _moment: None
        self.broken_images: set[str] = set()
        self.ended = Event()
        self.lock = RLock()
        self.versions = count(1000)
        self.numbers = count(1)
        self.url = ""

    # What tests and controllers do to objects.

    def create(self, path: str, kind: str, body: dict[str, Any]) -> dict[str, Any]:
        """Put an object at its path, as if a user had created it."""
        found = deepcopy(body)
        names = {"name": path.rpartition("/")[2], "uid": f"uid-{next(self.numbers):04d}"}
        parts = path.split("/namespaces/")
        names |= {"namespace": parts[1].split("/")[0]} if len(parts) == 2 else {}
        found |= {"kind": kind, "metadata": {**found.get("metadata", {}), **names}}
        if kind not in WITHOUT_GENERATION:
            found["metadata"]["generation"] = 1
        self._store(path, found)
        return found

    def change(self, path: str, do: Callable[[dict[str, Any]], Any]) -> None:
        """Somebody else changes an object."""
        with self.lock:
            found = deepcopy(self.objects[path])
            do(found)
            self._update(path, found)

    def delete(self, path: str) -> None:
        with self.lock:
            del self.objects[path]

    def settle(self) -> None:
        """Let the controllers do all that they have to."""
        with self.lock:
            settle(self)

    def under(self, prefix: str) -> dict[str, dict[str, Any]]:
        """The objects of a collection, by path."""
        return {path: item for path, item in sorted(self.objects.items()) if path.rpartition("/")[0] == prefix}

    def _store(self, path: str, found: dict[str, Any]) -> None:
        found["metadata"]["resourceVersion"] = str(next(self.versions))
        self.objects[path] = found

    def _update(self, path: str, found: dict[str, Any]) -> None:
        before = self.objects[path]
        if found["kind"] not in WITHOUT_GENERATION and _counted(found) != _counted(before):
            found["metadata"]["generation"] = before["metadata"]["generation"] + 1
        self._store(path, found)

    # The wire.

    def answer(self, call: Call) -> Answer:
        with self.lock:
            self.requests.append((call.method, call.path))
            number = len(self.requests)
        self.watch(number, "received")
        answer = self._guarded(call)
        self.watch(number, "answered")
        return answer

    def _guarded(self, call: Call) -> Answer:
        failure = self.fail.pop(call.method, "")
        if failure == "hang":
            self.ended.wait(30)
        if failure in ("hang", "die_before"):
            return _status(500, "died before")
        if failure == "garbage":
            return Answer(200, b"<html>not the server you are looking for</html>")
        if failure == "huge":
            return Answer(200, b" " * (17 * 1024 * 1024))
        try:
            with self.lock:
                found = self._respond(call)
        except Refusal as refusal:
            return _status(refusal.code, refusal.message)
        if failure == "die_after":
            return _status(500, "died after")
        return Answer(201 if call.method == "POST" else 200, json.dumps(found).encode(), _JSON)

    def _respond(self, call: Call) -> Any:
        self._authorize(call)
        parts = urlsplit(call.path)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        if call.method == "GET":
            return self._get(parts.path, query)
        if self.meanwhile and "dryRun" not in query:
            somebody, self.meanwhile = self.meanwhile, None
            somebody()
        if call.method == "PATCH":
            return self._patch(call, parts.path, dry="dryRun" in query)
        if call.method == "POST" and parts.path.endswith("/eviction"):
            return self._evict(call, parts.path.removesuffix("/eviction"))
        raise Refusal(405, "the server does not allow this method on the requested resource")

    def _authorize(self, call: Call) -> None:
        token = call.headers.get("authorization", "").partition(" ")[2]
        if token not in (TOKEN, READER):
            raise Refusal(401, "Unauthorized")
        if token == READER and call.method != "GET":
            path = urlsplit(call.path).path
            raise Refusal(403, f'{path} is forbidden: User "reader" cannot {call.method.lower()} this resource')

    def _found(self, path: str) -> dict[str, Any]:
        if path not in self.objects:
            plural, name = path.rsplit("/", 2)[1:]
            raise Refusal(404, f'{plural} "{name}" not found')
        return deepcopy(self.objects[path])

    def _get(self, path: str, query: dict[str, str]) -> Any:
        if re.fullmatch(r".*/namespaces/[^/]+/[a-z]+|/api/v1/nodes", path):
            chosen = [item for item in self.under(path).values() if selected(item, query.get("labelSelector", ""))]
            limit = int(query.get("limit", "0")) or len(chosen)
            more = {"continue": "more"} if len(chosen) > limit else {}
            listed = [{key: value for key, value in item.items() if key != "kind"} for item in chosen[:limit]]
            return {"kind": "List", "metadata": more, "items": deepcopy(listed)}  # items do not say what they are
        return self._found(path)

    def _patch(self, call: Call, path: str, *, dry: bool) -> Any:
        if call.headers.get("content-type") != "application/json-patch+json":
            raise Refusal(415, f"the body of the request was in an unknown format: {call.headers.get('content-type')}")
        sub = next((name for name in ("scale", "status") if path.endswith(f"/{name}")), "")
        own = path.removesuffix(f"/{sub}") if sub else path
        before = self._found(own)
        if sub == "scale":
            shown = _scale(before)
            after = deepcopy(before)
            after["spec"]["replicas"] = patched(shown, call.json())["spec"].get("replicas", 0)
        else:
            after = patched(before, call.json())
            after = before | {"status": after["status"]} if sub else after | {"status": before.get("status", {})}
        validate(after)
        if dry:
            self.rehearsed.append((call.method, path))
            return after
        self.writes.append((call.method, path, call.body))
        self._update(own, after)
        return _scale(after) if sub == "scale" else after

    def _evict(self, call: Call, path: str) -> Any:
        pod, wanted = self._found(path), call.json()
        uid = wanted.get("deleteOptions", {}).get("preconditions", {}).get("uid")
        if uid and uid != pod["metadata"]["uid"]:
            raise Refusal(409, f"the UID in the precondition ({uid}) does not match the UID in record")
        for budget in self.under(f"/apis/policy/v1/namespaces/{NAMESPACE}/poddisruptionbudgets").values():
            labels = budget["spec"]["selector"]["matchLabels"]
            if labels.items() <= pod["metadata"]["labels"].items() and budget["status"]["disruptionsAllowed"] < 1:
                raise Refusal(429, "Cannot evict pod as it would violate the pod's disruption budget.")
        self.writes.append((call.method, f"{path}/eviction", call.body))
        del self.objects[path]
        return {"kind": "Status", "status": "Success"}


def _counted(found: dict[str, Any]) -> tuple[Any, Any]:
    """What a generation counts: changes of the spec, and of a Deployment's annotations, too."""
    return found.get("spec"), found["metadata"].get("annotations") if found["kind"] == "Deployment" else None


_JSON = {"Content-Type": "application/json"}


def _status(code: int, message: str) -> Answer:
    body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "code": code}
    return Answer(code, json.dumps(body).encode(), _JSON)


def _scale(found: dict[str, Any]) -> dict[str, Any]:
    """The scale subresource: it has no generation, and a count of none is left out."""
    metadata = {key: found["metadata"][key] for key in ("name", "namespace", "uid", "resourceVersion")}
    if found["kind"] == "Rollout" and "replicas" not in found["spec"]:
        raise Refusal(500, 'the spec replicas field ".spec.replicas" does not exist')
    replicas = found["spec"].get("replicas", 1)
    return {"kind": "Scale", "metadata": metadata, "spec": {"replicas": replicas} if replicas else {}}


def selected(found: dict[str, Any], selector: str) -> bool:
    labels = found["metadata"].get("labels", {})
    for rule in re.split(r",(?![^(]*\))", selector) if selector else ():
        if several := re.fullmatch(r"(\S+) in \((.*)\)", rule):
            if labels.get(several[1]) not in several[2].split(","):
                return False
        elif labels.get(rule.partition("=")[0]) != rule.partition("=")[2]:
            return False
    return True


def patched(found: dict[str, Any], operations: list[dict[str, Any]]) -> dict[str, Any]:
    """JSON Patch (RFC 6902) as the API server applies it: a test of null holds for what is not there."""
    after: dict[str, Any] = deepcopy(found)
    for operation in operations:
        path = operation["path"]
        *parents, last = [name.replace("~1", "/").replace("~0", "~") for name in path.split("/")[1:]]
        holder: Any = after
        for name in parents:
            try:
                holder = holder[int(name)] if isinstance(holder, list) else holder[name]
            except (KeyError, IndexError) as error:
                raise Refusal(
                    422, f"{operation['op']} operation does not apply: doc is missing path: {path}"
                ) from error
        _operate(operation, holder, last)
    return after


def _operate(operation: dict[str, Any], holder: Any, last: str) -> None:
    key: Any = last if isinstance(holder, dict) or last == "-" else int(last)
    there = key in holder if isinstance(holder, dict) else key != "-" and key < len(holder)
    now = holder[key] if there else None
    if operation["op"] == "test":
        if now != operation["value"] or type(now) is not type(operation["value"]):
            raise Refusal(422, f"testing value {operation['path']} failed: test failed")
    elif operation["op"] == "add" and isinstance(holder, list):
        holder.insert(len(holder) if key == "-" else key, operation["value"])
    elif operation["op"] == "add":
        holder[key] = operation["value"]
    elif not there:
        raise Refusal(422, f"{operation['op']} operation does not apply: doc is missing key: {operation['path']}")
    elif operation["op"] == "replace":
        holder[key] = operation["value"]
    elif operation["op"] == "remove":
        del holder[key]
    else:
        raise Refusal(422, f"unexpected kind: {operation['op']}")


def validate(found: dict[str, Any]) -> None:
    """The one rule of the many that tests need: no container may request more than its limit."""
    for container in found.get("spec", {}).get("template", {}).get("spec", {}).get("containers", ()):
        resources = container.get("resources", {})
        for name, limit in resources.get("limits", {}).items():
            request = resources.get("requests", {}).get(name)
            if request and _bytes(request) > _bytes(limit):
                raise Refusal(422, f'Invalid value: "{request}": must be less than or equal to {name} limit of {limit}')


def _bytes(amount: str) -> float:
    units = {"Mi": 2.0**20, "Gi": 2.0**30, "m": 0.001, "": 1.0}
    number, unit = re.fullmatch(r"([0-9.]+)(\D*)", amount).groups()  # type: ignore[union-attr]
    return float(number) * units[unit]


def kubeconfig(folder: Path, url: str, token: str = TOKEN, name: str = "kubeconfig", **user: Any) -> str:
    """A kubeconfig file for the server; its path."""
    text = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "contexts": [{"name": "test", "context": {"cluster": "fake", "user": "platform"}}],
        "clusters": [{"name": "fake", "cluster": {"server": url}}],
        "users": [{"name": "platform", "user": user or {"token": token}}],
    }
    path = folder / name
    path.write_text(yaml.safe_dump(text))
    return str(path)


def template(image: str, **container: Any) -> dict[str, Any]:
    """A pod template of the service ``payments``."""
    one = {"name": "app", "image": image, **container}
    return {"metadata": {"labels": {"app": "payments"}}, "spec": {"containers": [one], "futureField": {"kept": True}}}


class Shop:
    """The service ``payments`` on a fake cluster: v1 ran before, v2 runs, three pods of it, three nodes."""

    def __init__(self, fake: FakeKubernetes, folder: Path, kind: str = "Deployment") -> None:
        self.fake, self.folder, self.kind = fake, folder, kind
        self.config = kubeconfig(folder, fake.url)
        group = ARGO if kind == "Rollout" else APPS
        self.path = f"{group}/namespaces/{NAMESPACE}/{kind.lower()}s/payments"
        self.pods_path = f"{CORE}/namespaces/{NAMESPACE}/pods"
        spec = {"replicas": 3, "selector": {"matchLabels": {"app": "payments"}}, "template": template("payments:v1")}
        fake.create(self.path, kind, {"spec": spec})
        for number in range(1, 4):
            ready = {"conditions": [{"type": "Ready", "status": "True"}]}
            fake.create(f"{CORE}/nodes/node-{number}", "Node", {"spec": {}, "status": ready})
        fake.settle()
        self.deploy("payments:v2")
        fake.requests.clear()

    def deploy(self, image: str) -> None:
        """A new release, rolled out."""
        self.fake.change(self.path, lambda found: found["spec"].update(template=template(image)))
        self.fake.settle()

    @property
    def found(self) -> dict[str, Any]:
        return self.fake.objects[self.path]

    @property
    def container(self) -> dict[str, Any]:
        return self.found["spec"]["template"]["spec"]["containers"][0]

    @property
    def pods(self) -> dict[str, dict[str, Any]]:
        """The pods by name."""
        return {item["metadata"]["name"]: item for item in self.fake.under(self.pods_path).values()}

    def unready(self, number: int = 0, restarts: int = 5, node: str = "") -> str:
        """Make one pod not ready; its name."""
        name = sorted(self.pods)[number]

        def crash(pod: dict[str, Any]) -> None:
            pod["status"]["conditions"] = [{"type": "Ready", "status": "False"}]
            pod["status"]["containerStatuses"] = [{"restartCount": restarts}]
            pod["spec"]["nodeName"] = node or pod["spec"]["nodeName"]

        self.fake.change(f"{self.pods_path}/{name}", crash)
        return name

    def budget(self, allowed: int, healthy: int = 2, desired: int = 3, **spec: Any) -> None:
        """A disruption budget over the service's pods."""
        selector = {"selector": {"matchLabels": {"app": "payments"}}}
        status = {"disruptionsAllowed": allowed, "currentHealthy": healthy, "desiredHealthy": desired}
        path = f"/apis/policy/v1/namespaces/{NAMESPACE}/poddisruptionbudgets/payments"
        self.fake.create(
            path, "PodDisruptionBudget", {"spec": selector | spec, "status": status | {"observedGeneration": 1}}
        )

    def handle(self, **changes: Any) -> dict[str, Any]:
        known = {"kubeconfig": self.config, "namespace": NAMESPACE, "kind": self.kind, "name": "payments"}
        return known | changes

    def target(self, **changes: Any) -> Target:
        return Target("payments", handles={"kubernetes": self.handle(**changes)})


@contextmanager
def serving_kubernetes() -> Iterator[FakeKubernetes]:
    """A fake API server on a free loopback port."""
    fake = FakeKubernetes()
    with Wire(fake.answer).running() as wire:
        fake.url = wire.url
        try:
            yield fake
        finally:
            fake.ended.set()


@contextmanager
def kube_shop(folder: Path, kind: str = "Deployment") -> Iterator[Shop]:
    with serving_kubernetes() as fake:
        yield Shop(fake, folder, kind)
