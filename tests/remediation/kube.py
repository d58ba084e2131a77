"""Every action on Kubernetes in a situation where it makes sense, and how a step of it is written and carried out."""

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from sre_platform.clients.supervisor import Supervisor
from sre_platform.kernel.errors import Rejected
from sre_platform.remediation import steps
from sre_platform.remediation.domain import World
from tests.fakes.kubernetes import Shop, serving_kubernetes
from tests.fakes.kubernetes_controllers import defaulted
from tests.fakes.leases import incident, take
from tests.scenes import Scene

WORLD = World(Supervisor(""), {})


def nothing() -> None:
    """A lease that always holds."""


def action(name: str) -> Any:
    return steps.ACTIONS.get(name)


def prepare(name: str, shop: Shop, **params: Any) -> Any:
    """What the action would do. Raises what it raises."""
    return steps.prepare(name, params, shop.target(), WORLD)


def apply(name: str, shop: Shop, aim: Any, confirm: Callable[[], None] = nothing) -> str:
    return action(name).apply(shop.target(), aim, WORLD, confirm)


def look(name: str, shop: Shop, aim: Any) -> Any:
    return action(name).look(shop.target(), aim, WORLD)


def refused(name: str, shop: Shop, why: str, **params: Any) -> bool:
    """Whether nothing was written, after the action refused, which it must, and said why."""
    with pytest.raises(Rejected, match=why):
        prepare(name, shop, **params)
    return shop.fake.writes == []


def spec(shop: Shop, **values: Any) -> None:
    """The workload's spec is another one."""
    shop.fake.change(shop.path, lambda found: found["spec"].update(values))


def status(shop: Shop, **values: Any) -> None:
    shop.fake.change(shop.path, lambda found: found["status"].update(values))


def written(shop: Shop, name: str, **params: Any) -> Any:
    """The step, prepared and stored."""
    fields = {"incident_id": incident().pk, "cause": "c", "action": name, "target": "payments", "params": params}
    step = steps.from_prepared(prepare(name, shop, **params), **fields)
    assert steps.write(step)
    return step


def carry(shop: Shop, step: Any, lease: Any = None) -> Any:
    step.refresh_from_db()
    return steps.carry_out(step, shop.target(), WORLD, lease or take(step.incident_id))


def other_label(found: dict[str, Any]) -> None:
    """Somebody else deploys: the spec is another one, and the generation moves."""
    found["spec"]["template"]["metadata"]["labels"]["somebody"] = "else"


def _canary(shop: Shop) -> None:
    """A third release is being rolled out; the second is the stable one."""
    stable = shop.found["status"]["currentPodHash"]
    shop.deploy("payments:v3")
    pause = [{"reason": "CanaryPauseStep", "startTime": "2026-11-21T20:00:00Z"}]
    shop.fake.change(
        shop.path,
        lambda found: found["status"].update(stableRS=stable, pauseConditions=pause, controllerPause=True),
    )


def _aborted(shop: Shop) -> None:
    _canary(shop)
    shop.fake.change(shop.path, lambda found: found["status"].update(abort=True))


def _unready(shop: Shop) -> None:
    shop.unready()


def _scaled(shop: Shop) -> None:
    """Somebody else scales, which is what scaling is locked by."""
    shop.fake.change(shop.path, lambda found: found["spec"].update(replicas=4))


def _redeployed(shop: Shop) -> None:
    shop.fake.change(shop.path, other_label)


def _pod_replaced(shop: Shop) -> None:
    """The pod is another one of the same name, as a StatefulSet's are."""
    for path, pod in shop.fake.under(shop.pods_path).items():
        if pod["status"]["conditions"][0]["status"] == "False":
            shop.fake.create(path, "Pod", pod)


def _node_cordoned(shop: Shop) -> None:
    path = "/api/v1/nodes/node-1"
    with suppress(KeyError):
        shop.fake.create(path, "Node", shop.fake.objects[path])


@dataclass(frozen=True)
class Case:
    """One action: what it is asked, on what kind of workload, in which state, and who interferes with it."""

    name: str
    params: dict[str, Any] = field(default_factory=dict)
    kind: str = "Deployment"
    arrange: Callable[[Shop], None] = lambda _shop: None
    interfere: Callable[[Shop], None] = _redeployed
    undo: bool = True

    def shop(self, fake: Any, folder: Path) -> Shop:
        shop = Shop(fake, folder, self.kind)
        self.arrange(shop)
        fake.requests.clear()
        return shop


CASES = {
    "restart": Case("k8s_restart_rollout"),
    "restart of a StatefulSet": Case("k8s_restart_rollout", kind="StatefulSet"),
    "undo": Case("k8s_undo_rollout"),
    "scale": Case("k8s_scale", {"factor": 1.5}, interfere=_scaled),
    "set env": Case("k8s_set_env", {"variable": "POOL_SIZE", "value": "15"}),
    "set resources": Case("k8s_set_resources", {"requests": {"cpu": "250m"}, "limits": {"memory": "512Mi"}}),
    "cordon": Case("k8s_cordon", {"node": "node-1"}, interfere=_node_cordoned),
    "evict": Case("k8s_evict_pod", arrange=_unready, interfere=_pod_replaced, undo=False),
    "abort": Case("argo_rollout", {"do": "abort"}, "Rollout", _canary),
    "retry": Case("argo_rollout", {"do": "retry"}, "Rollout", _aborted),
    "promote": Case("argo_rollout", {"do": "promote"}, "Rollout", _canary),
    "promote fully": Case("argo_rollout", {"do": "promote_full"}, "Rollout", _canary),
    "roll back a Rollout": Case("argo_rollout", {"do": "rollback"}, "Rollout"),
}


def scene_of(which: str) -> Callable[[Path, Any], AbstractContextManager[Scene]]:
    """The scene of a case, for tests/contracts/test_dry_run.py."""

    @contextmanager
    def scene(folder: Path, _monkeypatch: Any) -> Iterator[Scene]:
        case = CASES[which]
        with serving_kubernetes() as fake:
            shop = case.shop(fake, folder)
            written = lambda: [(method, path, json.loads(body)) for method, path, body in fake.writes]  # noqa: E731
            yield Scene(shop.target(), WORLD, case.params, written, lambda: seen(shop))

    return scene


def seen(shop: Shop) -> Any:
    """What users and the cluster's owner can tell of the state: nothing is as good as empty."""
    nodes = [node["spec"] for node in shop.fake.under("/api/v1/nodes").values()]
    spec = dict(shop.found["spec"])
    if shop.kind == "Rollout":  # a template that was written back has the API server's defaults, which mean the same
        spec["template"] = defaulted(spec["template"])
    return _filled([spec, bool(shop.found["status"].get("abort")), sorted(shop.pods), nodes])


def _filled(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {key: _filled(item) for key, item in value.items()}
        return {key: item for key, item in kept.items() if item not in ({}, [], None)}
    return [_filled(item) for item in value] if isinstance(value, list) else value
