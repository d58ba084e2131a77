"""A catalog file's handles against those that something registered can read: a slip is named when the file is read.

Whatever touches another system names the ``Handle`` classes that it reads in its class attribute ``handles``.
"""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError

from sre_platform.catalog.domain import Handle
from sre_platform.kernel.complaint import complaint
from sre_platform.kernel.errors import Malformed, SreError
from sre_platform.kernel.registry import Registry
from sre_platform.remediation.steps import ACTIONS
from sre_platform.rollouts.routing import ROUTERS

# Every registry whose plugins may name handles.
READERS: tuple[Registry[Any], ...] = (ACTIONS, ROUTERS)


def known() -> dict[str, type[Handle]]:
    """Every handle that some plugin reads, by its name. Raises SreError when two kinds have one name."""
    kinds: dict[str, type[Handle]] = {}
    for kind in _named():
        if kinds.setdefault(kind.handle, kind) is not kind:
            raise SreError(f"Two kinds of handle are called {kind.handle!r}: rename {kind.__module__}.{kind.__name__}.")
    return kinds


def _named() -> Iterator[type[Handle]]:
    for registry in READERS:
        for plugin in registry:
            yield from getattr(plugin, "handles", ())


def check(source: str, service: str, handles: Any) -> None:
    """Raises Malformed naming the service, the handle and the field that nothing can read.

    What is no object of objects is left to the model's own check.
    """
    kinds = known()
    for name, content in handles.items() if isinstance(handles, Mapping) else ():
        if name not in kinds:
            near = get_close_matches(str(name), kinds, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known are: {', '.join(sorted(kinds))}."
            raise Malformed(f"{source}: service {service}: handles: unknown handle {name!r}: {hint}")
        _check_one(source, service, kinds[name], content)


def _check_one(source: str, service: str, kind: type[Handle], content: Any) -> None:
    try:
        kind.model_validate(content)
    except RecursionError as error:
        raise Malformed(f"{source}: service {service}: handles.{kind.handle}: it is nested too deeply.") from error
    except ValidationError as error:
        raise Malformed(f"{source}: service {service}: {complaint(error, 'handles', kind.handle)}.") from error
