import numpy as np
import pandas as pd
import pytest

from rnntrade.objectives.direction import direction
from rnntrade.objectives.returns import multi_step

CLOSE = pd.Series([100.0, 110.0, 110.0, 99.0, 108.9], index=pd.bdate_range("2024-01-01", periods=5))


def test_targets_by_hand():
    assert direction(CLOSE).tolist()[:-1] == [1.0, 0.0, 0.0, 1.0]
    two = multi_step(CLOSE, 2)
    np.testing.assert_allclose(two.iloc[:3], [[0.1, 0.0], [0.0, -0.1], [-0.1, 0.1]], atol=1e-12)


def test_an_unknown_future_has_no_label():
    assert np.isnan(direction(CLOSE).iloc[-1])
    assert multi_step(CLOSE, 2).iloc[-2:].isna().all().all()


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
