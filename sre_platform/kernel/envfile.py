"""The file of `NAME=value` lines through which the demo hands its settings to later commands."""

import os
from collections.abc import Mapping
from pathlib import Path


def read_env_file(path: Path) -> dict[str, str]:
    """The names and values in ``path``; empty when there is no such file. No quoting, no expansion."""
    if not path.is_file():
        return {}
    lines = (line.strip() for line in path.read_text().splitlines())
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {name: value for name, _, value in pairs}


def env_lines(values: Mapping[str, str]) -> str:
    """``values`` as the text of such a file."""
    return "".join(f"{name}={value}\n" for name, value in sorted(values.items()))


def write_private(path: Path, text: str) -> None:
    """Write ``text`` so that only the owner can read it (it holds secrets), in one step."""
    fresh = path.with_name(path.name + ".next")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    fresh.replace(path)
