import pytest

from tests.diagnosis import profiles


@pytest.fixture
def real(tmp_path):
    """Runs the real pprof in a folder of its own, see ``profiles.pprof``."""
    if not profiles.tool_path():
        pytest.skip("no Go here")
    return lambda *arguments, **files: profiles.pprof(tmp_path, *arguments, **files)
