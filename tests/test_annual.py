"""A year has as many sessions as its calendar, in every annual figure."""

from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from rnntrade.audit.reference import reference
from rnntrade.chain import chain_of
from rnntrade.config import (
    EXPERIMENTS,
    BacktestConfig,
    DataConfig,
    Experiment,
    LabelConfig,
    ProductionConfig,
    ReportConfig,
    find_experiment,
    override,
)
from rnntrade.data.sessions import sessions_per_year, with_sessions_per_year
from rnntrade.errors import ConfigError
from rnntrade.evaluation.metrics import figures, rolling_sharpe, sharpe_ratio
from rnntrade.evaluation.statistics import bootstrap_interval
from rnntrade.features.indicators import FEATURES, ticker_features
from rnntrade.labels.regimes import regime_inputs
from rnntrade.production.decisions import make_windows
from rnntrade.production.desk import Desk
from rnntrade.production.promotion import Candidate, judge
from rnntrade.trading.backtest import backtest, buy_and_hold
from rnntrade.trading.positions import momentum_12_1, volatility_targeted_hold
from rnntrade.types import Prices
from tests.configs import DIRECTION
from tests.evaluation.books import evaluate_strategy

ALWAYS_OPEN = BacktestConfig(commission_bps=0.0, half_spread_bps=0.0, sessions_per_year=365)
ROOT = (365 / 252) ** 0.5


@pytest.fixture(scope="module")
def bitcoin() -> Prices:
    """A market that is open every day of the week."""
    days = pd.date_range("2020-01-01", periods=500, name="date")
    close = 100.0 * np.exp(np.cumsum(np.random.default_rng(0).normal(0.001, 0.03, len(days))))
    bars = pd.DataFrame({name: close for name in ("open", "high", "low", "close")}, days)
    return Prices.join({"BTC-USD": bars.assign(volume=1e6, raw_close=close)})


@pytest.mark.parametrize(("calendar", "sessions"), [("XNYS", 252), ("24/7", 365), ("XTKS", 245)])
def test_a_calendar_says_how_many_sessions_a_year_has(calendar, sessions):
    assert sessions_per_year(calendar) == sessions


def test_an_experiment_takes_its_year_from_the_calendar_for_labels_and_money():
    asked = override(find_experiment("debug"), {"data.calendar": "24/7"})
    known = with_sessions_per_year(asked)
    years = (known.data, known.labels, known.backtest)
    assert [each.sessions_per_year for each in years] == [365, 365, 365]
    assert with_sessions_per_year(known) == known
    own = override(asked, {"data.sessions_per_year": "360"})
    assert with_sessions_per_year(own).backtest.sessions_per_year == 360


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_nothing_changes_in_new_york(name):
    known = with_sessions_per_year(find_experiment(name))
    assert (known.labels, known.backtest) == (
        find_experiment(name).labels,
        find_experiment(name).backtest,
    )


@pytest.mark.parametrize("section", ["labels", "backtest"])
def test_there_is_one_year_to_set(section):
    with pytest.raises(ConfigError, match=r"data\.sessions_per_year"):
        override(find_experiment("debug"), {f"{section}.sessions_per_year": "365"})


def test_an_unknown_calendar_is_named_before_anything_is_done():
    with pytest.raises(ConfigError, match="XNYZ"):
        with_sessions_per_year(override(find_experiment("debug"), {"data.calendar": "XNYZ"}))


def test_the_sharpe_ratio_of_a_market_open_every_day_by_hand(bitcoin):
    held = buy_and_hold(bitcoin, bitcoin.sessions, ALWAYS_OPEN)
    returns = held.returns
    by_hand = returns.mean() / returns.std() * 365**0.5
    found = figures(held, held, ALWAYS_OPEN)
    assert found["sharpe_ratio"] == pytest.approx(by_hand, rel=1e-12)
    assert found["annual_volatility"] == pytest.approx(returns.std() * 365**0.5, rel=1e-12)
    grown = (held.equity.iloc[-1] / held.initial_capital) ** (365 / 500) - 1
    assert found["annual_return"] == pytest.approx(grown)
    assert found["turnover"] == pytest.approx(held.turnover.sum() * 365 / 500)
    judged = evaluate_strategy(
        "hold", held, held, held, ALWAYS_OPEN, ReportConfig(bootstrap_draws=50)
    )
    assert judged.sharpe == pytest.approx(by_hand, rel=1e-12)
    assert judged.sharpe_interval == pytest.approx(
        [ROOT * bound for bound in bootstrap_interval(sharpe_ratio, returns, block=8, draws=50)]
    )
    assert judged.folds["sharpe_ratio"].tolist() == pytest.approx([by_hand])
    # the probability looks at one session, whatever the year
    usual = replace(ALWAYS_OPEN, sessions_per_year=252)
    again = evaluate_strategy("hold", held, held, held, usual, ReportConfig(bootstrap_draws=50))
    assert judged.probabilistic_sharpe == pytest.approx(again.probabilistic_sharpe)
    assert judged.sharpe == pytest.approx(again.sharpe * ROOT)
    rolling = rolling_sharpe(returns, sessions_per_year=365).iloc[-1]
    assert rolling == pytest.approx(sharpe_ratio(returns[-63:]) * ROOT)


def test_volatilities_of_features_and_labels_are_of_that_year(bitcoin):
    bars = bitcoin.bars("BTC-USD")
    usual, always = ticker_features(bars), ticker_features(bars, sessions_per_year=365)
    scaled = ["volatility_10", "volatility_20"]
    pd.testing.assert_frame_equal(always[scaled], usual[scaled] * ROOT)
    pd.testing.assert_frame_equal(always.drop(columns=scaled), usual.drop(columns=scaled))
    inputs = regime_inputs(bars["close"], LabelConfig(sessions_per_year=365))
    pd.testing.assert_series_equal(inputs["vol"], always["volatility_20"], check_names=False)


def test_the_audit_computes_features_by_the_year_of_the_run(bitcoin):
    experiment = override(find_experiment("debug"), {"data.sessions_per_year": 365})
    chain = chain_of(experiment.backtest.sessions_per_year)
    found = chain.compute_features(bitcoin, tuple(FEATURES))["BTC-USD"]
    due = ticker_features(bitcoin.bars("BTC-USD"), sessions_per_year=365)
    pd.testing.assert_frame_equal(found, due)


def test_a_night_costs_and_earns_a_365th(bitcoin):
    config = replace(ALWAYS_OPEN, cash_rate=0.0365, borrow_rate=0.073, financing_rate=0.0365)
    cash = backtest(pd.DataFrame(0.0, bitcoin.sessions, ["BTC-USD"]), bitcoin, config)
    assert cash.equity.iloc[-1] == pytest.approx(100_000.0 * 1.0001**499)
    short = pd.DataFrame(-0.5, bitcoin.sessions, ["BTC-USD"])
    done = backtest(short, bitcoin, config)
    value = -done.weights["BTC-USD"] * done.equity
    nights = [own for own, _ in pairwise(value)]
    assert done.costs["borrow"].iloc[1:].to_numpy() == pytest.approx(np.array(nights) * 0.0002)
    assert done.equity.to_numpy() == pytest.approx(reference(short, bitcoin, config)["equity"])


def test_rules_look_back_a_year_of_their_calendar(bitcoin):
    close = bitcoin.close
    assert momentum_12_1(close, 365)["BTC-USD"].first_valid_index() == close.index[365]
    usual, always = (volatility_targeted_hold(close, year).dropna() for year in (252, 365))
    assert (always / usual).iloc[-1, 0] == pytest.approx(1 / ROOT)


def test_a_promotion_gains_a_year_of_the_markets_sessions():
    days = pd.date_range("2024-01-01", periods=126)
    noise = pd.Series(np.random.default_rng(1).normal(0.0, 0.01, len(days)), days)
    better = noise + 0.002 + 0.001 * np.sin(np.arange(len(days)))
    new, old = (
        Candidate(name, scores, True, {0.0: scores}, sessions_per_year=365)
        for name, scores in (("new", better), ("old", noise))
    )
    found = judge(new, old, True, ProductionConfig(bootstrap_draws=50)).figures
    assert found["difference_a_year"] == pytest.approx(365 * (better - noise).mean())
    assert found["difference_a_year_at_0_bps"] == pytest.approx(365 * (better - noise).mean())


def test_a_desk_reads_its_inputs_by_the_year_of_its_run(bitcoin):
    model = replace(DIRECTION, inputs=("volatility_20",))
    rows = []
    for year in (252, 365):
        data = DataConfig(tickers=("BTC-USD",), sessions_per_year=year)
        experiment = Experiment("any", data=data, models=(model,))
        desk = Desk((SimpleNamespace(model=model),), experiment, None, {}, None, None)
        rows.append(make_windows(desk, bitcoin).rows)
    np.testing.assert_allclose(rows[1], rows[0] * ROOT, rtol=1e-12)
