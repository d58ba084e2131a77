from contextlib import contextmanager

from sre_platform.clients.supervisor import Supervisor
from sre_platform.remediation.domain import World
from tests.fakes.control import TOKEN, TOKEN_ENV, controlling
from tests.scenes import Scene


@contextmanager
def scene(folder, monkeypatch):
    monkeypatch.setenv(TOKEN_ENV, TOKEN)
    with controlling() as it:
        yield Scene(
            it.target(),
            World(Supervisor(""), {}),
            {"breaker": "payments", "ttl_s": 60},
            lambda: list(it.writes),
            lambda: it.value("breakers/payments"),
        )
