"""The end of a service's log file: regular files only, and no more of it than asked for."""

import os
import stat
from typing import BinaryIO

from sre_platform.kernel.errors import Rejected, Unavailable


def size(path: str) -> int:
    """How long the file is, in bytes. Raises Unavailable, Rejected."""
    with _opened(path) as file:
        return os.fstat(file.fileno()).st_size


def tail(path: str, max_bytes: int) -> bytes:
    """The last whole lines of the file, ``max_bytes`` at most. Raises Unavailable, Rejected."""
    with _opened(path) as file:
        start = max(0, os.fstat(file.fileno()).st_size - max_bytes)
        file.seek(start)
        content = file.read(max_bytes)
    return content[content.find(b"\n") + 1 :] if start else content


def _opened(path: str) -> BinaryIO:
    try:
        # Without O_NONBLOCK a pipe that nobody writes to would be waited for.
        file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC), "rb")
    except (OSError, ValueError) as error:
        raise Unavailable(f"The log cannot be read: {error}.") from error
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise Rejected(f"{path} is not a regular file.")
    return file
