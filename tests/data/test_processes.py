"""Markets whose best accuracy is known: they are what they say."""

from dataclasses import replace
from datetime import date
from itertools import product

import numpy as np
import pandas as pd
import pytest

from rnntrade.config import DataConfig
from rnntrade.data import synthetic
from rnntrade.data.checks import check
from rnntrade.data.sources import fetch
from rnntrade.data.synthetic import SIGNS, best_accuracy, filter_p3, garch_sizes
from rnntrade.errors import ConfigError

pytestmark = pytest.mark.filterwarnings("ignore:Series.values returning")  # exchange_calendars' own
DECADES = (date(1990, 1, 1), date(2035, 12, 31))
NAMES = list(SIGNS)


def bars_of(process: str, seed: int = 0, ticker: str = "AAA") -> pd.DataFrame:
    config = replace(DataConfig(source="synthetic"), process=process, seed=seed)
    return fetch(ticker, *DECADES, config)[0]


def signs_of(bars: pd.DataFrame) -> np.ndarray:
    return np.sign(np.diff(bars["close"].to_numpy())).astype(int)


def forecast(process: str, signs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What one who knows the process says, and what came."""
    if process == "p1":
        return signs[:-1], signs[1:]
    if process == "p2":
        return signs[2:-1] * signs[:-3], signs[3:]
    return np.where(filter_p3(signs)[:-1] > 0.5, 1, -1), signs[1:]


@pytest.mark.parametrize("process", ["p1", "p2", "p3"])
def test_who_knows_the_process_scores_the_best_accuracy(process: str):
    best = best_accuracy(process)
    for seed in range(5):
        said, came = forecast(process, signs_of(bars_of(process, seed)))
        assert abs((said == came).mean() - best.accuracy) < 4 * best.deviation(len(came))


@pytest.mark.parametrize("process", ["n1", "n2"])
def test_no_forecast_from_the_last_four_signs_beats_a_coin_on_noise(process: str):
    signs = signs_of(bars_of(process))
    assert best_accuracy(process).accuracy == 0.5
    said = [signs[3:-1], signs[3:-1] * signs[1:-3], np.ones(len(signs) - 4)]
    for each in said:
        assert abs((each == signs[4:]).mean() - 0.5) < 4 * 0.5 / np.sqrt(len(signs))


def test_parity_hides_from_every_single_sign():
    signs = signs_of(bars_of("p2"))
    for lag in range(1, 8):
        agree = (signs[lag:] == signs[:-lag]).mean()
        assert abs(agree - 0.5) < 5 * 0.5 / np.sqrt(len(signs)), lag


def test_signs_and_magnitudes_are_drawn_apart():
    days = pd.date_range("2000-01-01", periods=2000, name="date")
    held = days.day_of_week < 5
    tables = [
        synthetic.generate_process(name, days, np.asarray(held), 7) for name in ("p1", "n2", "p3")
    ]
    sizes = [np.abs(np.diff(np.log(table["close"]))) for table in tables]
    np.testing.assert_allclose(sizes[0], sizes[1], rtol=1e-9)
    np.testing.assert_allclose(sizes[0], sizes[2], rtol=1e-9)
    assert (signs_of(tables[0]) != signs_of(tables[1])).any()


def test_magnitudes_follow_garch_by_hand():
    first = np.sqrt(5e-5) * 2.0
    second = np.sqrt(1e-6 + 0.08 * first**2 + 0.90 * 5e-5)
    np.testing.assert_allclose(garch_sizes(np.array([2.0, -1.0])), [first, second], rtol=1e-12)


def test_volatility_clusters_where_it_should():
    walk, garch = (pd.Series(np.abs(np.diff(np.log(bars_of(n)["close"])))) for n in ("n1", "n2"))
    assert abs(walk.autocorr(1)) < 0.04 < garch.autocorr(1)
    assert garch.kurt() > walk.kurt() + 3


def test_the_filter_equals_the_sum_over_all_hidden_paths():
    up, stays = {0: 0.25, 1: 0.75}, {True: 0.98, False: 0.02}
    signs = np.array([1, 1, -1, 1, 1])
    total = rising = 0.0
    for path in product((0, 1), repeat=len(signs) + 1):
        chance = 0.5
        for t, sign in enumerate(signs):
            chance *= up[path[t]] if sign > 0 else 1 - up[path[t]]
            chance *= stays[path[t] == path[t + 1]]
        total += chance
        rising += chance * up[path[-1]]
    assert filter_p3(signs)[-1] == pytest.approx(rising / total, rel=1e-12)


def test_the_best_accuracy_of_hidden_regimes_is_known_to_a_thousandth():
    best = best_accuracy("p3")
    assert 0 < best.error < 0.001
    assert 0.65 < best.accuracy < 0.75  # less than if the state were seen, more than chance
    assert best.deviation(3000) > np.sqrt(best.accuracy * (1 - best.accuracy) / 3000)


def test_the_best_accuracy_of_the_others_is_exact():
    for process, accuracy in {"p1": 0.60, "p2": 0.65, "n1": 0.5, "n2": 0.5}.items():
        best = best_accuracy(process)
        assert (best.accuracy, best.error) == (accuracy, 0.0)
        assert best.deviation(100) == pytest.approx(np.sqrt(accuracy * (1 - accuracy) / 100))
    with pytest.raises(ConfigError, match=r"regimes.*not known.*p1, p2, p3, n1, n2"):
        best_accuracy("regimes")


@pytest.mark.parametrize("process", NAMES)
def test_bars_open_at_the_previous_close_and_pass_every_check(process: str):
    bars = bars_of(process)
    np.testing.assert_array_equal(bars["open"].to_numpy()[1:], bars["close"].to_numpy()[:-1])
    pd.testing.assert_series_equal(bars["close"], bars["raw_close"], check_names=False)
    assert check(bars, "AAA", "XNYS", *DECADES) == []
    assert (signs_of(bars) != 0).all()


@pytest.mark.parametrize("process", NAMES)
def test_seed_and_ticker_alone_decide_each_bar(process: str):
    whole = bars_of(process)
    config = replace(DataConfig(source="synthetic"), process=process)
    part = fetch("AAA", date(2010, 3, 1), date(2011, 3, 1), config)[0]
    pd.testing.assert_frame_equal(part, whole.loc["2010-03-01":"2011-02-28"])
    for other in (bars_of(process, seed=1), bars_of(process, ticker="BBB")):
        assert (signs_of(other) == signs_of(whole)).mean() < 0.55


def test_the_default_process_is_as_before():
    bars = fetch("AAA", *DECADES, DataConfig(source="synthetic"))[0]
    assert not np.array_equal(bars["open"].to_numpy()[1:], bars["close"].to_numpy()[:-1])
