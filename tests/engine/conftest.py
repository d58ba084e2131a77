import pytest

from tests.fakes.shop import Shop
from tests.fakes.shop import shop as running_shop


@pytest.fixture
def shop(tmp_path, settings) -> Shop:
    """A shop that is well as soon as a fresh process runs, and the settings by which the platform reaches it."""
    settings.SRE_PROMETHEUS_URL, settings.SRE_TICKET_SYSTEMS = "", ["local"]
    with running_shop(tmp_path) as it:
        settings.SRE_SUPERVISOR_URL, broken = it.supervisor.url, it.process.pid
        it.bad = lambda: int(it.process.pid in (0, broken))
        yield it
