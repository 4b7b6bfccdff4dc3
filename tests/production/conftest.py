import pytest

from rnntrade.types import Prices
from tests.production.made_desk import Made
from tests.production.made_desk import made as make


@pytest.fixture(scope="session")
def made(prices: Prices) -> Made:
    return make(prices)
