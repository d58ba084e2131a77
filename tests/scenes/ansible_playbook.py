from contextlib import contextmanager

from django.conf import settings

from sre_platform.clients.supervisor import Supervisor
from sre_platform.remediation.domain import World
from tests.fakes.ansible import playbooks, standing_in
from tests.scenes import Scene


@contextmanager
def scene(folder, monkeypatch):
    """With a stand-in, which is quicker: tests/remediation/test_ansible.py runs the real one."""
    it = playbooks(folder)
    monkeypatch.setenv("PATH", standing_in(folder))
    monkeypatch.setattr(settings, "SRE_LEASE_S", 150.0)
    params = {"playbook": "on.yml", "vars": {"who": "ann"}}
    yield Scene(it.target(), World(Supervisor(""), {}), params, it.ran, lambda: it.word)
