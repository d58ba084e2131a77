from contextlib import contextmanager

from sre_platform.clients.supervisor import Supervisor
from sre_platform.remediation.domain import World
from tests.fakes.logs import logging
from tests.scenes import Scene


@contextmanager
def scene(folder, monkeypatch):
    with logging(folder) as logs:
        there = logs.names()

        def written():
            gone = sorted(set(there) - set(logs.names()), reverse=True)  # the oldest has the highest number
            return [("unlink", str(folder / name), None) for name in gone]

        yield Scene(logs.target(), World(Supervisor(""), {}), {}, written, logs.names)
