import numpy as np
import pandas as pd
import pytest

from rnntrade.labels.targets import (
    direction,
    forward_risk_adjusted,
    future_regime,
    multi_step,
    next_return,
)

CLOSE = pd.Series([100.0, 110.0, 110.0, 99.0, 108.9], index=pd.bdate_range("2024-01-01", periods=5))


def test_targets_by_hand():
    np.testing.assert_allclose(next_return(CLOSE)[:-1], [0.1, 0.0, -0.1, 0.1])
    assert direction(CLOSE).tolist()[:-1] == [1.0, 0.0, 0.0, 1.0]
    two = multi_step(CLOSE, 2)
    np.testing.assert_allclose(two.iloc[:3], [[0.1, 0.0], [0.0, -0.1], [-0.1, 0.1]], atol=1e-12)
    assert future_regime(pd.Series([0.0, 1, 2, 3]), 2).tolist()[:2] == [2, 3]


def test_an_unknown_future_has_no_label():
    assert np.isnan(direction(CLOSE).iloc[-1])
    assert np.isnan(next_return(CLOSE).iloc[-1])
    assert multi_step(CLOSE, 2).iloc[-2:].isna().all().all()


def test_risk_adjusted_return_by_hand(prices):
    close = prices.bars("WHOLE")["close"]
    r = close.pct_change()
    t, h = 100, 5
    expected = r.iloc[t + 1 : t + 1 + h].mean() / r.iloc[t - 19 : t + 1].std()
    value = forward_risk_adjusted(close, h)
    assert value.iloc[t] == pytest.approx(expected)
    assert value.iloc[-h:].isna().all()
    assert value.iloc[-h - 1] == pytest.approx(r.iloc[-h:].mean() / r.iloc[-h - 20 : -h].std())


@pytest.mark.parametrize("horizon", [1, 5])
def test_labels_know_exactly_their_horizon_and_no_more(prices, horizon):
    close = prices.bars("HALTED")["close"]
    t = 310
    beyond, within = close.copy(), close.copy()
    beyond.iloc[t + horizon + 1 :] *= 1.5
    within.iloc[t + horizon :] *= 1.5
    known = multi_step(close, horizon).loc[: close.index[t]]
    pd.testing.assert_frame_equal(multi_step(beyond, horizon).loc[: close.index[t]], known)
    assert not np.allclose(multi_step(within, horizon).iloc[t], known.iloc[-1])
