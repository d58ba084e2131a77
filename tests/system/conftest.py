from collections.abc import Iterator

import pytest

from tests.system.stack import Stack, running


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """One real stack for all drills; a short lease, so that a killed worker is missed soon."""
    with running("test-stack", SRE_LEASE_S="8") as started:
        yield started
