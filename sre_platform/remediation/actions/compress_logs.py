from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from sre_platform.catalog.domain import Target
from sre_platform.clients import rotated
from sre_platform.clients.rotated import PACKED, Entry, Folder
from sre_platform.kernel.errors import Rejected
from sre_platform.remediation import clearing
from sre_platform.remediation.clearing import LogsHandle, Packed, mib
from sre_platform.remediation.domain import Delta, Effect, Prepared, Seen, Traits, World

KEPT_FREE = 0.05  # of the file system: unpacking must not fill the disk that packing has just saved


class CompressLogs:
    """Packs rotated log files of a service with gzip, oldest first. Undone, they are unpacked if there is room."""

    name = "compress_logs"
    traits = Traits()
    handles = (LogsHandle,)
    still_fits = staticmethod(clearing.still_fits)

    class Params(BaseModel):
        """At most ``max_files`` files and ``max_mib`` MiB of them in one run. ``restore`` is what an undo unpacks."""

        model_config = ConfigDict(extra="forbid")
        max_files: int = Field(20, ge=1, le=clearing.MAX_FILES)
        max_mib: int = Field(256, ge=1, le=clearing.MAX_MIB)
        restore: list[Packed] | None = Field(None, max_length=clearing.MAX_FILES)

    def prepare(self, target: Target, params: Params, world: World) -> Prepared:  # noqa: ARG002
        """Names exactly the files, and their bytes."""
        handle = target.held_by(LogsHandle)
        with rotated.opened(handle.folder) as folder:
            if params.restore is not None:
                clearing.refuse_others(handle, [log.name for log in params.restore])
                return _restoring(folder, handle, params.restore, target)
            logs = clearing.rotated(folder, handle, target, packed=False)
            logs = [log for log in logs if log.size and not folder.exists(log.name + PACKED)]
            chosen = clearing.within(clearing.unwritten(folder, logs), params.max_files, params.max_mib)
            if not chosen:
                raise Rejected(f"There is no rotated log in {handle.folder} that may be packed now.")
            return _packing(folder, chosen, target)

    def apply(self, target: Target, aim: Mapping[str, Any], world: World, confirm: Callable[[], None]) -> str:  # noqa: ARG002
        handle = target.held_by(LogsHandle)
        with rotated.opened(handle.folder) as folder, folder.held():
            before = folder.room()[0]
            if "restore" in aim:
                logs = _packed_now(folder, handle, aim)
                done = [folder.unpack(log.name, log.size, confirm) for log in logs]
                return f"{sum(done)} of {len(done)} logs of {target.service} were unpacked"
            done = [folder.pack(entry, confirm) for entry in clearing.still_there(folder, handle, aim["files"])]
            free = folder.room()[0]
        return (
            f"{sum(done)} of {len(aim['files'])} logs of {target.service} were packed; "
            f"{mib(free)} are free, before it was {mib(before)}"
        )

    def look(self, target: Target, aim: Mapping[str, Any], world: World) -> Seen:  # noqa: ARG002
        handle = target.held_by(LogsHandle)
        with rotated.opened(handle.folder) as folder, folder.held():
            if "restore" in aim:
                left = any(folder.exists(log.name + PACKED) for log in _packed_now(folder, handle, aim))
            else:
                left = any(folder.is_there(entry) for entry in clearing.still_there(folder, handle, aim["files"]))
        return Seen.NOT_DONE if left else Seen.DONE


def _packed_now(folder: Folder, handle: LogsHandle, aim: Mapping[str, Any]) -> list[Packed]:
    """What an undo unpacks, under the names that rotation has given the packed files since."""
    logs = [Packed(**item) for item in aim["restore"]]
    return [log.model_copy(update={"name": clearing.called_now(folder, handle, log)}) for log in logs]


def _packing(folder: Folder, chosen: Sequence[Entry], target: Target) -> Prepared:
    total = sum(entry.size for entry in chosen)
    return Prepared(
        says=f"Pack {len(chosen)} rotated logs of {target.service} in {folder.path}, {mib(total)}",
        aim={"files": [entry.as_json() for entry in chosen]},
        undo={"restore": [_undo(entry) for entry in chosen]},
        effects=[Effect("gzip", folder.address(entry.name), {"bytes": entry.size}) for entry in chosen],
        diff=[Delta("log", entry.name, entry.name + PACKED) for entry in chosen],
    )


def _undo(entry: Entry) -> dict[str, Any]:
    return {"name": entry.name, "size": entry.size, "mtime_ns": entry.mtime_ns}


def _restoring(folder: Folder, handle: LogsHandle, restore: Sequence[Packed], target: Target) -> Prepared:
    """What is unpacked, of what was packed. Raises Rejected without room, and for what is gone altogether."""
    logs = _packed_now(folder, handle, {"restore": [log.model_dump() for log in restore]})
    packed = [log for log in logs if folder.exists(log.name + PACKED)]
    if gone := [log.name for log in logs if log not in packed and not folder.exists(log.name)]:
        raise Rejected(f"{', '.join(gone[:5])} cannot be unpacked: neither it nor its packed file is there any more.")
    need = sum(log.size for log in packed if not folder.exists(log.name))
    free, total = folder.room()
    if need and free - need < total * KEPT_FREE:
        raise Rejected(f"There is no room to unpack {mib(need)} in {folder.path}: {mib(free)} are free.")
    return Prepared(
        says=f"Unpack {len(packed)} logs of {target.service} in {folder.path}, {mib(need)}",
        aim={"restore": [log.model_dump() for log in packed]},
        undo=None,
        irreversible="it is an undo itself; they can be packed again",
        effects=[Effect("gunzip", folder.address(log.name), {"bytes": log.size}) for log in packed],
        diff=[Delta("log", log.name + PACKED, log.name) for log in packed],
    )
