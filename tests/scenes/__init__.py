"""For each action a scene: something real or faked at the wire that it can act on, which records what is written.

The scene of ``remediation/actions/NAME.py`` is ``tests/scenes/NAME.py``, with a context manager
``scene(folder, monkeypatch)`` that yields a ``Scene``. tests/contracts/test_dry_run.py goes through all of them.
"""

import importlib
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sre_platform.catalog.domain import Target
from sre_platform.remediation.domain import World

Written = tuple[str, str, Any]  # verb, to what, body: as an Effect says it


@dataclass
class Scene:
    """A target on which the action makes sense with ``params``; ``written`` is all that was written so far, in order.

    ``state`` is what can be seen of the target's state from outside: an undo has to bring it back.
    """

    target: Target
    world: World
    params: dict[str, Any]
    written: Callable[[], Sequence[Written]]
    state: Callable[[], Any]


def of(name: str) -> Callable[[Path, pytest.MonkeyPatch], AbstractContextManager[Scene]]:
    """The scene of an action. Raises ModuleNotFoundError when there is none."""
    return importlib.import_module(f"tests.scenes.{name}").scene
