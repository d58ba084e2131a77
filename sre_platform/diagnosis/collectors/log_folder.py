from collections.abc import Sequence
from time import monotonic
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from sre_platform.catalog.domain import Target
from sre_platform.clients import rotated
from sre_platform.clients.rotated import PACKED, Entry
from sre_platform.diagnosis.domain import Evidence
from sre_platform.diagnosis.investigate import Scene
from sre_platform.kernel.clock import now
from sre_platform.kernel.errors import Unavailable

MOST_NAMED = 5  # of the files, the largest ones


class LogFolder:
    """The folder of a service's logs on this machine, twice: its files, what they take, and the room on their disk."""

    name = "log_folder"

    class Params(BaseModel):
        model_config = ConfigDict(extra="forbid")
        seconds_apart: float = Field(1.0, gt=0, le=5)

    def collect(self, target: Target, scene: Scene, params: Params) -> Evidence:
        folder = target.handles.get("logs", {}).get("folder")
        if not isinstance(folder, str) or not folder:
            raise Unavailable(f"The catalog names no folder of logs for {target.label}.")
        earlier, _ = _look(folder)
        taken = monotonic()
        scene.pause(params.seconds_apart)
        files, (free, total) = _look(folder)
        data = {
            "folder": folder,
            "seconds_apart": round(monotonic() - taken, 3),
            "bytes_earlier": _bytes(earlier),
            "bytes": _bytes(files),
            "files": len(files),
            "packed_files": sum(entry.name.endswith(PACKED) for entry in files),
            "largest": [_told(entry) for entry in sorted(files, key=lambda entry: -entry.size)[:MOST_NAMED]],
            "free_bytes": free,
            "total_bytes": total,
        }
        return Evidence(self.name, target.service, now(), data, asked=(f"the files in {folder}",) * 2)


def _look(folder: str) -> tuple[list[Entry], tuple[int, int]]:
    with rotated.opened(folder) as opened:
        return opened.entries(["*"]), opened.room()


def _bytes(files: Sequence[Entry]) -> int:
    return sum(entry.size for entry in files)


def _told(entry: Entry) -> dict[str, Any]:
    return {"name": entry.name, "bytes": entry.size}
