import numpy as np
import pandas as pd
import pytest

from rnntrade.config import TradingConfig
from rnntrade.trading.positions import allocate, confidence, decide, random_positions

PROBABILITY = pd.DataFrame({"A": [0.9, 0.56, 0.55, 0.5, 0.45, 0.2, np.nan]})


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (TradingConfig(), [1, 1, 0, 0, 0, -1, np.nan]),  # the band's edges belong to it
        (TradingConfig(dead_band=0.0), [1, 1, 1, 0, -1, -1, np.nan]),
        (TradingConfig(sizing="confidence"), [0.8, 0.12, 0, 0, 0, -0.6, np.nan]),
        (TradingConfig(long_only=True), [1, 1, 0, 0, 0, 0, np.nan]),
        (TradingConfig(sizing="confidence", long_only=True), [0.8, 0.12, 0, 0, 0, 0, np.nan]),
    ],
)
def test_positions_by_hand(config, expected):
    pd.testing.assert_frame_equal(
        decide(PROBABILITY, config), pd.DataFrame({"A": expected}, dtype=float)
    )


def test_confidence_is_the_distance_from_a_coin():
    expected = pd.DataFrame({"A": [0.8, 0.12, 0.1, 0.0, 0.1, 0.6, np.nan]})
    pd.testing.assert_frame_equal(confidence(PROBABILITY), expected)


def test_a_logit_is_refused():
    with pytest.raises(ValueError, match="logits"):
        decide(pd.DataFrame({"A": [0.5, 1.2]}), TradingConfig())


def test_no_ticker_gets_more_than_its_share():
    position = pd.DataFrame({"A": [1.0, -1.0], "B": [1.0, np.nan]})
    expected = pd.DataFrame({"A": [0.5, -0.5], "B": [0.5, np.nan]})
    pd.testing.assert_frame_equal(allocate(position), expected)


def test_random_positions_hold_the_same_at_other_times():
    rng = np.random.default_rng(0)
    position = pd.DataFrame(rng.choice([-1.0, 0.0, 1.0, np.nan], size=(500, 2)), columns=["A", "B"])
    standing = position.ffill().fillna(0.0)
    drawn = random_positions(position, seed=1)

    def turnover(table: pd.DataFrame) -> pd.Series:
        return table.diff().abs().sum()

    assert (np.sort(drawn, axis=0) == np.sort(standing, axis=0)).all()
    assert ((turnover(drawn) - turnover(standing)).abs() <= 2).all()  # the seam
    assert not drawn.equals(standing)
    assert drawn.equals(random_positions(position, seed=1))
    assert not drawn.equals(random_positions(position, seed=2))
