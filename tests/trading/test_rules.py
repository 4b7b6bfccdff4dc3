import numpy as np
import pandas as pd
import pytest

from rnntrade.trading.positions import (
    RULES,
    momentum_12_1,
    moving_average_cross,
    volatility_targeted_hold,
)


def walk(returns: list[float]) -> pd.DataFrame:
    days = pd.bdate_range("2020-01-01", periods=len(returns) + 1)
    return pd.DataFrame({"A": 100 * np.cumprod([1.0, *np.add(1, returns)])}, index=days)


def test_trend_rules_by_hand():
    close = walk([0.01] * 260 + [-0.02] * 260)
    cross, momentum = moving_average_cross(close)["A"], momentum_12_1(close)["A"]
    assert cross.iloc[:199].isna().all()
    assert (cross.iloc[199:261] == 1.0).all()
    assert cross.iloc[-1] == 0.0
    assert momentum.iloc[:252].isna().all()
    assert (momentum.iloc[252:270] == 1.0).all()  # the newest month does not count
    assert momentum.iloc[-1] == 0.0


def test_volatility_target_by_hand():
    close = walk([0.02, -0.02] * 30)
    position = volatility_targeted_hold(close)["A"].dropna()
    deviation = np.std([0.02, -0.02] * 10, ddof=1) * np.sqrt(252)
    assert position.iloc[-1] == pytest.approx(0.10 / deviation)
    assert volatility_targeted_hold(walk([0.001, 0.0] * 30))["A"].max() == 1.0


@pytest.mark.parametrize("name", RULES)
def test_no_rule_sees_the_future(name, prices):
    whole = RULES[name](prices.close)
    for known in (210, 300, 450, 699):
        other = prices.close.copy()
        other.iloc[known:] *= 3.0
        pd.testing.assert_frame_equal(RULES[name](other).iloc[:known], whole.iloc[:known])
    known_values = whole.to_numpy()[np.isfinite(whole.to_numpy())]
    assert len(known_values) > 300
    assert ((known_values >= 0.0) & (known_values <= 1.0)).all()
