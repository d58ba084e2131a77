"""Removes the rotated logs of a lab service, so that a drill begins with an empty volume and leaves room behind."""

from sre_platform.chaos.lab import from_environment
from sre_platform.clients import rotated


def inject(service: str) -> int:
    """Remove them; returns how many bytes they had."""
    path = from_environment().folder / service / "log"
    with rotated.opened(str(path)) as folder, folder.held():
        files = folder.entries(["requests.log.*"])
        for entry in files:
            (path / entry.name).unlink()
    return sum(entry.size for entry in files)


def restore(service: str) -> int:
    """Remove what a drill has left."""
    return inject(service)
