from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rnntrade.data.sessions import expected_sessions
from tests.data.yahoo_server import FakeYahoo, Share

DEAD_END = "http://127.0.0.1:9"  # nothing listens there


@pytest.fixture(scope="session")
def yfinance_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Its sqlite files go to a temporary folder, whatever the user has."""
    import yfinance

    yfinance.cache.set_cache_location(str(tmp_path_factory.mktemp("yfinance")))


@pytest.fixture
def yahoo(yfinance_cache: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeYahoo]:
    """A Yahoo of our own; whatever else yfinance wants to reach leads nowhere."""
    import yfinance

    fake = FakeYahoo()
    for module in ("scrapers.history", "base", "scrapers.quote"):
        monkeypatch.setattr(f"yfinance.{module}._BASE_URL_", fake.address)
    monkeypatch.setattr("yfinance.base._ROOT_URL_", fake.address)
    monkeypatch.setattr("yfinance.scrapers.quote._QUERY1_URL_", fake.address)
    monkeypatch.setattr("yfinance.scrapers.quote._QUOTE_SUMMARY_URL_", f"{fake.address}/summary")
    yfinance.config.network.proxy = {"https": DEAD_END}
    yield fake
    yfinance.config.network.proxy = None
    fake.close()


@pytest.fixture
def spy() -> Share:
    """The 39 sessions from 2024-01-02, a dividend of 2 % paid on 2024-02-01."""
    return share("2024-01-02", "2024-02-28", dividend="2024-02-01")


def share(first: str, end: str, dividend: str = "", seed: int = 0) -> Share:
    """Random quotes on all sessions in [first, end), in whole cents as vendors give them."""
    index = expected_sessions("XNYS", pd.Timestamp(first).date(), pd.Timestamp(end).date())
    rng = np.random.default_rng(seed)
    close = (100 * np.exp(np.cumsum(rng.normal(0, 0.01, len(index))))).round(2)
    open_ = (close * np.exp(rng.normal(0, 0.005, len(index)))).round(2)
    quotes = pd.DataFrame(
        {
            "Open": open_,
            "High": np.maximum(open_, close) + 0.5,
            "Low": np.minimum(open_, close) - 0.5,
            "Close": close,
            "Adj Close": close,
            "Volume": rng.integers(1_000_000, 2_000_000, len(index)).astype("float64"),
        },
        index=index,
    )
    if dividend:
        quotes.loc[quotes.index < dividend, "Adj Close"] *= 0.98
    return Share(quotes)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "prices"
