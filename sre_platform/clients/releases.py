"""Releases on a plain machine: one folder a release and a ``current`` link, as Capistrano and Ansible lay them out."""

import os
from pathlib import Path

from sre_platform.kernel.errors import Rejected, Unavailable


def current(link: str) -> str:
    """The name of the release that ``link`` points to. Raises Unavailable when there is no such link."""
    if not link:
        raise Unavailable("The catalog names no release link for this service.", advice="Set release_link.")
    try:
        return Path(os.readlink(link)).name
    except OSError as error:
        raise Unavailable(f"The release link cannot be read: {error}.") from error


def running(link: str) -> str:
    """As ``current``; the empty string when it cannot be told."""
    try:
        return current(link)
    except Unavailable:
        return ""


def available(folder: str) -> list[str]:
    """The names of the releases in ``folder``, sorted."""
    try:
        return sorted(entry.name for entry in os.scandir(folder) if entry.is_dir(follow_symlinks=False))
    except OSError as error:
        raise Unavailable(f"The releases cannot be listed: {error}.") from error


def switch(link: str, folder: str, release: str) -> None:
    """Point ``link`` to ``release`` in one step: whoever looks sees the old release or the new one, never none.

    Raises Rejected when ``folder`` holds no such release, or when the link may not be changed; then it is as it was.
    """
    if release not in available(folder):
        raise Rejected(f"There is no release {release!r} in {folder}; known are: {', '.join(available(folder))}.")
    fresh = Path(f"{link}.next")
    try:
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(Path(folder) / release)
        os.replace(fresh, link)
    except OSError as error:
        raise Rejected(f"The release link cannot be changed: {error}.") from error
