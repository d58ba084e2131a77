from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

from sre_platform.catalog.domain import Target
from sre_platform.guardrails.domain import Reach
from sre_platform.kernel.errors import Rejected
from sre_platform.remediation.domain import Delta, Effect, Prepared, Seen, Traits, World
from sre_platform.remediation.restarting import replace, replaced


class RestartService:
    """Replaces the service's process by a fresh one through its supervisor. Undone, it is as up or down as it was."""

    name = "restart_service"
    traits = Traits(restarts=True, destroys="what the running process holds: goroutines, heap, open connections")

    class Params(BaseModel):
        """``leave``: ``fresh`` wants another process than the running one, ``running`` any, ``stopped`` none."""

        model_config = ConfigDict(extra="forbid")
        leave: str = "fresh"

    def prepare(self, target: Target, params: Params, world: World) -> Prepared:
        if not target.process:
            raise Rejected(f"The catalog names no process for {target.service}, so it cannot be restarted.")
        process = world.supervisor.process(target.process)
        was = f"process {process.pid}" if process.running else f"it is {process.state}"
        return Prepared(
            says=f"Restart {target.service} ({was}) through its supervisor",
            aim={"leave": params.leave, "old_pid": process.pid if process.running else 0},
            undo={"leave": "running" if process.running else "stopped"},
            effects=_effects(target.process, process.running, params.leave),
            diff=[Delta("process", process.pid or process.state, params.leave)],
            reach=Reach(total=1, ready=int(process.running), takes=int(process.running and params.leave != "running")),
        )

    def apply(self, target: Target, aim: Mapping[str, Any], world: World, confirm: Callable[[], None]) -> str:
        if self.look(target, aim, world) is Seen.DONE:
            return f"{target.process} was as wanted already"
        if aim["leave"] == "stopped":
            confirm()
            world.supervisor.stop(target.process)
            return f"{target.process} is stopped, as it was found"
        return replace(world.supervisor, target.process, _replaces(aim), confirm)

    def look(self, target: Target, aim: Mapping[str, Any], world: World) -> Seen:
        if aim["leave"] == "stopped":
            done = not world.supervisor.process(target.process).running
        else:
            done = replaced(world.supervisor, target.process, _replaces(aim))
        return Seen.DONE if done else Seen.NOT_DONE


def _effects(name: str, running: bool, leave: str) -> list[Effect]:
    """What replaces (``fresh``), starts or stops a process that runs, or does not."""
    stop = [Effect("stop", name)] if running and leave != "running" else []
    start = [Effect("start", name)] if leave == "fresh" or (leave == "running" and not running) else []
    return [*stop, *start]


def _replaces(aim: Mapping[str, Any]) -> int:
    """The pid that must not be running any more; 0 when any running process will do."""
    return int(aim["old_pid"]) if aim["leave"] == "fresh" else 0
