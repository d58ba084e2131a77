from contextlib import contextmanager

from tests.fakes.shop import shop
from tests.scenes import Scene


@contextmanager
def scene(folder, monkeypatch):
    """A supervised process is looked at: what the supervisor was made to do has to stay nothing."""
    with shop(folder) as it:
        yield Scene(it.target(), it.world(), {"collect": ["process"]}, lambda: list(it.supervisor.effects), lambda: 0)
