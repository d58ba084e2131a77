"""Drop-in folders: one new file in a folder is a new plugin, nothing else is touched."""

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from importlib.metadata import entry_points
from types import ModuleType
from typing import Any, Generic, TypeVar

from sre_platform.kernel.errors import SreError, Unknown

Plugin = TypeVar("Plugin")


class Registry(Generic[Plugin]):
    """The plugins of one drop-in package, by name, loaded when first asked for.

    Every module of ``package`` holds exactly one public class with a ``name`` attribute; it is instantiated once,
    without arguments, and its docstring is the plugin's help. Installed packages join by an entry point in the
    group ``package``. Two plugins of one name are refused, and so is a module with none or with two.
    """

    def __init__(self, package: str, kind: str) -> None:
        self.package = package
        self.kind = kind
        self._loaded: dict[str, Plugin] = {}

    def __iter__(self) -> Iterator[Plugin]:
        return iter(self._plugins().values())

    def names(self) -> list[str]:
        """All known names, sorted."""
        return sorted(self._plugins())

    def get(self, name: str) -> Plugin:
        """The plugin called ``name``. Raises Unknown, with the known names, when there is none."""
        plugins = self._plugins()
        if name not in plugins:
            raise Unknown(f"There is no {self.kind} {name!r}; known are: {', '.join(sorted(plugins)) or 'none'}.")
        return plugins[name]

    def _plugins(self) -> dict[str, Plugin]:
        if not self._loaded:
            found: dict[str, Plugin] = {}
            for module in self._modules():
                plugin = _only_plugin(module)
                if plugin.name in found:
                    raise SreError(f"Two {self.kind}s are called {plugin.name!r}: rename the one in {module.__file__}.")
                found[plugin.name] = plugin
            self._loaded = found
        return self._loaded

    def _modules(self) -> Iterator[ModuleType]:
        folder = importlib.import_module(self.package)
        for entry in pkgutil.iter_modules(folder.__path__):
            yield importlib.import_module(f"{self.package}.{entry.name}")
        for point in entry_points(group=self.package):
            yield importlib.import_module(point.module)


def _only_plugin(module: ModuleType) -> Any:
    classes = [
        item
        for name, item in vars(module).items()
        if inspect.isclass(item) and item.__module__ == module.__name__ and hasattr(item, "name") and name[0] != "_"
    ]
    if len(classes) != 1:
        raise SreError(f"{module.__file__} must hold exactly one public class with a name, it holds {len(classes)}.")
    return classes[0]()
