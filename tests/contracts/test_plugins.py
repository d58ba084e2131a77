"""What every plugin has to be. A new file in a drop-in folder is covered by being there."""

import importlib
import inspect
import re
from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError

import sre_platform
from sre_platform.diagnosis.domain import Rule
from sre_platform.diagnosis.investigate import COLLECTORS, RULES, Collector
from sre_platform.engine.work import GUARDS
from sre_platform.guardrails.domain import Guard
from sre_platform.intake.domain import Source
from sre_platform.intake.receive import SOURCES
from sre_platform.kernel.registry import Registry
from sre_platform.remediation.domain import Action
from sre_platform.remediation.steps import ACTIONS
from sre_platform.rollouts.routing import ROUTERS, Router
from sre_platform.tickets.desk import SYSTEMS
from sre_platform.tickets.domain import TicketSystem

PORTS = {
    SOURCES: Source,
    COLLECTORS: Collector,
    RULES: Rule,
    GUARDS: Guard,
    ACTIONS: Action,
    SYSTEMS: TicketSystem,
    ROUTERS: Router,
}
ALL = [
    pytest.param(plugin, port, id=f"{registry.kind}-{plugin.name}")
    for registry, port in PORTS.items()
    for plugin in registry
]


def methods(port):
    return {name: item for name, item in vars(port).items() if inspect.isfunction(item) and name[0] != "_"}


def test_every_registry_of_the_platform_is_in_this_contract():
    root = Path(sre_platform.__file__).parent
    texts = {path: path.read_text() for path in root.rglob("*.py")}
    made = {match for text in texts.values() for match in re.findall(r'Registry\("([\w.]+)"', text)}
    assert made == {registry.package for registry in PORTS}


@pytest.mark.parametrize("registry", PORTS, ids=lambda registry: registry.kind)
def test_no_registry_is_empty_and_its_folder_is_a_package(registry: Registry):
    assert registry.names()
    assert importlib.import_module(registry.package).__path__


@pytest.mark.parametrize(("plugin", "port"), ALL)
def test_it_has_a_docstring_that_is_a_sentence(plugin, port):
    first = inspect.cleandoc(type(plugin).__doc__ or "").partition("\n\n")[0]
    assert re.fullmatch(r"[A-Z].{20,}\.", first, re.DOTALL)


@pytest.mark.parametrize(("plugin", "port"), ALL)
def test_its_name_is_a_snake_case_identifier(plugin, port):
    assert re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", plugin.name)


@pytest.mark.parametrize(("plugin", "port"), ALL)
def test_it_has_its_ports_methods_with_the_ports_parameters(plugin, port):
    wanted = methods(port)
    assert wanted, f"{port} is a port without methods"
    for name, declared in wanted.items():
        given = inspect.signature(getattr(plugin, name))
        assert list(given.parameters) == list(inspect.signature(declared).parameters)[1:], name


@pytest.mark.parametrize(("plugin", "port"), [param for param in ALL if "Params" in param.values[1].__annotations__])
def test_its_params_are_a_model_that_has_defaults_and_refuses_what_it_does_not_know(plugin, port):
    assert issubclass(plugin.Params, BaseModel)
    assert plugin.Params() is not None, "a playbook may name it without parameters"
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        plugin.Params(no_such_parameter=1)
