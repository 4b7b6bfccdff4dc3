import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnntrade.errors import ConfigError
from rnntrade.features.indicators import FEATURES, INDICATORS, ticker_features

ROWS = 120


def closes(seed: int, rows: int = ROWS) -> list[float]:
    rng = np.random.default_rng(seed)
    return list(100.0 * np.exp(np.cumsum(rng.normal(0, 0.02, rows))))


def frame(values: list[float]) -> pd.DataFrame:
    return pd.DataFrame({"A": values}, index=pd.bdate_range("2020-01-01", periods=len(values)))


def by_hand(name: str, c: list[float], t: int) -> float:
    """The definitions again, in plain Python on lists, one value at a time."""
    r = [math.nan] + [c[i] / c[i - 1] - 1 for i in range(1, len(c))]

    def mean(x):
        return sum(x) / len(x)

    def std(x):
        m = mean(x)
        return math.sqrt(sum((v - m) ** 2 for v in x) / (len(x) - 1))

    def ema(x, n, t):
        w = [(1 - 2 / (n + 1)) ** k for k in range(t + 1)]
        return sum(w[k] * x[t - k] for k in range(t + 1)) / sum(w)

    def macd(t):
        return (ema(c, 12, t) - ema(c, 26, t)) / c[t]

    def last(x, n):
        return x[t - n + 1 : t + 1]

    kind, _, n = name.rpartition("_")
    if name == "returns":
        return r[t]
    if name == "log_returns":
        return math.log(c[t] / c[t - 1])
    if kind == "sma":
        return mean(last(c, int(n))) / c[t] - 1
    if kind == "ema":
        return ema(c, int(n), t) / c[t] - 1
    if name == "macd":
        return macd(t)
    if name in ("macd_signal", "macd_hist"):
        signal = ema([macd(i) for i in range(t + 1)], 9, t)
        return signal if name == "macd_signal" else macd(t) - signal
    if name == "rsi":
        change = [c[i] - c[i - 1] for i in range(t - 13, t + 1)]
        gain = mean([max(x, 0) for x in change])
        loss = mean([max(-x, 0) for x in change])
        return gain / (gain + loss) - 0.5
    m, s = mean(last(c, 20)), std(last(c, 20))
    if name == "bb_upper":
        return (m + 2 * s) / c[t] - 1
    if name == "bb_lower":
        return (m - 2 * s) / c[t] - 1
    if name == "bb_width":
        return 4 * s / c[t]
    if name == "bb_position":
        return (c[t] - (m - 2 * s)) / (4 * s) - 0.5
    if kind == "volatility":
        return std(last(r, int(n))) * math.sqrt(252)
    if kind == "momentum":
        return c[t] / c[t - int(n)] - 1
    if name == "return_sum_20":
        return sum(last(r, 20))
    raise AssertionError(name)


@pytest.mark.parametrize("name", FEATURES)
def test_every_feature_equals_its_definition_written_again(name):
    c = closes(1)
    computed = FEATURES[name](frame(c))["A"].to_numpy()
    for t in (49, 50, 77, ROWS - 1):
        assert computed[t] == pytest.approx(by_hand(name, c, t), rel=1e-9, abs=1e-12)


def test_the_first_usable_session_is_the_fiftieth_close():
    c = frame(closes(2))
    table = pd.DataFrame({name: FEATURES[name](c)["A"] for name in INDICATORS})
    assert list(table.columns) == list(INDICATORS)
    assert len(INDICATORS) == 20
    whole = table.notna().all(axis=1)
    assert not whole.iloc[:49].any()
    assert whole.iloc[49:].all()


def test_rsi_and_bands_where_nothing_or_only_one_side_moves():
    rising = frame([100.0 * 1.01**i for i in range(40)])
    falling = frame([100.0 * 0.99**i for i in range(40)])
    still = frame([100.0] * 40)
    moved_once = frame([90.0, 110.0, 95.3, *[100.1] * 60])
    assert FEATURES["rsi"](rising)["A"].iloc[-1] == pytest.approx(0.5, abs=1e-15)
    assert FEATURES["rsi"](falling)["A"].iloc[-1] == pytest.approx(-0.5, abs=1e-15)
    for flat in (still, moved_once):
        assert FEATURES["rsi"](flat)["A"].iloc[-1] == 0.0
        assert FEATURES["bb_position"](flat)["A"].iloc[-1] == 0.0
    assert FEATURES["rsi"](still)["A"].iloc[:14].isna().all()


@pytest.mark.parametrize("seed", [0, 1, 2, 3])  # of walks that leave pandas rounding to carry on
def test_a_window_that_is_flat_after_a_jump_has_no_deviation_at_all(seed):
    flat = frame([*closes(seed, 40), *[100.1] * 30])
    assert (FEATURES["bb_position"](flat)["A"].iloc[40 + 19 :] == 0.0).all()
    assert (FEATURES["bb_width"](flat)["A"].iloc[40 + 19 :] == 0.0).all()
    assert (FEATURES["volatility_10"](flat)["A"].iloc[40 + 10 :] == 0.0).all()
    assert (FEATURES["volatility_20"](flat)["A"].iloc[40 + 20 :] == 0.0).all()
    # one session earlier the window still holds what came before
    assert FEATURES["bb_width"](flat)["A"].iloc[40 + 18] > 0.0
    assert FEATURES["volatility_10"](flat)["A"].iloc[40 + 9] > 0.0


@pytest.mark.parametrize("name", FEATURES)
def test_no_feature_sees_the_future_even_around_holes(name, prices):
    """Whatever comes after t, row t and all before are the same to the last bit."""
    compute, close = FEATURES[name], prices.close
    whole = compute(close)
    for known in range(1, len(close), 37):
        for changed in (np.nan, 0.01, 1e6):
            other = close.copy()
            other.iloc[known:] = close.iloc[known:] * changed
            pd.testing.assert_frame_equal(
                compute(other).iloc[:known], whole.iloc[:known], check_exact=True
            )


@pytest.mark.parametrize("name", FEATURES)
def test_a_feature_is_missing_where_the_close_is(name, prices):
    values = FEATURES[name](prices.close)
    assert values[prices.close.isna()].isna().all().all()


@pytest.mark.parametrize("name", FEATURES)
def test_no_feature_edits_its_input(name, prices):
    before = prices.close.copy()
    FEATURES[name](prices.close)
    pd.testing.assert_frame_equal(prices.close, before)


@settings(max_examples=40)
@given(scale=st.floats(1e-3, 1e6), seed=st.integers(0, 50))
def test_features_do_not_depend_on_the_price_level(scale, seed):
    c = frame(closes(seed, 80))
    for feature in FEATURES.values():
        pd.testing.assert_frame_equal(feature(c * scale), feature(c), rtol=1e-6, atol=1e-9)


def test_one_ticker_alone_equals_its_column(prices):
    alone = ticker_features(prices.bars("WHOLE"), INDICATORS)
    for name in INDICATORS:
        together = FEATURES[name](prices.close)["WHOLE"]
        np.testing.assert_allclose(alone[name], together, rtol=1e-9, atol=1e-12)


def test_an_unknown_feature_gets_a_suggestion():
    with pytest.raises(ConfigError, match="Did you mean 'macd_hist'"):
        ticker_features(frame(closes(0)), ("macd_hst",))
