"""Who runs a command."""

import getpass
import os


def name() -> str:
    """The name of whoever runs a command; the user's number where the machine knows no name, as in a container.

    Nobody may fail to stop something because nobody knows who they are.
    """
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return f"user {os.getuid()}"
