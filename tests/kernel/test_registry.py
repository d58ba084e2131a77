import sys
from itertools import count

import pytest

from sre_platform.kernel.errors import SreError, Unknown
from sre_platform.kernel.registry import Registry

numbers = count(1)
HAMMER = '''
class Hammer:
    """Hits."""

    name = "hammer"
'''


@pytest.fixture
def tools(tmp_path, monkeypatch):
    """Makes a drop-in package of the given modules and returns its registry."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def make(**modules):
        package = f"drop_in_{next(numbers)}"
        folder = tmp_path / package
        folder.mkdir()
        for name, text in {"__init__": "", **modules}.items():
            (folder / f"{name}.py").write_text(text)
        return Registry(package, "tool")

    yield make
    for name in [name for name in sys.modules if name.startswith("drop_in_")]:
        del sys.modules[name]


def test_a_file_in_the_folder_is_a_plugin(tools):
    registry = tools(hammer=HAMMER, saw=HAMMER.replace("hammer", "saw").replace("Hammer", "Saw"))
    assert registry.names() == ["hammer", "saw"]
    assert type(registry.get("saw")).__name__ == "Saw"
    assert registry.get("saw") is registry.get("saw"), "made once"
    assert {plugin.name for plugin in registry} == {"hammer", "saw"}


def test_nothing_is_imported_before_it_is_asked_for(tools):
    registry = tools(broken="raise RuntimeError('imported')")
    with pytest.raises(RuntimeError, match="imported"):
        registry.names()


def test_an_unknown_name_is_refused_with_the_known_ones(tools):
    registry = tools(saw=HAMMER.replace("hammer", "saw"), hammer=HAMMER)
    with pytest.raises(Unknown, match="There is no tool 'drill'; known are: hammer, saw"):
        registry.get("drill")


def test_an_empty_folder_says_that_nothing_is_known(tools):
    with pytest.raises(Unknown, match="known are: none"):
        tools().get("drill")


def test_two_plugins_of_one_name_are_refused(tools):
    with pytest.raises(SreError, match=r"Two tools are called 'hammer': rename the one in .*second\.py"):
        tools(first=HAMMER, second=HAMMER).names()


@pytest.mark.parametrize(
    ("text", "held"),
    [
        ("x = 1", 0),
        ("class Nameless: pass", 0),
        (HAMMER.replace("Hammer", "_Hammer"), 0),
        (HAMMER + HAMMER.replace("Hammer", "Mallet").replace("hammer", "mallet"), 2),
    ],
)
def test_a_module_holds_exactly_one_plugin(tools, text, held):
    with pytest.raises(SreError, match=rf"odd\.py must hold exactly one public class with a name, it holds {held}"):
        tools(odd=text).names()


def test_classes_that_a_module_imports_are_not_its_plugins(tools):
    registry = tools(hammer=HAMMER)
    other = tools(saw=f"from {registry.package}.hammer import Hammer\n" + HAMMER.replace("hammer", "saw"))
    assert other.names() == ["saw"]


def test_installed_packages_join_by_entry_point(tools, tmp_path):
    (tmp_path / "foreign_tools.py").write_text(HAMMER.replace("hammer", "drill"))
    registry = tools(hammer=HAMMER)
    info = tmp_path / "foreign-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: foreign\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{registry.package}]\ndrill = foreign_tools\n")
    assert registry.names() == ["drill", "hammer"]
    del sys.modules["foreign_tools"]
