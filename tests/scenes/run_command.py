from contextlib import contextmanager

from django.conf import settings

from sre_platform.catalog.domain import Target
from sre_platform.clients.supervisor import Supervisor
from sre_platform.remediation.domain import World
from tests.fakes.commands import programs
from tests.scenes import Scene


@contextmanager
def scene(folder, monkeypatch):
    it = programs(folder)
    monkeypatch.setattr(settings, "SRE_COMMANDS", it.file)
    params = {"command": "switch", "with": {"to": "on"}}
    yield Scene(Target("orders"), World(Supervisor(""), {}), params, it.ran, lambda: it.switch)
