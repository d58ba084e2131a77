"""Secrets by reference: rows and files name an environment variable or a file, never the secret itself."""

import os
from pathlib import Path

from sre_platform.kernel.errors import Rejected

MAX_BYTES = 64 * 1024  # far more than any token or key


def read(env: str = "", file: str = "") -> str:
    """The secret in the environment variable ``env`` or in ``file``; empty when neither is named.

    Raises Rejected when it is named and not there: nothing is tried without it.
    """
    if env:
        if not os.environ.get(env):
            raise Rejected(f"The environment has no {env}, which is to hold a secret.")
        return os.environ[env]
    return _from_file(file) if file else ""


def _from_file(path: str) -> str:
    try:
        with Path(path).open(encoding="utf-8") as file:
            secret = file.read(MAX_BYTES).strip()
    except (OSError, ValueError) as error:
        raise Rejected(
            f"The file {path}, which is to hold a secret, cannot be read: {type(error).__name__}."
        ) from error
    if not secret:
        raise Rejected(f"The file {path}, which is to hold a secret, is empty.")
    return secret
