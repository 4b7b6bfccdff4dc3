import pytest

from rnntrade.types import Prices
from tests.live.made_desk import Made
from tests.live.made_desk import made as make


@pytest.fixture(scope="session")
def made(prices: Prices) -> Made:
    return make(prices)
