import pytest

from tests.fakes.shop import Shop
from tests.fakes.shop import shop as running_shop


@pytest.fixture
def shop(tmp_path) -> Shop:
    with running_shop(tmp_path) as it:
        yield it
