"""The sources that need no network: the sample, and the made-up one."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnntrade.config import DataConfig
from rnntrade.data import sources
from rnntrade.data.bars import digest, from_quotes
from rnntrade.data.checks import check
from rnntrade.data.sessions import expected_sessions
from rnntrade.data.sources import SOURCES
from rnntrade.errors import DataError
from rnntrade.types import FIELDS

pytestmark = pytest.mark.filterwarnings("ignore:Series.values returning")  # exchange_calendars' own
SAMPLE = DataConfig(source="sample")
SYNTHETIC = DataConfig(source="synthetic")
DECADES = (date(1990, 1, 1), date(2035, 12, 31))


def fetch(ticker: str, start: date, end: date, config: DataConfig) -> pd.DataFrame:
    bars, findings = sources.fetch(ticker, start, end, config)
    assert findings == ()
    return bars


def test_there_is_a_source_for_every_name_the_config_knows():
    assert list(SOURCES) == ["yahoo", "sample", "synthetic"]


def test_prices_are_multiplied_by_adjusted_over_close():
    quotes = pd.DataFrame(
        [[10.0, 16.0, 8.0, 12.0, 6.0, 100.0]],
        index=pd.DatetimeIndex(["2024-01-02"]),
        columns=["open", "high", "low", "close", "adj_close", "volume"],
    )
    (row,) = from_quotes(quotes).to_dict("records")
    assert row == dict(zip(FIELDS, (5.0, 8.0, 4.0, 6.0, 100.0, 12.0), strict=True))


@pytest.mark.parametrize(
    ("ticker", "day", "close"),
    [
        ("^GSPC", "1999-01-04", 1228.099976),
        ("^GSPC", "2008-09-15", 1192.699951),  # Lehman Brothers
        ("^GSPC", "2018-12-31", 2506.850098),
        ("^IXIC", "2000-03-10", 5048.620117),  # the peak of the dot-com years
        ("^IXIC", "2018-12-31", 6635.279785),
    ],
)
def test_the_sample_holds_the_indices_as_history_had_them(ticker: str, day: str, close: float):
    bars = fetch(ticker, date(1999, 1, 1), date(2019, 1, 1), SAMPLE)
    assert bars.loc[day, "close"] == bars.loc[day, "raw_close"] == close
    assert len(bars) == 5031
    assert check(bars, ticker, "XNYS", date(1999, 1, 1), date(2019, 1, 1)) == []


@pytest.mark.parametrize("ticker", ["SPY", "QQQ", "^gspc", ""])
def test_the_sample_has_no_other_ticker_and_names_those_it_has(ticker: str):
    with pytest.raises(DataError, match=r"\^GSPC.*\^IXIC"):
        fetch(ticker, date(1999, 1, 1), date(2019, 1, 1), SAMPLE)


def test_made_up_bars_depend_on_seed_and_ticker_alone():
    whole = fetch("AAA", *DECADES, SYNTHETIC)
    part = fetch("AAA", date(2019, 3, 1), date(2019, 9, 1), SYNTHETIC)
    pd.testing.assert_frame_equal(part, whole["2019-03-01":"2019-08-31"], check_exact=True)
    other_seed = fetch("AAA", *DECADES, DataConfig(source="synthetic", seed=1))
    other_ticker = fetch("BBB", *DECADES, SYNTHETIC)
    assert len({digest(bars) for bars in (whole, other_seed, other_ticker)}) == 3


def test_made_up_bars_stay_the_same_from_one_version_to_the_next():
    """A changed digest changes everybody's debug runs: say so in the change log."""
    bars = fetch("AAA", date(2019, 1, 1), date(2019, 3, 1), SYNTHETIC)
    assert bars["close"].iloc[[0, -1]].round(6).to_list() == [280.44504, 281.824345]


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**31), ticker=st.text("ABCXYZ^.-", min_size=1, max_size=6))
def test_made_up_bars_pass_the_checks_with_only_missing_sessions_to_report(seed: int, ticker: str):
    bars = fetch(ticker, *DECADES, DataConfig(source="synthetic", seed=seed))
    findings = check(bars, ticker, "XNYS", *DECADES)
    assert {finding.check for finding in findings} <= {"missing_session", "late_start", "early_end"}
    assert (bars["high"] >= bars[["open", "close", "low"]].max(axis=1)).all()
    assert (bars["low"] <= bars[["open", "close", "high"]].min(axis=1)).all()
    expected = expected_sessions("XNYS", *DECADES)
    assert bars.index.isin(expected).all()
    assert 0.99 < len(bars) / len(expected) < 1


def test_made_up_bars_show_what_a_market_does():
    bars = pd.concat(
        {
            str(seed): fetch("A", *DECADES, DataConfig(source="synthetic", seed=seed))
            for seed in range(5)
        }
    )
    returns = np.log(bars["close"]).groupby(level=0).diff().dropna()
    assert 0.10 < returns.std() * 252**0.5 < 0.30
    assert returns.kurt() > 3  # fat tails
    following = returns.groupby(level=0).shift(-1)
    assert returns.abs().corr(following.abs()) > 0.1  # volatility clusters
    assert abs(returns.corr(following)) < 0.02  # direction does not
    raw = bars["raw_close"].groupby(level=0).pct_change()
    splits = raw[raw < -0.4]
    assert 5 <= len(splits) <= 150
    assert not (bars["close"].groupby(level=0).pct_change().abs() > 0.4).any()


def test_made_up_bars_end_where_the_calendar_does():
    with pytest.raises(DataError, match=r"has 1990-01-\d\d to 2035-12-\d\d"):
        fetch("AAA", date(1980, 1, 1), date(1981, 1, 1), SYNTHETIC)


def test_a_range_that_ends_before_it_starts_is_a_mistake():
    with pytest.raises(DataError, match=r"no prices from 2019-01-01 to 2019-01-01"):
        fetch("^GSPC", date(2019, 1, 1), date(2019, 1, 1), SAMPLE)
