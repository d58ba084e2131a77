from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from sre_platform.catalog.domain import Target
from sre_platform.clients import rotated
from sre_platform.kernel.clock import now
from sre_platform.kernel.errors import Rejected
from sre_platform.remediation import clearing
from sre_platform.remediation.clearing import LogsHandle, mib
from sre_platform.remediation.domain import Delta, Effect, Prepared, Seen, Traits, World

DAY_S = 24 * 3600


class DeleteOldLogs:
    """Deletes old rotated log files of a service, packed or not, oldest first. Nothing brings them back."""

    name = "delete_old_logs"
    traits = Traits(destroys="the lines of the deleted logs")
    handles = (LogsHandle,)
    still_fits = staticmethod(clearing.still_fits)

    class Params(BaseModel):
        """Only files unchanged for ``older_than_s`` seconds; at most ``max_files`` and ``max_mib`` MiB in one run."""

        model_config = ConfigDict(extra="forbid")
        older_than_s: int = Field(7 * DAY_S, ge=60, le=3650 * DAY_S)
        max_files: int = Field(20, ge=1, le=clearing.MAX_FILES)
        max_mib: int = Field(4096, ge=1, le=1024 * 1024)

    def prepare(self, target: Target, params: Params, world: World) -> Prepared:  # noqa: ARG002
        """Names exactly the files, and their bytes."""
        handle = target.held_by(LogsHandle)
        before_ns = int((now().timestamp() - params.older_than_s) * 1_000_000_000)
        with rotated.opened(handle.folder) as folder:
            logs = clearing.rotated(folder, handle, target, packed=True)
            old = clearing.unwritten(folder, [log for log in logs if log.mtime_ns < before_ns])
            chosen = clearing.within(old, params.max_files, params.max_mib)
            if not chosen:
                raise Rejected(f"No rotated log in {handle.folder} is older than {params.older_than_s} s.")
            addresses = [folder.address(entry.name) for entry in chosen]
        total = sum(entry.size for entry in chosen)
        return Prepared(
            says=f"Delete {len(chosen)} old logs of {target.service} in {handle.folder}, {mib(total)}",
            aim={"files": [entry.as_json() for entry in chosen]},
            undo=None,
            irreversible="deleted log lines are gone",
            effects=[Effect("unlink", address) for address in addresses],
            diff=[Delta("log", entry.name, None) for entry in chosen],
        )

    def apply(self, target: Target, aim: Mapping[str, Any], world: World, confirm: Callable[[], None]) -> str:  # noqa: ARG002
        handle = target.held_by(LogsHandle)
        with rotated.opened(handle.folder) as folder, folder.held():
            done = [folder.delete(entry, confirm) for entry in clearing.still_there(folder, handle, aim["files"])]
            free = folder.room()[0]
        return f"{sum(done)} of {len(aim['files'])} old logs of {target.service} were deleted; {mib(free)} are free"

    def look(self, target: Target, aim: Mapping[str, Any], world: World) -> Seen:  # noqa: ARG002
        handle = target.held_by(LogsHandle)
        with rotated.opened(handle.folder) as folder:
            left = any(folder.is_there(entry) for entry in clearing.still_there(folder, handle, aim["files"]))
        return Seen.NOT_DONE if left else Seen.DONE
