"""A program whose children carry out steps and are killed: ``python -m tests.remediation.killed``.

It makes a database of its own below SRE_DATA, then obeys JSON lines: ``write`` stores a prepared step, ``carry`` forks
a child that takes the incident's lease and carries the step out. With ``kill_at`` the child sends SIGKILL to itself
right before that line of the platform's own code; from outside it can be killed by its pid, which is told first.
"""

import importlib
import json
import os
import signal
import sys
from types import FrameType
from typing import Any

import django

django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import connections  # noqa: E402

from sre_platform.catalog.domain import Target  # noqa: E402
from sre_platform.remediation import steps  # noqa: E402
from sre_platform.remediation.models import Step  # noqa: E402
from tests.fakes.leases import incident, take  # noqa: E402
from tests.remediation.kube import WORLD  # noqa: E402

OWN = (f"{os.sep}sre_platform{os.sep}remediation{os.sep}", f"{os.sep}sre_platform{os.sep}clients{os.sep}kubernetes.py")


class Killer:
    """Counts the lines of the platform's code that are run, and ends the process right before one of them."""

    def __init__(self, at: int) -> None:
        self.at, self.lines = at, 0

    def __call__(self, frame: FrameType, event: str, _arg: Any) -> "Killer | None":
        if not any(part in frame.f_code.co_filename for part in OWN):
            return None
        if event == "line":
            self.lines += 1
            if self.lines == self.at:
                os.kill(os.getpid(), signal.SIGKILL)
        return self


def tell(found: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(found) + "\n")
    sys.stdout.flush()


def write(order: dict[str, Any]) -> dict[str, Any]:
    Step.objects.update(state=Step.State.KEPT)  # what was left of the last round
    name, params = order["name"], order["params"]
    prepared = steps.prepare(name, params, Target("payments", handles=order["handles"]), WORLD)
    about = incident(key=f"round-{Step.objects.count()}")
    fields = {"incident_id": about.pk, "cause": "c", "action": name, "target": "payments", "params": params}
    step = steps.from_prepared(prepared, **fields)
    return {"written": steps.write(step), "step": step.pk}


def carry(order: dict[str, Any]) -> dict[str, Any]:
    connections.close_all()  # a child must not share them
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.close(reading)
            _carry(order, writing)
            code = 0
        finally:
            os._exit(code)
    os.close(writing)
    tell({"pid": pid})
    _, status = os.waitpid(pid, 0)
    with os.fdopen(reading) as said:
        told = json.loads(said.read() or "{}")
    state = Step.objects.get(pk=order["step"]).state
    return {"killed": os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL, "state": state, **told}


def _carry(order: dict[str, Any], writing: int) -> None:
    step = Step.objects.get(pk=order["step"])
    lease, target = take(step.incident_id), Target("payments", handles=order["handles"])
    killer = Killer(order.get("kill_at", 0))
    sys.settrace(killer)
    carried = steps.carry_out(step, target, WORLD, lease)
    sys.settrace(None)
    told = {"outcome": carried.outcome.value, "said": carried.said, "lines": killer.lines}
    os.write(writing, json.dumps(told).encode())


def main() -> None:
    call_command("migrate", verbosity=0)
    for name in ("kubernetes.client", "kubernetes.config"):
        importlib.import_module(name)  # once, and not in every child
    tell({"ready": True})
    for line in sys.stdin:
        order = json.loads(line)
        tell({"write": write, "carry": carry}[order["do"]](order))


if __name__ == "__main__":
    main()
