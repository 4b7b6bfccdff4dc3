"""What stands beside one figure: trials, folds, seeds, costs, and all models together."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from rnntrade.config import BacktestConfig, ReportConfig
from rnntrade.evaluation.compare import compare_models, compare_strategies
from rnntrade.evaluation.models import evaluate_model
from rnntrade.evaluation.verdict import Trials
from rnntrade.trading.backtest import backtest, buy_and_hold
from tests.configs import ATTENTION, DIRECTION
from tests.evaluation.books import evaluate_strategy

QUICK = ReportConfig(bootstrap_draws=200)
RNG = np.random.default_rng(7)
DAYS = pd.bdate_range("2015-01-01", periods=400)
TRUTH = RNG.integers(0, 2, 400).astype(float)


def rows(source, p_up, **more):
    fold = np.arange(400) // 200
    known = {"part": "test", "ticker": "A", "decision": DAYS, "fold": fold, "truth": TRUTH}
    return pd.DataFrame({"source": source, "p_up": p_up, **known, **more})


def right(share, seed=0):
    """Probabilities that call this share of the sessions right."""
    hits = np.random.default_rng(seed).random(400) < share
    return np.where(hits, TRUTH, 1.0 - TRUTH) * 0.5 + 0.25


SKILLED = pd.concat([rows(DIRECTION.name, right(0.72)), rows("coin", right(0.5, 1))])


def test_evidence_of_one_model_is_weak_among_many():
    alone = evaluate_model(SKILLED, DIRECTION, QUICK)
    assert alone.attempts == 1
    assert alone.verdict == "evidence"
    assert alone.p_value < 0.05
    many = Trials(attempts=tuple(f"try {n}" for n in range(100_000)))
    among = evaluate_model(SKILLED, DIRECTION, QUICK, many)
    assert among.p_value == alone.p_value
    assert among.attempts == 100_000
    assert among.verdict == "weak evidence"
    assert "corrected for 100000 models" in among.sentence


def test_each_fold_is_judged_alone_and_their_samples_add_up():
    found = evaluate_model(SKILLED, DIRECTION, QUICK).folds
    assert found["samples"].tolist() == [200, 200]
    assert found.loc[0, "last"] == DAYS[199]
    whole = evaluate_model(SKILLED, DIRECTION, QUICK)
    assert found["score"].mean() == pytest.approx(whole.score)
    assert found["difference"].mean() == pytest.approx(whole.difference)


def test_each_seed_is_judged_alone():
    members = pd.concat(
        [rows(DIRECTION.name, right(share, 2), member=m) for m, share in enumerate((1.0, 0.0))]
    )
    found = evaluate_model(SKILLED, DIRECTION, QUICK, members=members)
    assert found.seeds is not None
    assert found.seeds["score"].tolist() == [1.0, 0.0]
    assert found.seeds.loc[0, "difference"] == pytest.approx(1.0 - found.baseline_score)
    with pytest.raises(ValueError, match="member 0 was not asked for the same rows"):
        evaluate_model(SKILLED, DIRECTION, QUICK, members=members.iloc[1:])


def test_the_tests_of_a_direction_model_stand_in_one_table():
    table = pd.concat([SKILLED, rows("majority", np.full(400, 0.6))])
    found = evaluate_model(table, DIRECTION, QUICK).tests.set_index("against")
    assert list(found.index) == ["a coin", "majority", "independence"]
    assert (found["p_value"] < 0.01).all()  # 72 % of 400 calls


def test_a_strategy_that_was_the_best_of_many_is_only_weak_evidence(prices):
    config = BacktestConfig(commission_bps=0.0, half_spread_bps=0.0, execution="close")
    sessions = prices.sessions[200:]
    future = prices.close.pct_change(fill_method=None).shift(-1).loc[sessions]
    seen = np.sign(future).where(np.random.default_rng(0).random(future.shape) < 0.56, 1.0)
    run, held = backtest(seen / 3, prices, config), buy_and_hold(prices, sessions, config)
    few = Trials(fits=("a",), attempts=("a",), sharpes=(0.1,))
    crowd = tuple(str(n) for n in range(10**5))
    many = replace(few, fits=crowd, sharpes=(-0.4, 0.0, 0.4))
    alone, among = (
        evaluate_strategy("s", run, held, run, config, QUICK, trials=t) for t in (few, many)
    )
    assert alone.verdict == "evidence"
    assert alone.deflated_sharpe > 0.95 > among.deflated_sharpe
    assert among.verdict == "weak evidence"
    assert among.trials == 10**5
    assert alone.probabilistic_sharpe == among.probabilistic_sharpe
    assert 0 < alone.minimum_track_record < len(sessions)


def test_costs_folds_and_seeds_of_a_strategy(prices):
    sessions = prices.sessions[:300]
    config = BacktestConfig()
    held = buy_and_hold(prices, sessions, config)
    cases = pd.DataFrame(
        {
            (bps, who): held.returns - bps / 1e4 * (who == "strategy")
            for bps in (10.0, 0.0)
            for who in ("strategy", "buy_and_hold")
        }
    )
    folds = pd.Series([0] * 100 + [1] * 200, sessions)
    members = pd.DataFrame({"0": held.returns, "1": -held.returns})
    found = evaluate_strategy(
        "s", held, held, held, config, QUICK, cost_cases=cases, folds=folds, members=members
    )
    assert found.by_cost.index.tolist() == [0.0, 10.0]
    assert found.by_cost.loc[0.0, "annual_return"] == found.by_cost.loc[0.0, "hold_annual_return"]
    assert found.by_cost.loc[10.0, "sharpe_ratio"] < found.by_cost.loc[0.0, "sharpe_ratio"]
    assert found.folds["sessions"].tolist() == [100, 200]
    growth = (1 + found.folds["annual_return"]) ** (found.folds["sessions"] / 252)
    assert growth.prod() == pytest.approx(held.equity.iloc[-1] / config.initial_capital)
    assert found.seeds["sharpe_ratio"].iloc[0] == pytest.approx(
        -found.seeds["sharpe_ratio"].iloc[1]
    )


def test_models_of_one_question_are_compared_with_the_best_baseline_of_any():
    other = SKILLED.assign(source=SKILLED["source"].replace(DIRECTION.name, ATTENTION.name))
    predictions = {DIRECTION.name: SKILLED, ATTENTION.name: other}
    (found,) = compare_models(
        predictions, {DIRECTION.name: DIRECTION, ATTENTION.name: ATTENTION}, QUICK
    )
    assert found.question == "direction, 1 ahead"
    assert found.benchmark.startswith("coin of ")
    assert found.spa_p < 0.05
    assert set(found.better) == {DIRECTION.name, ATTENTION.name}


def test_strategies_of_noise_overfit_about_half_the_time():
    noise = pd.DataFrame(RNG.normal(0, 0.01, (400, 8)), DAYS, columns=list("abcdefgh"))
    found = compare_strategies(
        {name: noise[name] for name in noise}, pd.Series(RNG.normal(0, 0.01, 400), DAYS), QUICK
    )
    low, high = found.overfitting_band
    assert low <= found.overfitting <= high
    assert found.better == ()
    flat = compare_strategies({"a": noise["a"] * 0}, noise["b"], QUICK)
    assert np.isnan(flat.overfitting)
    assert "Too few" in flat.note
