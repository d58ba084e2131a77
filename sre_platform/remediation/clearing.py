"""The handle of a service's rotated logs, and which of them a run may touch: what is kept, and how much at most."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from sre_platform.catalog.domain import Handle, Target
from sre_platform.clients.rotated import PACKED, PART, Entry, Folder
from sre_platform.kernel.errors import Rejected

MIB = 1024 * 1024
# Packing runs at 39 MiB/s and reading back at 99 (clients/rotated.py): this takes 18 s, and a lease lasts 30.
MAX_MIB = 512
MAX_FILES = 200
Pattern = Annotated[str, Field(pattern=r"^[^/\s]*[^/\s*?\[\]!.-][^/\s]*$", max_length=200)]


class LogsHandle(Handle):
    """Where a service's rotated logs lie. ``patterns`` are shell-style and match names directly in ``folder``.

    The ``keep_newest`` newest of them are never touched, nor is the file that is being written.
    """

    handle: ClassVar[str] = "logs"
    folder: str = Field(pattern=r"^/[^/]", max_length=500)
    patterns: Annotated[tuple[Pattern, ...], Field(min_length=1, max_length=20)]
    keep_newest: int = Field(1, ge=0, le=10_000)


def rotated(folder: Folder, handle: LogsHandle, target: Target, *, packed: bool) -> list[Entry]:
    """The files that may be touched, oldest first; with ``packed`` those that have been packed, too."""
    patterns = [*handle.patterns, *(pattern + PACKED for pattern in handle.patterns if packed)]
    found = [entry for entry in folder.entries(patterns) if not entry.name.endswith(PART)]
    active = {path for path in target.log_files if folder.address(path.rpartition("/")[2]) == path}
    found = [entry for entry in found if folder.address(entry.name) not in active]
    if not packed:
        found = [entry for entry in found if not entry.name.endswith(PACKED)]
    return found[handle.keep_newest :][::-1]


def within(entries: Sequence[Entry], max_files: int, max_mib: int) -> list[Entry]:
    """The first of them that fit into the bounds; one that is too large alone is passed over."""
    chosen: list[Entry] = []
    left = max_mib * MIB
    for entry in entries:
        if len(chosen) < max_files and entry.size <= left:
            chosen.append(entry)
            left -= entry.size
    return chosen


def unwritten(folder: Folder, entries: Sequence[Entry]) -> list[Entry]:
    """Those that nobody has open for writing. Raises Rejected when that leaves none."""
    free = [entry for entry in entries if not folder.written_by_somebody(entry)]
    if entries and not free:
        raise Rejected(f"All {len(entries)} rotated logs in {folder.path} are open for writing, or that is unknown.")
    return free


def refuse_others(handle: LogsHandle, names: Sequence[str]) -> None:
    """Raise Rejected for a name that no pattern of the handle matches."""
    for name in names:
        if not any(fnmatchcase(name, pattern) for pattern in handle.patterns):
            raise Rejected(f"{name} is none of the rotated logs that the catalog names in {handle.folder}.")


def still_there(folder: Folder, handle: LogsHandle, files: Sequence[Mapping[str, Any]]) -> list[Entry]:
    """Those files of an aim that are there, as they are called now: rotation gives them other names meanwhile."""
    patterns = [*handle.patterns, *(pattern + PACKED for pattern in handle.patterns)]
    named = {entry.inode: entry.name for entry in folder.entries(patterns)}
    wanted = [Entry(**item) for item in files]
    return [replace(entry, name=named[entry.inode]) for entry in wanted if entry.inode in named]


def still_fits(stored: Mapping[str, Any], fresh: Mapping[str, Any]) -> bool:
    """Whether all files of a stored aim may still be touched: others may have come, and names are rotation's."""
    return any(
        stored.get(key) and _unnamed(stored[key]) <= _unnamed(fresh.get(key, ())) for key in ("files", "restore")
    )


def _unnamed(files: Sequence[Mapping[str, Any]]) -> set[tuple[tuple[str, Any], ...]]:
    return {tuple(sorted((key, value) for key, value in item.items() if key != "name")) for item in files}


def called_now(folder: Folder, handle: LogsHandle, log: "Packed") -> str:
    """The name of a log that was packed, as it would be unpacked now: a packed file keeps its log's time of change."""
    packed = folder.entries([pattern + PACKED for pattern in handle.patterns]) if log.mtime_ns else []
    same = [entry.name.removesuffix(PACKED) for entry in packed if entry.mtime_ns == log.mtime_ns]
    return log.name if log.name in same or not same else same[0]


class Packed(BaseModel):
    """A log that was packed: its name then, how many bytes it had and, if known, when it was changed last."""

    model_config = ConfigDict(extra="forbid")
    name: str = Field(pattern=r"^[^/\x00-\x1f]+$", max_length=255)
    size: int = Field(ge=0)
    mtime_ns: int = Field(0, ge=0)


def mib(size: int) -> str:
    return f"{size / MIB:.1f} MiB"
