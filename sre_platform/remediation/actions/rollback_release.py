from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

from sre_platform.catalog.domain import Target
from sre_platform.clients import releases
from sre_platform.guardrails.domain import Reach
from sre_platform.kernel.errors import Rejected
from sre_platform.remediation.domain import Delta, Effect, Prepared, Seen, Traits, World
from sre_platform.remediation.restarting import replace, replaced


class RollbackRelease:
    """Points the release link back to the release that ran before and restarts the service from it."""

    name = "rollback_release"
    traits = Traits(destroys="what the running process holds: goroutines, heap, open connections")

    class Params(BaseModel):
        """``to``: the release to go to; empty for the one that the last deploy replaced.

        ``only_from``, for the undo: the release that the step left, or it is refused.
        """

        model_config = ConfigDict(extra="forbid")
        to: str = ""
        only_from: str = ""

    def prepare(self, target: Target, params: Params, world: World) -> Prepared:
        running = releases.current(target.release_link)
        if params.only_from and running not in (params.only_from, params.to):
            left = f"{target.service} was left with {params.only_from} and runs {running} now"
            raise Rejected(f"{left}: somebody has deployed since.")
        to = params.to or _before(target, running, world)
        if to == running:
            raise Rejected(f"{target.service} runs {to} already.")
        if to not in releases.available(target.releases_dir):
            raise Rejected(f"Release {to} of {target.service} is not on this machine any more.")
        process = world.supervisor.process(target.process)
        return Prepared(
            says=f"Roll {target.service} back from {running} to {to}",
            aim={"release": to, "from": running, "old_pid": process.pid if process.running else 0},
            undo={"to": running, "only_from": to},
            effects=[Effect("link", target.release_link, to), *_restart(target.process, process.at_rest)],
            diff=[Delta("release", running, to), Delta("process", process.pid or process.state, "fresh")],
            reach=Reach(total=1, ready=int(process.running), takes=int(process.running)),
        )

    def apply(self, target: Target, aim: Mapping[str, Any], world: World, confirm: Callable[[], None]) -> str:
        old_pid, linked = aim["old_pid"], releases.current(target.release_link)
        if linked not in (aim["release"], aim.get("from", linked)):
            raise Rejected(f"{target.service} is linked to {linked} by now: somebody has deployed since.")
        if linked != aim["release"]:
            # Whatever runs by now still runs the other release, also when it has been restarted since prepare().
            old_pid = world.supervisor.process(target.process).pid
            confirm()
            releases.switch(target.release_link, target.releases_dir, aim["release"])
        done = replace(world.supervisor, target.process, old_pid, confirm)
        return f"{target.service} is linked to {aim['release']}; {done}"

    def look(self, target: Target, aim: Mapping[str, Any], world: World) -> Seen:
        linked = releases.current(target.release_link) == aim["release"]
        fresh = replaced(world.supervisor, target.process, aim["old_pid"])
        return Seen.DONE if linked and fresh else Seen.NOT_DONE


def _restart(name: str, at_rest: bool) -> list[Effect]:
    return [*([] if at_rest else [Effect("stop", name)]), Effect("start", name)]


def _before(target: Target, running: str, world: World) -> str:
    """The release that the newest known deploy replaced, if it brought the one that runs."""
    deploys = [c for c in world.changes.get(target.service, ()) if c.kind == "deploy" and c.before]
    if not deploys or deploys[0].after != running:
        raise Rejected(f"No deploy is known that brought {target.service} to {running}, so what ran before is unknown.")
    return deploys[0].before
