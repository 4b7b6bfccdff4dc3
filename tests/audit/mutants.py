"""Planted leaks, one a mutant: a stage of the chain as people really get it wrong.

A mutant says which stage must be named and which words its kind must hold.
"""

from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Literal
from unittest.mock import patch

import numpy as np
import pandas as pd

from rnntrade.audit.causality import SMALL, audit_causality
from rnntrade.audit.findings import Audited, merge
from rnntrade.audit.line import Line
from rnntrade.audit.oracles import audit_engine
from rnntrade.audit.replay import audit_served
from rnntrade.chain import CHAIN, Chain, predict_latest
from rnntrade.config import Experiment, TradingConfig
from rnntrade.features.indicators import ticker_features
from rnntrade.labels.regimes import (
    Regimes,
    classify,
    learn_regimes,
    learn_thresholds,
    regime_inputs,
)
from rnntrade.labels.targets import direction, multi_step
from rnntrade.models.calibration import fit_temperature
from rnntrade.samples.splits import assign
from rnntrade.samples.windows import fit_scaler, make_samples
from rnntrade.trading.backtest import backtest
from rnntrade.trading.costs import at_cost
from rnntrade.trading.positions import regime_filter
from rnntrade.training import loop
from rnntrade.training.loop import train
from rnntrade.training.predict import predict
from rnntrade.types import Fold, Prices, Samples, Scaler
from tests.audit.experiments import experiment


@dataclass(frozen=True)
class Mutant:
    """One planted leak."""

    name: str
    chain: Chain
    stage: str  # that the audit must name
    kind: str  # words that the finding's kind must hold
    models: tuple[str, ...] = ()  # that the audit needs to see it
    series: str = ""  # words that the finding's series must hold
    features: tuple[str, ...] = ("returns",)  # that are audited
    regime_filter: Literal["off", "half", "flat"] = "off"


# Features: a table of one ticker, (T, F) on the sessions that it traded.


def of_features(change: Callable[[pd.DataFrame], pd.DataFrame]) -> Chain:
    return replace(CHAIN, features=lambda bars, names: change(ticker_features(bars, names)))


def one_column(
    name: str, change: Callable[[pd.Series], pd.Series]
) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """Only one feature is leaky: the audit must name it, and no other."""
    return lambda table: table.assign(**{name: change(table[name])}) if name in table else table


def future_maximum(values: pd.Series) -> pd.Series:
    return values / values[::-1].cummax()[::-1]


def winsorised(values: pd.Series) -> pd.Series:
    return values.clip(values.quantile(0.02), values.quantile(0.98))


# Prices: what is done to all bars before anything else.


def scaled_prices(prices: Prices, factor: pd.DataFrame | pd.Series) -> Prices:
    names = ("open", "high", "low", "close")
    return replace(prices, **{name: getattr(prices, name) * factor for name in names})


def divided_by_last_close(prices: Prices) -> Prices:
    return scaled_prices(prices, 1.0 / prices.close.ffill().iloc[-1])


def adjusted_for_later_splits(prices: Prices) -> Prices:
    """Back-adjusts by jumps of the price itself: a later one rewrites all that came before."""
    step = prices.close / prices.close.ffill().shift(1)
    factor = step.where((step < 0.55) | (step > 1.8), 1.0).fillna(1.0)
    later = factor[::-1].cumprod()[::-1] / factor
    return scaled_prices(prices, later)


def filled(prices: Prices, how: Callable[[pd.DataFrame], pd.DataFrame]) -> Prices:
    names = Prices.__dataclass_fields__
    return Prices(**{name: how(getattr(prices, name)) for name in names})


def interpolated(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.interpolate(limit_area="inside")


# Labels.


def of_target(change: Callable[..., pd.DataFrame]) -> Chain:
    return replace(CHAIN, target=change)


def a_day_late(objective: Any, close: pd.Series, regime: pd.Series) -> pd.DataFrame:
    return direction(close).shift(-1).to_frame()


def todays_direction(objective: Any, close: pd.Series, regime: pd.Series) -> pd.DataFrame:
    return direction(close).shift(1).to_frame()


def one_too_far(objective: Any, close: pd.Series, regime: pd.Series) -> pd.DataFrame:
    return multi_step(close, objective.horizon + 1).iloc[:, 1:]


def one_too_near(objective: Any, close: pd.Series, regime: pd.Series) -> pd.DataFrame:
    return regime.shift(1 - objective.horizon).to_frame()


def todays_regime(objective: Any, close: pd.Series, regime: pd.Series) -> pd.DataFrame:
    return regime.to_frame()


def span_too_short(features: Any, targets: Any, lookback: int, horizon: int) -> Samples:
    """The label looks `horizon` ahead, its span says one session less."""
    return make_samples(features, targets, lookback, horizon - 1)


def next_window(features: Any, targets: Any, lookback: int, horizon: int) -> Samples:
    samples = make_samples(features, targets, lookback, horizon)
    rows = samples.last + 1
    tickers = samples.spans.ticker
    whole = np.append(tickers[1:] == tickers[:-1], False)
    return replace(samples, last=np.where(whole, rows, samples.last))


# Thresholds and regimes.


def thresholds_until(fraction: float) -> Callable[..., Regimes]:
    """Learned from training and a share of what comes after it."""

    def leaky(close: pd.Series, config: Any, training: Any) -> Regimes:
        inputs = regime_inputs(close, config)
        after = inputs["vol"].loc[training[1] :]
        seen = pd.concat(
            [inputs["vol"].loc[: training[1]], after.iloc[: int(fraction * len(after))]]
        )
        learned = learn_thresholds(seen)
        both = (learned.median, learned.upper)
        return Regimes(classify(inputs["ret"], inputs["vol"], *both, config), learned, None)

    return leaky


def through_validation(close: pd.Series, config: Any, training: Any) -> Regimes:
    """As a notebook does that calls everything before the test part training."""
    until = training[1] + (training[1] - training[0]) * 0.1
    return learn_regimes(close, config, (training[0], until))


def by_states(
    states: Callable[[np.ndarray, int], np.ndarray],
) -> Callable[..., Regimes]:
    """Regimes by a model that is fitted on the training part, but whose states know it all."""

    def leaky(close: pd.Series, config: Any, training: Any) -> Regimes:
        _, thresholds, *_ = learn_regimes(close, config, training)
        returns = close.pct_change().dropna()
        count = int(returns.index.searchsorted(training[1], side="right"))
        found = states(100.0 * returns.to_numpy()[:, None], count)
        classes = pd.Series(found, returns.index, dtype=float).reindex(close.index)
        return Regimes(classes, thresholds, None)

    return leaky


def hidden_markov(returns: np.ndarray, count: int) -> Any:
    from hmmlearn.hmm import GaussianHMM

    model = GaussianHMM(2, covariance_type="diag", n_iter=20, random_state=0, init_params="")
    model.startprob_, model.transmat_ = np.array([0.5, 0.5]), np.array([[0.95, 0.05], [0.1, 0.9]])
    spread = returns[:count].var()
    model.means_, model.covars_ = np.zeros((2, 1)), np.array([[0.5 * spread], [2.0 * spread]])
    return model.fit(returns[:count])


def smoothed(returns: np.ndarray, count: int) -> np.ndarray:
    return (hidden_markov(returns, count).predict_proba(returns)[:, 1] > 0.5).astype(float)


def viterbi(returns: np.ndarray, count: int) -> np.ndarray:
    return hidden_markov(returns, count).predict(returns).astype(float)


def fitted_on_all(returns: np.ndarray, count: int) -> np.ndarray:
    return viterbi(returns, len(returns))


def offline_jumps(returns: np.ndarray, count: int) -> np.ndarray:
    from jumpmodels.jump import JumpModel

    features = np.abs(returns)
    scale = features[:count].std()
    model = JumpModel(2, jump_penalty=5.0, random_state=0, n_init=2)
    model.fit(features[:count] / scale, returns[:count, 0], sort_by="vol")
    return np.asarray(model.predict(features / scale), float)


# Splits.


def of_assign(change: Callable[..., Fold]) -> Chain:
    return replace(CHAIN, assign=change)


def purge_forgotten(spans: Any, boundary: Any) -> Fold:
    honest = assign(spans, boundary)
    before = spans.decision < np.datetime64(boundary.validation)
    return replace(honest, training=np.flatnonzero(before & ~np.isnat(spans.label_end)))


def validation_not_purged(spans: Any, boundary: Any) -> Fold:
    honest = assign(spans, boundary)
    first, end = np.datetime64(boundary.validation), np.datetime64(boundary.test)
    inside = (spans.decision >= first) & (spans.decision < end)
    return replace(honest, validation=np.flatnonzero(inside & ~np.isnat(spans.label_end)))


def all_before_test_trains(spans: Any, boundary: Any) -> Fold:
    honest = assign(spans, boundary)
    before = spans.decision < np.datetime64(boundary.test)
    return replace(honest, training=np.flatnonzero(before & ~np.isnat(spans.label_end)))


def shuffled(spans: Any, boundary: Any) -> Fold:
    honest = assign(spans, boundary)
    rows = np.random.default_rng(0).permutation(np.flatnonzero(~np.isnat(spans.label_end)))
    cut = int(0.7 * len(rows))
    return replace(honest, training=np.sort(rows[:cut]), validation=np.sort(rows[cut:]))


def purge_too_short(spans: Any, boundary: Any) -> Fold:
    """A purge typed by hand: five sessions, whatever the horizon."""
    honest = assign(spans, boundary)
    until = np.datetime64(boundary.validation) - np.timedelta64(7, "D")
    before = (spans.decision < until) & ~np.isnat(spans.label_end)
    return replace(honest, training=np.flatnonzero(before))


# Training.


def of_train(change: Callable[..., Any]) -> Chain:
    return replace(CHAIN, train=change)


@contextmanager
def scaler_of(choose: Callable[[Samples, Any, bool], Scaler]) -> Any:
    with patch.object(loop, "fit_scaler", choose):
        yield


def scaled_on_all(samples: Samples, fold: Fold, *rest: Any, **more: Any) -> Any:
    def everything(samples: Samples, training: Any, scale_target: bool) -> Scaler:
        known = np.flatnonzero(np.isfinite(samples.target).all(axis=1))
        return replace(fit_scaler(samples, known, False), target_mean=0.0)

    with scaler_of(everything):
        return train(samples, fold, *rest, **more)


def scaled_through_validation(samples: Samples, fold: Fold, *rest: Any, **more: Any) -> Any:
    both = np.concatenate([fold.training, fold.validation])
    with scaler_of(lambda samples, training, scale_target: fit_scaler(samples, both, scale_target)):
        return train(samples, fold, *rest, **more)


def target_scaled_on_all(samples: Samples, fold: Fold, *rest: Any, **more: Any) -> Any:
    def mixed(samples: Samples, training: Any, scale_target: bool) -> Scaler:
        honest = fit_scaler(samples, training, scale_target)
        return replace(
            honest,
            target_mean=float(np.nanmean(samples.target)),
            target_deviation=float(np.nanstd(samples.target)),
        )

    with scaler_of(mixed):
        return train(samples, fold, *rest, **more)


def epoch_chosen_on_test(samples: Samples, fold: Fold, *rest: Any, **more: Any) -> Any:
    return train(samples, replace(fold, validation=fold.test), *rest, **more)


def epoch_chosen_on_both(samples: Samples, fold: Fold, *rest: Any, **more: Any) -> Any:
    both = np.concatenate([fold.validation, fold.test])
    return train(samples, replace(fold, validation=both), *rest, **more)


def calibrated_on_test(samples: Samples, fold: Fold, *rest: Any, **more: Any) -> Any:
    fit = train(samples, fold, *rest, **more)
    said = predict(replace(fit, temperature=1.0), samples, fold.test)
    with np.errstate(divide="ignore"):
        logits = np.log(said / (1.0 - said)) if said.shape[1] == 1 else np.log(said)
    return replace(fit, temperature=fit_temperature(logits, samples.target[fold.test, 0]))


def trained_on_test_too(samples: Samples, fold: Fold, *rest: Any, **more: Any) -> Any:
    """The final refit on everything, kept for the backtest."""
    known = fold.test[np.isfinite(samples.target[fold.test]).all(axis=1)]
    honest = fit_scaler(samples, fold.training, False)
    with scaler_of(lambda *_, **__: honest):
        every = replace(fold, training=np.concatenate([fold.training, known]))
        return train(samples, every, *rest, **more)


def predicts_next_window(fit: Any, samples: Samples, rows: Any, _: str) -> Any:
    last = samples.last.copy()
    whole = np.append(samples.spans.ticker[1:] == samples.spans.ticker[:-1], False)
    last[whole] += 1
    return predict(fit, replace(samples, last=last), rows)


def smooths_predictions(fit: Any, samples: Samples, rows: Any, _: str) -> Any:
    """A centred mean over neighbouring decisions of a ticker."""
    said = pd.DataFrame(predict(fit, samples, rows))
    by_ticker = said.groupby(samples.spans.ticker[rows], group_keys=False)
    return by_ticker.apply(
        lambda each: each.rolling(5, center=True, min_periods=1).mean()
    ).to_numpy()


# Trading.


def dead_band_of_part(part: str) -> Callable[..., Any]:
    def tuned(predictions: pd.DataFrame, prices: Prices, trading: Any) -> Any:
        table = predictions[(predictions["part"] == part) & predictions["truth"].notna()]
        sign = np.sign(table["truth"] - 0.5)
        edge = table["p_up"] - 0.5
        bands = np.linspace(0.0, 0.02, 9)
        gain = [float((np.sign(edge) * sign)[edge.abs() > b / 2].sum()) for b in bands]
        return replace(trading, dead_band=float(bands[int(np.argmax(gain))]))

    return tuned


def fills_at_decided_close(target: Any, prices: Prices, config: Any, *rest: Any) -> Any:
    """next_open is promised; the book is filled at the close that was decided on."""
    return backtest(target, prices, replace(config, execution="close"), *rest)


def fills_at_low(target: Any, prices: Prices, config: Any, *rest: Any) -> Any:
    return backtest(target, replace(prices, open=prices.low), config, *rest)


def earns_its_own_session(target: Any, prices: Prices, config: Any, *rest: Any) -> Any:
    """The position of t earns the return of t."""
    return backtest(target.shift(-1), prices, replace(config, execution="close"), *rest)


def decides_with_tomorrow(probability: pd.DataFrame, config: Any) -> pd.DataFrame:
    return CHAIN.decide(probability.shift(-1), config)


def sized_by_the_whole(position: pd.DataFrame) -> pd.DataFrame:
    return CHAIN.allocate(position / position.abs().mean())


def confident_by_rank(probability: pd.DataFrame, config: Any) -> pd.DataFrame:
    return CHAIN.decide(probability.rank(pct=True), config)


def filters_by_next_regime(
    position: pd.DataFrame, regime: pd.DataFrame, mode: Any, turbulent: Any
) -> pd.DataFrame:
    """The regime of the session that the position is held in, not of the one it is decided on."""
    return regime_filter(position, regime.shift(-1), mode, turbulent)


def filters_by_smoothed_regimes(
    position: pd.DataFrame, regime: pd.DataFrame, mode: Any, turbulent: Any
) -> pd.DataFrame:
    """Spells of a session or two are taken out, by what comes after them."""
    cuts = regime.ffill().isin(list(turbulent)).astype(float)
    most = (cuts.rolling(5, center=True, min_periods=1).mean() > 0.5).astype(float)
    return regime_filter(position, most, mode, {1})


def knows_later_volatility(target: Any, prices: Prices, config: Any, *rest: Any) -> Any:
    """Weights are divided by the volatility of the sessions to come."""
    coming = prices.close.pct_change(fill_method=None).rolling(5, min_periods=1).std().shift(-5)
    calm = (coming.reindex(target.index) < 0.01).astype(float)
    return backtest(target * (0.5 + 0.5 * calm), prices, config, *rest)


# The served model.


def serves_other_scaler(fits: Any, bars: pd.DataFrame) -> pd.DataFrame:
    first = fits[0].scaler
    other = replace(first, mean=first.mean + 0.1 * first.deviation)
    return predict_latest([replace(fit, scaler=other) for fit in fits], bars)


def serves_stale(fits: Any, bars: pd.DataFrame) -> pd.DataFrame:
    newest = bars.groupby("ticker")["date"].transform("max")
    return predict_latest(fits, bars[bars["date"] < newest])


def serves_next_bar(everything: Prices) -> Callable[..., pd.DataFrame]:
    """Asks the store once more, and an unsettled bar comes with it."""

    def latest(fits: Any, bars: pd.DataFrame) -> pd.DataFrame:
        tables = []
        for ticker, table in bars.groupby("ticker"):
            close = everything.close[ticker].dropna()
            coming = close[close.index > table["date"].max()].iloc[:1]
            more = pd.DataFrame(
                {"date": coming.index, "ticker": ticker, "close": coming.to_numpy()}
            )
            tables.append(pd.concat([table, more]))
        answers = predict_latest(fits, pd.concat(tables))
        as_of = bars.groupby("ticker")["date"].max().dt.strftime("%Y-%m-%d")
        return answers.assign(as_of=answers["ticker"].map(as_of))

    return latest


@dataclass(frozen=True)
class CostCasesAhead(Chain):
    """Every cost case trades tomorrow's decision today."""

    def trade(self, predictions: Any, prices: Prices, *rest: Any) -> Any:
        books = super().trade(predictions, prices, *rest)
        config, ahead = rest[1], books.target.shift(-1)
        cases = {
            case: self.backtest(ahead, prices, at_cost(config, case[0])).returns
            if case[1] == "strategy"
            else books.cost_cases[case]
            for case in books.cost_cases
        }
        return replace(books, cost_cases=pd.DataFrame(cases))


@dataclass(frozen=True)
class MembersAhead(Chain):
    """Members traded alone trade tomorrow's decision today."""

    def trade(self, predictions: Any, prices: Prices, *rest: Any) -> Any:
        members = predictions.members
        if len(members):
            ahead = members.groupby(["member", "ticker"])["p_up"].shift(-1)
            members = members.assign(p_up=ahead)
        return super().trade(replace(predictions, members=members), prices, *rest)


@dataclass(frozen=True)
class RulesAhead(Chain):
    """The rules beside a strategy know tomorrow's close."""

    def rule_positions(self, prices: Prices, *rest: Any) -> Any:
        return super().rule_positions(replace(prices, close=prices.close.shift(-1)), *rest)


@dataclass(frozen=True)
class BaselineAhead(Chain):
    """AR(1) is given the return of the session after its decision."""

    def predict_baselines(self, samples: Samples, *rest: Any) -> Any:
        last = np.minimum(samples.last + 1, len(samples.rows) - 1)
        return super().predict_baselines(replace(samples, last=last), *rest)


GROUP = {
    **{"prices": "prices", "features": "features", "thresholds": "regimes", "regimes": "regimes"},
    **dict.fromkeys(("targets", "samples", "split", "scaler", "fit", "epoch"), "models"),
    **dict.fromkeys(("temperature", "predictions", "baselines", "tuning"), "models"),
    **dict.fromkeys(("positions", "equity", "weights", "fills", "cost cases"), "trading"),
    **{"members": "trading", "rules": "trading"},
}  # of the causality audit, by the stage that must be named


def audit_mutant(mutant: Mutant, prices: Prices, groups: tuple[str, ...] | None = None) -> Audited:
    """A short audit of the chain with the leak in it.

    groups  of the causality audit; None: the one that the leak sits in
    """
    trading = TradingConfig(regime_filter=mutant.regime_filter)
    chosen = experiment(mutant.models, sessions=8, trading=trading)
    if groups is None:
        groups = (GROUP[mutant.stage],) if mutant.stage in GROUP else ()
    parts = [audit_causality(prices, chosen, mutant.chain, features=mutant.features, groups=groups)]
    if mutant.stage == "fills":  # what was filled at which price is asked by the oracles
        parts.append(audit_engine(prices, chosen.backtest, mutant.chain.backtest, sessions=90))
    if mutant.chain.latest is not CHAIN.latest:
        parts.append(audit_latest(mutant.chain, chosen, prices))
    return merge(parts)


def audit_latest(chain: Chain, chosen: Experiment, prices: Prices) -> Audited:
    """A served model that has learned in a moment, asked on three evenings of its test part."""
    (fold,) = chain.boundaries(prices.sessions, chosen.split, None)
    line = Line(chain, chosen, prices.sessions, (fold,), fold, {"given": prices})
    line = line.of(replace(chosen.models[0], **SMALL))
    fit, table = line["fit"], line["predictions"].table
    days = sorted(table.loc[table["part"] == "test", "decision"].unique())
    evenings = [pd.Timestamp(days[n]) for n in (1, len(days) // 2, -2)]
    return audit_served(prices, [fit], table, evenings, chain.latest)


def mutants(prices: Prices) -> list[Mutant]:
    """Every planted leak; `prices` are those that the audit will be given."""
    shifts = "negative shift or centred window, reach"
    whole, fills = "whole-sample statistic", "fills missing values from the future"
    d, f, g = ("direction",), ("forecast",), ("regime",)

    def feature(name: str, column: str, change: Any, kind: str) -> Mutant:
        chain, seen = of_features(one_column(column, change)), ("log_returns", column)
        return Mutant(name, chain, "features", kind, series=column, features=seen)

    def stage(field: str, value: Any) -> Chain:
        return replace(CHAIN, **{field: value})

    return [
        Mutant(
            "cost cases a day ahead",
            CostCasesAhead(),
            "cost cases",
            "reads later sessions, reach",
        ),
        Mutant("members a day ahead", MembersAhead(), "members", "reads later sessions, reach"),
        Mutant("rules that know tomorrow", RulesAhead(), "rules", "reach 1 session"),
        Mutant(
            "baseline that sees the next return",
            BaselineAhead(),
            "baselines",
            "reach 1 session",
            f,
        ),
        feature(
            "centred window", "rsi", lambda v: v.rolling(11, center=True).mean(), f"{shifts} 5"
        ),
        feature("negative shift", "returns", lambda v: v.shift(-1), f"{shifts} 1 session"),
        feature("negative shift of 3", "macd", lambda v: v.shift(-3), f"{shifts} 3 sessions"),
        feature(
            "centred window, partial",
            "momentum_5",
            lambda v: v.rolling(7, center=True, min_periods=1).mean(),
            "two-sided smoothing, reach 3",
        ),
        feature("backward fill of a feature", "sma_50", lambda v: v.bfill(), fills),
        feature("whole-sample winsorising", "returns", winsorised, whole),
        feature("whole-sample z-score", "rsi", lambda v: (v - v.mean()) / v.std(), whole),
        feature(
            "whole-sample min-max",
            "bb_width",
            lambda v: (v - v.min()) / (v.max() - v.min()),
            whole,
        ),
        feature("maximum of the future", "volatility_20", future_maximum, whole),
        feature("percentile rank", "momentum_20", lambda v: v.rank(pct=True), whole),
        Mutant(
            "backward fill of prices",
            stage("prices", lambda p: filled(p, pd.DataFrame.bfill)),
            "prices",
            fills,
        ),
        Mutant(
            "interpolation of prices",
            stage("prices", lambda p: filled(p, interpolated)),
            "prices",
            fills,
            series="HALTED",
        ),
        Mutant(
            "prices over the last close",
            stage("prices", divided_by_last_close),
            "prices",
            "prices adjusted with later information",
            series="WHOLE",
        ),
        Mutant(
            "back-adjusted for later splits",
            stage("prices", adjusted_for_later_splits),
            "prices",
            "prices adjusted with later information",
        ),
        Mutant("label a day late", of_target(a_day_late), "targets", "later than its span", d),
        Mutant("label of today", of_target(todays_direction), "targets", "does not look ahead", d),
        Mutant("off by one horizon", of_target(one_too_far), "targets", "later than its span", f),
        Mutant("horizon less one", of_target(one_too_near), "targets", "before its horizon", g),
        Mutant("current regime", of_target(todays_regime), "targets", "does not look ahead", g),
        Mutant("span too short", stage("samples", span_too_short), "samples", "than its span", f),
        Mutant(
            "window ends late", stage("samples", next_window), "samples", "past its decision", d
        ),
        Mutant(
            "quantiles of everything",
            stage("regimes", thresholds_until(1.0)),
            "thresholds",
            "outside training: it knows the test part",
        ),
        Mutant(
            "quantiles through validation",
            stage("regimes", through_validation),
            "thresholds",
            "outside training: it knows the validation part",
        ),
        Mutant("smoothed HMM", stage("regimes", by_states(smoothed)), "regimes", "smoothed states"),
        Mutant("Viterbi HMM", stage("regimes", by_states(viterbi)), "regimes", "smoothed states"),
        Mutant("HMM of everything", stage("regimes", by_states(fitted_on_all)), "regimes", whole),
        Mutant(
            "offline jump model",
            stage("regimes", by_states(offline_jumps)),
            "regimes",
            "smoothed states",
        ),
        Mutant(
            "purge forgotten",
            of_assign(purge_forgotten),
            "split",
            "label of a training sample overlaps the validation part",
            g,
        ),
        Mutant(
            "purge too short",
            of_assign(purge_too_short),
            "split",
            "label of a training sample overlaps the validation part",
            g,
        ),
        Mutant(
            "validation not purged",
            of_assign(validation_not_purged),
            "split",
            "label of a validation sample overlaps the test part",
            g,
        ),
        Mutant(
            "trains on validation",
            of_assign(all_before_test_trains),
            "split",
            "training samples come from the validation part",
            d,
        ),
        Mutant(
            "shuffled split",
            of_assign(shuffled),
            "split",
            "training samples come from the test part",
            d,
        ),
        Mutant("scaler of everything", of_train(scaled_on_all), "scaler", "the test part", d),
        Mutant(
            "scaler through validation",
            of_train(scaled_through_validation),
            "scaler",
            "the validation part",
            d,
        ),
        Mutant(
            "target scaler of everything",
            of_train(target_scaled_on_all),
            "scaler",
            "the test part",
            f,
            series="target",
        ),
        Mutant("epoch by test", of_train(epoch_chosen_on_test), "epoch", "the test part", d),
        Mutant("epoch by both", of_train(epoch_chosen_on_both), "epoch", "the test part", f),
        Mutant(
            "temperature by test", of_train(calibrated_on_test), "temperature", "the test part", d
        ),
        Mutant("trained on test", of_train(trained_on_test_too), "fit", "the test part", d),
        Mutant(
            "predicts with the next window",
            stage("predict", predicts_next_window),
            "predictions",
            "reads later sessions, reach 1 session",
            d,
        ),
        Mutant(
            "smoothed predictions",
            stage("predict", smooths_predictions),
            "predictions",
            "reads later sessions, reach 2",
            d,
        ),
        Mutant(
            "dead band by test",
            stage("tune", dead_band_of_part("test")),
            "tuning",
            "tuned on the test part",
            d,
        ),
        Mutant(
            "decides with tomorrow", stage("decide", decides_with_tomorrow), "positions", shifts
        ),
        Mutant("sized by the whole", stage("allocate", sized_by_the_whole), "positions", whole),
        Mutant("rank of probabilities", stage("decide", confident_by_rank), "positions", whole),
        Mutant(
            "filter by the next regime",
            stage("filter", filters_by_next_regime),
            "positions",
            "regime filter: reads later sessions, reach 1 session",
            series="filtered",
            regime_filter="flat",
        ),
        Mutant(
            "filter by smoothed regimes",
            stage("filter", filters_by_smoothed_regimes),
            "positions",
            "regime filter: reads later sessions, reach 2 sessions",
            series="filtered",
            regime_filter="half",
        ),
        Mutant(
            "fill at the decided close",
            stage("backtest", fills_at_decided_close),
            "weights",
            "filled at the price that was decided on",
        ),
        Mutant(
            "fill at the next low",
            stage("backtest", fills_at_low),
            "fills",
            "fill at the low",
        ),
        Mutant(
            "earns its own session",
            stage("backtest", earns_its_own_session),
            "equity",
            "off-by-one return",
        ),
        Mutant(
            "weights by later volatility",
            stage("backtest", knows_later_volatility),
            "equity",
            "reads later sessions, reach",
        ),
        Mutant(
            "served with another scaler",
            stage("latest", serves_other_scaler),
            "served model",
            "another scaler",
            d,
        ),
        Mutant(
            "served without the newest session",
            stage("latest", serves_stale),
            "served model",
            "drops the newest session",
            d,
        ),
        Mutant(
            "served with the next bar",
            stage("latest", serves_next_bar(prices)),
            "served model",
            "reads the next bar",
            d,
        ),
    ]
