"""The code of a service as a folder, read by the file names that its binary knows."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path, PurePosixPath

LARGEST_FILE = 4 << 20  # bytes; no hand-written Go file comes near


class SourceTree:
    """Finds ``/build/src/shop/orders/quote.go`` below ``root`` as ``orders/quote.go``: the longest end that exists.

    Never reads outside of ``root``, whatever a dump calls its files; an unknown file has no lines.
    """

    def __init__(self, root: Path | None) -> None:
        self._root = root.resolve() if root else None
        self.lines = lru_cache(maxsize=256)(self._lines)

    def _lines(self, file: str) -> Sequence[str]:
        path = self._find(file)
        if path is None or path.stat().st_size > LARGEST_FILE:
            return ()
        return path.read_text(errors="replace").split("\n")

    def _find(self, file: str) -> Path | None:
        if self._root is None:
            return None
        parts = [part for part in PurePosixPath(file.replace("\\", "/")).parts if part not in ("/", "..", ".")]
        for start in range(len(parts)):
            path = self._root.joinpath(*parts[start:])
            if path.is_file() and path.resolve().is_relative_to(self._root):
                return path
        return _only(self._root, parts[-1]) if parts else None


def _only(root: Path, name: str) -> Path | None:
    """The one file of this name in the tree: a checkout may be laid out otherwise than the build was."""
    found = [path for path in root.rglob(name) if path.is_file()] if name.endswith(".go") else []
    return found[0] if len(found) == 1 and found[0].resolve().is_relative_to(root) else None
