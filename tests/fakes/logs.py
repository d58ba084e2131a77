"""A folder of a service's logs: the active one, which is open, and rotated ones, the higher the number the older."""

import gzip
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sre_platform.catalog.domain import Target

OLD = 1_700_000_000


def lines(number: int) -> bytes:
    return b"".join(f"{number}:{line} the quick brown fox\n".encode() for line in range(40 + number))


@dataclass
class Logs:
    folder: Path
    handle: dict[str, Any] = field(default_factory=dict)

    def add(self, number: int) -> Path:
        path = self.folder / f"orders.log.{number}"
        path.write_bytes(lines(number))
        os.utime(path, (OLD - number * 60, OLD - number * 60))
        return path

    def target(self, **changes: Any) -> Target:
        handle = {"folder": str(self.folder), "patterns": ["orders.log.*"], "keep_newest": 1} | self.handle | changes
        return Target("orders", handles={"logs": handle}, log_files=(str(self.folder / "orders.log"),))

    def names(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir())

    def contents(self) -> dict[str, bytes]:
        """What the logs hold, packed or not, by the log's name; temporary files are none."""
        held: dict[str, bytes] = {}
        for path in self.folder.iterdir():
            if path.suffix == ".part" or not path.is_file() or path.is_symlink():
                continue
            raw = path.read_bytes()
            content = gzip.decompress(raw) if path.suffix == ".gz" else raw
            assert held.setdefault(path.name.removesuffix(".gz"), content) == content, f"two versions of {path.name}"
        return held


@contextmanager
def logging(folder: Path, rotated: int = 4) -> Iterator[Logs]:
    """``orders.log``, held open, and so many rotated ones."""
    it = Logs(folder)
    with (folder / "orders.log").open("wb") as active:
        active.write(b"now\n")
        active.flush()
        for number in range(1, rotated + 1):
            it.add(number)
        yield it
