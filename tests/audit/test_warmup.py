"""What features need, and those that lie about it."""

import pandas as pd
import pytest

from rnntrade.audit.warmup import judged, warmup_table
from rnntrade.features import indicators
from rnntrade.features.indicators import FEATURES


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return warmup_table(FEATURES)


@pytest.mark.parametrize(
    ("feature", "needs"),
    [
        ("returns", 2),
        ("sma_10", 10),
        ("sma_50", 50),
        ("rsi", 15),
        ("bb_upper", 20),
        ("bb_position", 20),
        ("volatility_10", 11),
        ("volatility_20", 21),
        ("momentum_20", 21),
        ("return_sum_20", 21),
    ],
)
def test_a_window_needs_its_closes_and_starts_with_them(table, feature, needs):
    row = table.loc[feature]
    assert (row["needs"], row["first_defined"], row["memory"]) == (needs, needs, "window")
    assert row["left_at_60"] < 1e-9


@pytest.mark.parametrize("feature", ["ema_12", "ema_26", "macd", "macd_signal", "macd_hist"])
def test_an_exponential_average_fades_at_its_own_rate(table, feature):
    row = table.loc[feature]
    assert (row["memory"], row["first_defined"]) == ("decaying", 1)
    assert 100 < row["needs"] < 500
    if feature == "ema_26":  # (25 / 27)^n of a difference of about its own size
        assert 1e-3 < row["left_at_60"] < 1.0


def test_the_features_keep_their_promises(table):
    audited = judged(table)
    assert [each.sentence() for each in audited.findings] == []
    assert audited.clean
    assert table["first_defined"].max() <= 50


def partial(close: pd.DataFrame) -> pd.DataFrame:
    return close.rolling(20, min_periods=1).mean() / close - 1.0


def since_the_start(close: pd.DataFrame) -> pd.DataFrame:
    return close / close.expanding().mean() - 1.0


def from_the_first_close(close: pd.DataFrame) -> pd.DataFrame:
    return close / close.iloc[0] - 1.0


def filled(close: pd.DataFrame) -> pd.DataFrame:
    return indicators.sma_ratio(close, 20).bfill()


def slow(close: pd.DataFrame) -> pd.DataFrame:
    return indicators.sma_ratio(close, 80)


@pytest.mark.parametrize(
    ("feature", "kind"),
    [
        (partial, "partial window"),
        (filled, "partial window"),
        (since_the_start, "depends on the start of the sample"),
        (from_the_first_close, "depends on the start of the sample"),
        (slow, "usable later than promised"),
    ],
)
def test_a_feature_that_breaks_them_is_named(feature, kind):
    (found,) = judged(warmup_table({"odd": feature}), ["odd"]).findings
    assert (found.check, found.stage, found.series, found.kind) == (
        *("warm-up", "features", "odd"),
        kind,
    )
