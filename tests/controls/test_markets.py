"""The markets: real prices whose future was made unforeseeable, and nothing else changed."""

import numpy as np
import pandas as pd
import pytest

from rnntrade.controls.markets import CONTROLS, make_market, shift_around, shuffle_blocks
from rnntrade.controls.run import VERSIONS, prepare
from rnntrade.errors import ConfigError
from rnntrade.objectives.direction import direction

pytestmark = pytest.mark.filterwarnings("ignore:Series.values returning")  # exchange_calendars' own
MODEL = VERSIONS["fast"].model


def returns_of(bars: pd.DataFrame) -> np.ndarray:
    return bars["close"].pct_change().to_numpy()[1:]


@pytest.mark.parametrize("name", CONTROLS)
def test_each_part_has_the_samples_that_the_control_states(name: str):
    samples, fold = prepare(name, MODEL, seed=0)
    control = CONTROLS[name]
    known = np.isfinite(samples.target[fold.test, 0])
    assert len(fold.training) == control.training
    assert len(fold.validation) == control.validation
    assert known.sum() == control.test
    assert list(np.flatnonzero(~known)) == [control.test]  # the last decision's future


def test_shifted_labels_are_the_same_labels_at_least_a_year_off():
    labels = pd.Series([*range(1000), np.nan])
    for seed in range(20):
        moved = shift_around(labels, np.random.default_rng(seed))
        assert sorted(moved.dropna()) == list(range(1000))
        assert np.isnan(moved.iloc[-1])
        off = (moved.iloc[:-1] - labels.iloc[:-1]) % 1000
        assert off.min() == off.max()
        assert 252 <= off.iloc[0] <= 748


def test_n3_keeps_the_prices_and_moves_the_labels():
    bars, labels = make_market("N3", 0, 5000)
    other, moved = make_market("N3", 1, 5000)
    pd.testing.assert_frame_equal(bars, other)
    assert (labels == direction(bars["close"])).mean() < 0.6  # as if of another time
    assert (labels == moved).mean() < 0.6
    assert labels.sum() == direction(bars["close"]).sum()


def test_n4_keeps_the_returns_and_their_order_within_a_block():
    original = make_market("N3", 0, 2001)[0]
    shuffled = shuffle_blocks(original, np.random.default_rng(0))
    before, after = returns_of(original), returns_of(shuffled)
    np.testing.assert_allclose(np.sort(after), np.sort(before), atol=1e-12)
    place = {round(value, 10): t for t, value in enumerate(before)}
    steps = np.diff([place.get(round(value, 10), -1) for value in after])
    assert 0.94 <= (steps == 1).mean() < 0.96  # 19 of 20
    assert not np.allclose(before, after)
    assert (shuffled.index == original.index).all()
    prices = shuffled[["open", "high", "low", "close"]]
    assert (prices.max(axis=1) <= shuffled["high"] * (1 + 1e-12)).all()
    assert (prices.min(axis=1) >= shuffled["low"] * (1 - 1e-12)).all()


def test_the_same_seed_makes_the_same_market_and_another_another():
    for name in CONTROLS:
        (one, labels), (again, same), (_, others) = (make_market(name, s, 3000) for s in (3, 3, 4))
        pd.testing.assert_frame_equal(one, again)
        pd.testing.assert_series_equal(labels, same)
        assert not labels.equals(others)


def test_an_unknown_control_is_told():
    with pytest.raises(ConfigError, match=r"no control 'P9'.*P1, P2"):
        make_market("P9", 0, 100)
