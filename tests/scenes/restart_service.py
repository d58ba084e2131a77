from contextlib import contextmanager

from tests.fakes.shop import shop
from tests.scenes import Scene


@contextmanager
def scene(folder, monkeypatch):
    with shop(folder) as it:
        yield Scene(
            it.target(),
            it.world(),
            {},
            lambda: [(verb, name, None) for verb, name in it.supervisor.effects],
            lambda: it.process.state,
        )
