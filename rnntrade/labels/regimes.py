"""Market regimes, by rule: 0 Bear, 1 Consolidation, 2 Bull, 3 High volatility; or statistical.

The rule compares a ticker's volatility with quantiles of its own past.  Statistical regimes are the
states of a hidden Markov or a jump model, 0 the calmest, and filtered: at t they know t and before.
What is learned from which sessions is the caller's choice, and the only way for the future to get
in.  Names of the classes: `rnntrade.types.regime_names`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from rnntrade.config import LabelConfig
from rnntrade.errors import DataError
from rnntrade.features.indicators import return_sum, simple_return, volatility
from rnntrade.labels.hmm import HiddenMarkov, filter_hmm, fit_hmm
from rnntrade.labels.jump import JumpStates, filter_jump, fit_jump, jump_features
from rnntrade.types import Boundary, Thresholds

BEAR, CONSOLIDATION, BULL, HIGH_VOLATILITY = range(4)

FEWEST_VOLATILITIES = 20  # of a training part: quantiles of fewer say nothing

StateModel = HiddenMarkov | JumpStates


@dataclass(frozen=True, eq=False)
class Labels:
    """Regimes of all tickers, as one fold's training part defines them."""

    boundary: Boundary
    regimes: pd.DataFrame  # (T, K) class; NaN: not known, or not traded
    thresholds: Mapping[str, Thresholds]  # by ticker
    states: Mapping[str, StateModel]  # by ticker; of the statistical kinds
    classes: tuple[str, ...]  # names, by number


class Regimes(NamedTuple):
    """The regimes of one ticker, and all that was learned to tell them apart."""

    classes: pd.Series  # (T,) class or NaN
    thresholds: Thresholds  # of volatility in the training part; what kind "rule" decides by
    states: StateModel | None  # what the other kinds decide by
    unlearned: str = ""  # why the training part taught nothing, and the cure


def regime_inputs(close: pd.Series, config: LabelConfig) -> pd.DataFrame:
    """(T, 2) columns `ret` (sum of the last returns) and `vol` (their deviation, per year)."""
    table = close.to_frame("close")
    return pd.DataFrame(
        {
            "ret": return_sum(table, config.lookback)["close"],
            "vol": volatility(table, config.lookback, config.sessions_per_year)["close"],
        },
        index=close.index,
    )


def learn_thresholds(vol: pd.Series) -> Thresholds:
    """Median and 75 % quantile of the volatilities given: give the training part, no more.

    errors   DataError when fewer than FEWEST_VOLATILITIES of them are known
    """
    known = int(vol.notna().sum())
    if known < FEWEST_VOLATILITIES:
        raise DataError(
            f"the training part has {known or 'no'} session{'' if known == 1 else 's'} with a "
            f"known volatility, and thresholds take {FEWEST_VOLATILITIES}: too few sessions "
            "before the validation part.  Use an earlier start or a smaller test part."
        )
    return Thresholds(float(vol.quantile(0.5)), float(vol.quantile(0.75)))


def expanding_thresholds(vol: pd.Series, min_sessions: int = 252) -> pd.DataFrame:
    """(T, 2) columns `median` and `upper`; row t knows volatilities up to t, NaN before enough."""
    past = vol.expanding(min_sessions)
    return pd.DataFrame({"median": past.quantile(0.5), "upper": past.quantile(0.75)})


def classify(
    ret: pd.Series,
    vol: pd.Series,
    median: float | pd.Series,
    upper: float | pd.Series,
    config: LabelConfig,
) -> pd.Series:
    """Regime of each session, the first rule that matches; NaN where an input is missing.

    ret, vol       (T,) as from `regime_inputs`
    median, upper  thresholds on vol, one for all or one a session
    """
    rules = [vol > upper, (ret < config.bear_return) & (vol > median), ret > config.bull_return]
    regime = np.select(rules, [HIGH_VOLATILITY, BEAR, BULL], default=CONSOLIDATION).astype(float)
    known = ret.notna() & vol.notna() & pd.notna(median) & pd.notna(upper)
    return pd.Series(np.where(known, regime, np.nan), index=ret.index, name="regime")


def learn_regimes(
    close: pd.Series, config: LabelConfig, training: tuple[pd.Timestamp, pd.Timestamp]
) -> Regimes:
    """Regimes of one ticker, and the thresholds that a model trained on `training` may know.

    close     (T,) on the sessions that the ticker traded
    training  first and last session that may be learned from, both included
    returns   (T,) classes 0..3 or NaN; thresholds (of the last training session, if expanding),
              by which the statistical kinds decide nothing.  NaN throughout for a ticker whose
              training part is too short, or whose prices stand still there: it was listed later,
              and what others taught says nothing of its own volatility
    """
    thresholds, states, unlearned = Thresholds(float("nan"), float("nan")), None, ""
    try:
        if config.kind != "rule":
            states = fit_states(close.loc[: training[1]], config, training[0])
        thresholds = _thresholds(close, config, training)
    except DataError as error:
        unlearned = str(error)
    classes = regimes_as_learned(close, config, thresholds, states)
    return Regimes(classes, thresholds, states, unlearned)


def regimes_as_learned(
    close: pd.Series, config: LabelConfig, thresholds: Thresholds, states: StateModel | None
) -> pd.Series:
    """Regime of each session by what a training part has taught, as `learn_regimes` tells them.

    close    (T,) on the sessions that the ticker traded; expanding thresholds need all of the past,
             and apply once a ticker has its own
    row t    sees closes up to and including t
    """
    if config.kind != "rule":
        nothing = pd.Series(np.nan, close.index, name="regime")
        return nothing if states is None or close.empty else filter_states(close, states)
    inputs = regime_inputs(close, config)
    ret, vol = inputs["ret"], inputs["vol"]
    if config.thresholds == "expanding":
        rows = expanding_thresholds(vol, config.min_sessions)
        return classify(ret, vol, rows["median"], rows["upper"], config)
    return classify(ret, vol, thresholds.median, thresholds.upper, config)


def fit_states(close: pd.Series, config: LabelConfig, first: pd.Timestamp) -> StateModel:
    """The statistical model of a training part, of kind "hmm" or "jump".

    close  (T,) up to the last session that may be learned from
    first  session of the training part; older ones only complete the features of its first rows
    """
    returns = _returns(close)
    if config.kind == "hmm":
        return fit_hmm(returns.loc[first:].to_numpy(float), config.states)
    features = jump_features(returns).loc[first:].dropna()
    known = returns.loc[features.index].to_numpy(float)
    return fit_jump(features.to_numpy(float), known, config.states, config.jump_penalty)


def filter_states(close: pd.Series, states: StateModel) -> pd.Series:
    """(T,) state of each session as known at its close: 0 (the calmest) .. S-1, or NaN.

    close  (T,) on the sessions that the ticker traded, beginning anywhere
    row t  sees closes up to and including t
    """
    returns = _returns(close)
    if isinstance(states, HiddenMarkov):
        days, state = returns.index, filter_hmm(states, returns.to_numpy(float)).argmax(axis=1)
    else:
        features = jump_features(returns).dropna()
        days, state = features.index, filter_jump(states, features.to_numpy(float))
    return pd.Series(state, days, float, "regime").reindex(close.index)


def _returns(close: pd.Series) -> pd.Series:
    """Known returns of single sessions, without the first."""
    return simple_return(close.to_frame("close"))["close"].dropna()


def _thresholds(
    close: pd.Series, config: LabelConfig, training: tuple[pd.Timestamp, pd.Timestamp]
) -> Thresholds:
    vol = regime_inputs(close, config)["vol"]
    if config.thresholds == "expanding":
        rows = expanding_thresholds(vol, config.min_sessions)
        known = rows.loc[: training[1]].dropna()
        if known.empty:
            raise DataError(
                f"expanding thresholds need {config.min_sessions} sessions before "
                f"{training[1]:%Y-%m-%d}.  Use an earlier start or labels.thresholds=training."
            )
        return Thresholds(float(known["median"].iloc[-1]), float(known["upper"].iloc[-1]))
    leaky = config.thresholds == "full_sample"
    return learn_thresholds(vol if leaky else vol.loc[training[0] : training[1]])
