import numpy as np
import pandas as pd
import pytest

from rnntrade.config import LabelConfig
from rnntrade.errors import DataError
from rnntrade.labels.hmm import HiddenMarkov, fit_hmm
from rnntrade.labels.jump import JumpStates
from rnntrade.labels.regimes import (
    classify,
    expanding_thresholds,
    filter_states,
    label_regimes,
    learn_regimes,
    learn_thresholds,
    regime_inputs,
    regimes_as_learned,
)

CONFIG = LabelConfig()
NAN = float("nan")


def test_the_first_rule_that_matches_wins():
    #               high vol; bear; bull; between; both bear and high; calm fall; edges; unknown
    ret = pd.Series([0.05, -0.05, 0.05, 0.00, -0.05, -0.05, 0.02, -0.02, NAN])
    vol = pd.Series([0.31, 0.25, 0.10, 0.25, 0.40, 0.15, 0.10, 0.25, 0.10])
    assert classify(ret, vol, 0.2, 0.3, CONFIG).tolist()[:-1] == [3, 0, 2, 1, 3, 1, 1, 1]
    assert np.isnan(classify(ret, vol, 0.2, 0.3, CONFIG).iloc[-1])


def test_exactly_at_a_threshold_is_not_above_it():
    ret, vol = pd.Series([-0.05, -0.05]), pd.Series([0.3, 0.2])
    assert classify(ret, vol, 0.2, 0.3, CONFIG).tolist() == [0, 1]


def test_inputs_by_hand():
    close = pd.Series(100.0 * np.cumprod([1.0] + [1.01, 0.98] * 15))
    inputs = regime_inputs(close, CONFIG)
    assert inputs.iloc[:20].isna().all().all()
    assert inputs["ret"].iloc[20] == pytest.approx(10 * 0.01 - 10 * 0.02)
    r = np.array([0.01, -0.02] * 10)
    assert inputs["vol"].iloc[20] == pytest.approx(r.std(ddof=1) * np.sqrt(252))


def test_thresholds_come_from_the_training_part_alone(prices):
    close = prices.bars("WHOLE")["close"]
    span = (close.index[0], close.index[399])
    before, learned = label_regimes(close, CONFIG, span)
    wild = close.copy()
    wild.iloc[400:] *= np.exp(np.cumsum(np.random.default_rng(5).normal(0, 0.1, len(close) - 400)))
    after, again = label_regimes(wild, CONFIG, span)
    assert learned == again
    pd.testing.assert_series_equal(before.iloc[:400], after.iloc[:400])
    vol = regime_inputs(close, CONFIG)["vol"]
    assert learned == learn_thresholds(vol.iloc[:400])
    assert learned.median == pytest.approx(np.nanquantile(vol.iloc[:400], 0.5))
    assert learned.upper == pytest.approx(np.nanquantile(vol.iloc[:400], 0.75))


def test_expanding_thresholds_never_repaint(prices):
    close = prices.bars("WHOLE")["close"]
    vol = regime_inputs(close, CONFIG)["vol"]
    rows = expanding_thresholds(vol)
    assert rows.iloc[: 20 + 251].isna().all().all()
    assert rows["median"].iloc[20 + 251] == pytest.approx(vol.iloc[:272].median())
    for known in (300, 450, 699):
        pd.testing.assert_frame_equal(expanding_thresholds(vol.iloc[:known]), rows.iloc[:known])
    labels, learned = label_regimes(
        close, LabelConfig(thresholds="expanding"), (close.index[0], close.index[400])
    )
    assert labels.iloc[: 20 + 251].isna().all()
    assert learned.upper == rows["upper"].iloc[400]


def test_whole_sample_thresholds_do_look_ahead_which_is_why_they_are_called_leaky(prices):
    close = prices.bars("WHOLE")["close"]
    _, learned = label_regimes(
        close, LabelConfig(thresholds="full_sample"), (close.index[0], close.index[100])
    )
    assert learned == learn_thresholds(regime_inputs(close, CONFIG)["vol"])


@pytest.mark.parametrize("until", [10, 38])
def test_too_short_a_training_part_teaches_no_regime_and_says_why(prices, until):
    close = prices.bars("WHOLE")["close"]
    learned = learn_regimes(close, CONFIG, (close.index[0], close.index[until]))
    assert learned.classes.isna().all()
    assert np.isnan([learned.thresholds.median, learned.thresholds.upper]).all()
    assert "known volatility" in learned.unlearned
    enough = learn_regimes(close, CONFIG, (close.index[0], close.index[39]))
    assert enough.unlearned == ""
    with pytest.raises(DataError, match="known volatility"):
        learn_thresholds(regime_inputs(close, CONFIG)["vol"].iloc[: until + 1])


def test_expanding_thresholds_need_no_training_part(prices):
    close = prices.bars("WHOLE")["close"]
    config = LabelConfig(thresholds="expanding")
    learned = learn_regimes(close, config, (close.index[0], close.index[100]))
    assert "expanding thresholds need 252" in learned.unlearned
    longer = learn_regimes(close, config, (close.index[0], close.index[400]))
    pd.testing.assert_series_equal(learned.classes, longer.classes)


STATISTICAL = [LabelConfig(kind=kind, states=n) for kind in ("hmm", "jump") for n in (2, 3)]


def turning(sessions: int = 1100, seed: int = 0) -> pd.Series:
    """Closes of a market whose half-years are calm, livelier, wild, and calm again."""
    generator = np.random.default_rng(seed)
    stage = (np.arange(sessions) // 126) % 3
    noise = generator.normal(size=sessions)
    returns = np.array([0.001, 0.0, -0.002])[stage] + np.array([0.005, 0.012, 0.03])[stage] * noise
    days = pd.bdate_range("2010-01-01", periods=sessions, name="date")
    return pd.Series(100.0 * np.cumprod(1.0 + returns), days, name="close")


@pytest.mark.parametrize("config", STATISTICAL, ids=lambda c: f"{c.kind}{c.states}")
def test_states_are_learned_from_the_training_part_and_never_repaint(config):
    close = turning()
    span = (close.index[100], close.index[799])
    learned = learn_regimes(close, config, span)
    other = close.copy()
    other.iloc[800:] *= np.exp(np.cumsum(np.random.default_rng(5).normal(0, 0.1, 300)))
    again = learn_regimes(other, config, span)
    assert again.states == learned.states
    assert again.thresholds == learned.thresholds
    pd.testing.assert_series_equal(again.classes.iloc[:800], learned.classes.iloc[:800])
    for known in (850, 1000, 1099):  # nor does a state of the test part
        pd.testing.assert_series_equal(
            filter_states(close.iloc[:known], learned.states), learned.classes.iloc[:known]
        )


@pytest.mark.parametrize("config", STATISTICAL, ids=lambda c: f"{c.kind}{c.states}")
def test_the_last_state_is_the_most_volatile(config):
    close = turning()
    regime, _ = label_regimes(close, config, (close.index[0], close.index[799]))
    assert regime.name == "regime"
    assert regime.index.equals(close.index)
    assert set(regime.dropna()) == set(range(config.states))
    assert regime.iloc[60:].notna().all()
    deviation = close.pct_change().groupby(regime).std()
    assert deviation.is_monotonic_increasing
    assert deviation.iloc[-1] > 2 * deviation.iloc[0]


def test_which_model_and_what_it_learns_from():
    close = turning()
    span = (close.index[200], close.index[799])
    assert learn_regimes(close, CONFIG, span).states is None
    jump = learn_regimes(close, LabelConfig(kind="jump", jump_penalty=7.0), span).states
    assert isinstance(jump, JumpStates)
    assert jump.penalty == 7.0
    hmm = learn_regimes(close, LabelConfig(kind="hmm"), span)
    assert isinstance(hmm.states, HiddenMarkov)
    assert hmm.states == fit_hmm(close.pct_change().iloc[200:800].to_numpy(), 2)
    vol = regime_inputs(close, CONFIG)["vol"]
    assert hmm.thresholds == learn_thresholds(vol.iloc[200:800])


def test_a_session_that_was_not_traded_is_no_step_of_the_chain(prices):
    close = prices.bars("HALTED")["close"]
    regime, _ = label_regimes(close, LabelConfig(kind="hmm"), (close.index[0], close.index[500]))
    assert regime.index.equals(close.index)
    assert np.isnan(regime.iloc[0])
    assert regime.iloc[1:].notna().all()


@pytest.mark.parametrize("kind", ["hmm", "jump"])
def test_a_training_part_too_short_for_states_teaches_none_and_says_why(kind):
    close = turning()
    short = learn_regimes(close, LabelConfig(kind=kind), (close.index[0], close.index[150]))
    assert short.states is None
    assert short.classes.isna().all()
    assert "200 sessions of training" in short.unlearned
    still = pd.Series(np.full(500, 50.0), close.index[:500])
    nothing = learn_regimes(still, LabelConfig(kind=kind), (still.index[0], still.index[400]))
    assert "equal" in nothing.unlearned or "there are 0" in nothing.unlearned


@pytest.mark.parametrize("kind", ["rule", "hmm", "jump"])
def test_a_ticker_without_any_bar_has_no_regimes(kind):
    close = turning()
    config = LabelConfig(kind=kind)
    learned = learn_regimes(close, config, (close.index[0], close.index[799]))
    none = regimes_as_learned(close.iloc[:0], config, learned.thresholds, learned.states)
    assert none.empty
