import pytest

from tests.rollouts.scene import install, scene


@pytest.fixture
def it(tmp_path, settings):
    """payments runs v1 behind an Envoy and is in the catalog; people are told by the platform's own tickets."""
    settings.SRE_TICKET_SYSTEMS = ["local"]
    with scene(tmp_path) as there:
        settings.SRE_SUPERVISOR_URL = there.supervisor.url
        install(there)
        yield there
