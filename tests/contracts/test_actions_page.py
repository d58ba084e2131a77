"""docs/reference/actions.md names every action, its parameters and its handle."""

import re
from pathlib import Path

import pytest
import yaml

from sre_platform.engine import handles
from sre_platform.remediation import commands
from sre_platform.remediation.steps import ACTIONS

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "actions.md").read_text()
REFERENCE = "".join(page.read_text() for page in (Path(__file__).parents[2] / "docs" / "reference").glob("*.md"))
ACTIONS_PART = PAGE.partition("## Handles")[0]
ROWS = {match[1]: match[0] for match in re.finditer(r"^\| `(\w+)` \|.*$", ACTIONS_PART, re.MULTILINE)}


def test_every_action_has_a_row_and_every_row_an_action():
    assert sorted(ROWS) == ACTIONS.names()


@pytest.mark.parametrize("name", ACTIONS.names())
def test_every_parameter_is_named(name):
    fields = ACTIONS.get(name).Params.model_fields
    named = [field.alias or key for key, field in fields.items()]
    assert [word for word in named if f"`{word}`" not in PAGE] == []


@pytest.mark.parametrize("name", ACTIONS.names())
def test_its_row_names_its_handle(name):
    for kind in getattr(ACTIONS.get(name), "handles", ()):
        assert f"handle `{kind.handle}`" in ROWS[name]


@pytest.mark.parametrize("name", sorted(handles.known()))
def test_every_field_of_a_handle_stands_in_the_page(name):
    fields = handles.known()[name].model_fields
    assert [field for field in fields if field not in REFERENCE] == []


def test_the_commands_in_the_page_are_a_commands_file(tmp_path):
    example = re.search(r"```yaml\n(drain:.*?)```", PAGE, re.DOTALL)
    assert example
    (tmp_path / "commands.yaml").write_text(example[1])
    known = commands.read(str(tmp_path / "commands.yaml"))
    assert known.get("drain").filled({"node": "a-1"}) == ["/usr/local/bin/drainctl", "drain", "a-1"]


def test_the_handles_in_the_page_are_handles():
    example = re.search(r"```yaml\n(services:.*?)```", PAGE, re.DOTALL)
    assert example
    [service] = yaml.safe_load(example[1])["services"]
    handles.check("the page", service["name"], service["handles"])
    assert set(service["handles"]) <= set(handles.known())
