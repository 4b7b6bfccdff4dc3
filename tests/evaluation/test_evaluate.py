import math

import numpy as np
import pandas as pd
import pytest

from rnntrade.config import BacktestConfig, ReportConfig
from rnntrade.evaluation import statistics
from rnntrade.evaluation.models import evaluate_model
from rnntrade.evaluation.predictions import conformal_half_widths
from rnntrade.evaluation.statistics import block_length, coin_band
from rnntrade.objectives.lookup import objective_of
from rnntrade.trading.backtest import backtest, buy_and_hold
from tests.configs import DIRECTION, FORECAST, REGIME
from tests.evaluation.books import evaluate_strategy

QUICK = ReportConfig(bootstrap_draws=200)


def direction_table(truth, network, baselines, tickers=("A",), part="test"):
    """Each of truth, network and the baselines: probabilities by session, the same per ticker."""
    days = pd.bdate_range("2020-01-01", periods=len(truth))
    return pd.concat(
        [
            pd.DataFrame(
                {
                    "source": source,
                    "part": part,
                    "fold": 0,
                    "ticker": ticker,
                    "decision": days,
                    "truth": np.asarray(truth, float),
                    "p_up": np.asarray(p, float),
                }
            )
            for source, p in {DIRECTION.name: network, **baselines}.items()
            for ticker in tickers
        ],
        ignore_index=True,
    )


def forecast_table(rows, part="test", fold=0):
    """Source -> (truth (N, 5), forecast (N, 5)) of one ticker."""
    tables = []
    for source, (truth, forecast) in rows.items():
        table = pd.DataFrame(
            {
                "source": source,
                "part": part,
                "fold": fold,
                "ticker": "A",
                "decision": pd.bdate_range("2020-01-01", periods=len(truth)),
            }
        )
        for step in range(truth.shape[1]):
            table[f"truth_{step + 1}"] = truth[:, step]
            table[f"r_{step + 1}"] = forecast[:, step]
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def test_the_best_baseline_on_the_test_part_is_the_rival():
    truth = [1, 1, 1, 0, 1, 0, 1, 1]
    table = direction_table(
        truth,
        network=[0.9, 0.1, 0.9, 0.1, 0.1, 0.1, 0.9, 0.9],  # 6 of 8
        baselines={"persistence": [0, 1, 1, 1, 0, 1, 0, 1], "always_up": [1.0] * 8},  # 3, then 6
    )
    found = evaluate_model(table, DIRECTION, QUICK)
    assert (found.score, found.best_baseline, found.baseline_score) == (0.75, "always_up", 0.75)
    assert found.difference == 0.0
    assert found.verdict == "no evidence"
    assert (found.samples, found.sessions) == (8, 8)
    assert list(found.scores.index) == [DIRECTION.name, "persistence", "always_up"]
    assert found.confusion.to_numpy().tolist() == [[2, 0], [2, 4]]
    assert math.isnan(found.validation_score)  # there is no validation part


def test_perfection_is_evidence_and_its_opposite_loses():
    truth = np.random.default_rng(0).integers(0, 2, 300)
    coin = {"coin": np.random.default_rng(1).random(300)}
    assert evaluate_model(direction_table(truth, truth, coin), DIRECTION, QUICK).verdict == (
        "evidence"
    )
    wrong = evaluate_model(direction_table(truth, 1 - truth, coin), DIRECTION, QUICK)
    assert wrong.verdict == "loses to coin"
    assert "loses to coin" in wrong.sentence


def test_a_future_that_is_not_known_is_not_judged():
    truth = [1.0, 0.0, 1.0, np.nan, np.nan]
    table = direction_table(truth, [1, 1, 1, 1, 1], {"always_up": [1] * 5})
    found = evaluate_model(table, DIRECTION, QUICK)
    assert (found.samples, found.score) == (3, pytest.approx(2 / 3))


def test_tickers_of_a_session_are_drawn_together():
    """Copies of a ticker add samples but no sessions: the interval must not shrink."""
    rng = np.random.default_rng(3)
    truth, network = rng.integers(0, 2, 120), rng.random(120)
    one, many = (
        evaluate_model(
            direction_table(truth, network, {"coin": rng_coin()}, tickers), DIRECTION, QUICK
        )
        for tickers in (("A",), ("A", "B", "C", "D"))
    )
    assert (many.samples, many.sessions) == (480, 120)
    assert many.interval == pytest.approx(one.interval)
    assert many.difference == pytest.approx(one.difference)


def rng_coin():
    return np.random.default_rng(9).random(120)


def test_every_sample_counts_once_where_tickers_are_listed_late():
    table = direction_table([1, 1, 0, 0], [1, 1, 1, 1], {"never": [0] * 4}, ("A", "B"))
    table = table[(table["ticker"] == "A") | (table["decision"] > "2020-01-03")]
    found = evaluate_model(table, DIRECTION, QUICK)  # A: 2 of 4 right; B, late: 0 of 1 or 2
    own, other = found.score, found.baseline_score
    assert found.difference == pytest.approx(own - other)
    assert found.interval[0] < found.difference < found.interval[1]  # two samples weigh double


def test_a_source_without_the_same_rows_is_refused():
    table = direction_table([1, 0, 1], [1, 1, 1], {"always_up": [1] * 3})
    with pytest.raises(ValueError, match="always_up was not predicted for the same test rows"):
        evaluate_model(table.iloc[:-1], DIRECTION, QUICK)
    with pytest.raises(ValueError, match="a baseline's"):
        evaluate_model(table[table["source"] == DIRECTION.name], DIRECTION, QUICK)
    with pytest.raises(ValueError, match="no test row has a known future"):
        evaluate_model(table.assign(truth=np.nan), DIRECTION, QUICK)


def test_forecasts_are_judged_by_the_squared_error_they_save():
    rng = np.random.default_rng(0)
    truth = rng.normal(0, 0.01, (60, 5))
    table = forecast_table({FORECAST.name: (truth, truth / 2), "zero": (truth, 0 * truth)})
    found = evaluate_model(table, FORECAST, QUICK)
    assert found.difference == pytest.approx(0.75)  # half the error, a quarter of its square
    assert found.score == pytest.approx(found.baseline_score / 2)
    assert found.baseline_score == pytest.approx(np.sqrt((truth**2).mean()))
    assert found.verdict == "evidence"
    assert found.steps.loc[(FORECAST.name, 3), "r2_zero"] == pytest.approx(0.75)
    assert found.coverage is None  # no validation part to learn a width from
    assert found.confusion is None


def test_conformal_intervals_learn_from_their_own_fold():
    calm, wild = np.full((20, 5), 0.01), np.full((20, 5), 0.05)
    zero = np.zeros((20, 5))
    validation = pd.concat(
        [
            forecast_table({FORECAST.name: (calm, zero)}, "validation", fold=0),
            forecast_table({FORECAST.name: (wild, zero)}, "validation", fold=1),
        ]
    )
    test = pd.concat(
        [forecast_table({FORECAST.name: (calm[:3], zero[:3])}, fold=fold) for fold in (1, 0, 2)]
    )
    width = conformal_half_widths(objective_of(FORECAST), validation, test)
    assert np.allclose(width[:3], 0.05)
    assert np.allclose(width[3:6], 0.01)
    assert np.isnan(width[6:]).all()
    compounded = conformal_half_widths(objective_of(FORECAST), validation, test, cumulative=True)
    assert np.allclose(compounded[0], 1.05 ** np.arange(1, 6) - 1)


def test_coverage_is_measured_on_the_test_part():
    rng = np.random.default_rng(0)
    parts = [
        forecast_table({name: (rng.normal(0, 1, (n, 5)), np.zeros((n, 5))) for name in (F, "z")}, p)
        for p, n, F in (("validation", 400, FORECAST.name), ("test", 400, FORECAST.name))
    ]
    for part in parts:  # the same truth for both sources
        columns = [f"truth_{step}" for step in range(1, 6)]
        part.loc[400:, columns] = part.loc[:399, columns].to_numpy()
    found = evaluate_model(pd.concat(parts), FORECAST, QUICK)
    assert found.coverage["coverage"].to_numpy() == pytest.approx(0.9, abs=0.05)
    assert found.coverage["mean_width"].to_numpy() == pytest.approx(2 * 1.645, abs=0.4)


def test_transition_recall_takes_persistence_to_zero():
    days = pd.bdate_range("2020-01-01", periods=4)
    tables = []
    for source, said in {REGIME.name: [1, 2, 2, 0], "persistence": [1, 1, 2, 2]}.items():
        p = pd.DataFrame(np.eye(4)[said], columns=[f"p_{k}" for k in range(4)])
        rows = {"source": source, "part": "test", "fold": 0, "ticker": "A", "decision": days}
        tables.append(p.assign(**rows, truth=[1.0, 2.0, 2.0, 3.0], current=[1.0, 1.0, 2.0, 2.0]))
    found = evaluate_model(pd.concat(tables), REGIME, QUICK)
    assert found.scores["transition_recall"].to_dict() == {REGIME.name: 0.5, "persistence": 0.0}
    assert found.classes.loc["Bear"].tolist() == [0.0, 0.0, 0.0, 0]


@pytest.mark.parametrize(
    ("sessions", "horizon", "length"), [(8, 1, 2), (1000, 1, 10), (1000, 20, 40), (439, 1, 8)]
)
def test_blocks_hold_overlapping_labels_together(sessions, horizon, length):
    assert block_length(sessions, horizon) == length


def test_the_coins_band_of_439_sessions():
    assert coin_band(439) == pytest.approx(0.547, abs=5e-4)


def test_the_same_predictions_give_the_same_evaluation():
    rng = np.random.default_rng(0)
    table = direction_table(rng.integers(0, 2, 50), rng.random(50), {"coin": rng.random(50)})
    shuffled = table.sample(frac=1.0, random_state=1)
    first, second = (evaluate_model(t, DIRECTION, QUICK) for t in (table, shuffled))
    assert first.interval == second.interval


def test_holding_does_not_beat_itself(prices):
    config = BacktestConfig()
    sessions = prices.sessions[200:500]
    held = buy_and_hold(prices, sessions, config)
    found = evaluate_strategy("hold", held, held, held, config, QUICK)
    assert found.difference == 0.0
    assert found.interval == (0.0, 0.0)
    assert found.verdict == "no evidence"
    assert found.sharpe_interval[0] <= found.sharpe <= found.sharpe_interval[1]
    assert found.figures == pytest.approx(found.benchmark_figures, nan_ok=True)


def test_foresight_beats_holding_in_either_execution(prices):
    own = prices.close[["WHOLE"]]
    only = type(prices)(
        **{f: getattr(prices, f)[["WHOLE"]] for f in ("open", "high", "low", "close", "volume")},
        raw_close=prices.raw_close[["WHOLE"]],
    )
    sessions = prices.sessions[:400]
    seen = np.sign(own.pct_change().shift(-1).loc[sessions]).where(lambda s: s != 0, 1.0)
    at_close, at_open = (BacktestConfig(execution=e) for e in ("close", "next_open"))
    run, other = backtest(seen, only, at_close), backtest(seen, only, at_open)
    held = buy_and_hold(only, sessions, at_close)
    found = evaluate_strategy("oracle", run, held, other, at_close, QUICK, {"late": other})
    assert found.rules.loc["late", "final_equity"] == other.equity.iloc[-1]
    assert found.verdict == "evidence"
    assert list(found.by_execution.index) == ["close", "next_open"]
    assert found.by_execution.loc["close", "final_equity"] == run.equity.iloc[-1]
    assert found.cost_drag > 0


def test_a_strategy_that_never_trades_has_no_evidence(prices):
    config = BacktestConfig()
    flat = pd.DataFrame(0.0, prices.sessions[:100], prices.close.columns)
    run = backtest(flat, prices, config)
    held = buy_and_hold(prices, prices.sessions[:100], config)
    found = evaluate_strategy("flat", run, held, run, config, QUICK)
    assert found.verdict == "no evidence"
    assert "no Sharpe ratio" in found.sentence


def test_a_model_that_answers_as_its_rival_has_a_test_with_power_and_p_of_1():
    truth = np.random.default_rng(0).random(400) < 0.55
    up = np.ones(400)
    found = evaluate_model(direction_table(truth, up, {"majority": up}), DIRECTION, QUICK)
    assert found.interval == (0.0, 0.0)
    assert found.smallest_edge == pytest.approx(coin_band(400) - 0.5)
    assert f"{found.smallest_edge:.3f}" in found.power
    assert found.p_value == 1.0
    assert not found.verdict.startswith("evidence")
    assert (found.tests["p_value"].notna() | (found.tests["detail"].str.len() > 0)).all()


def test_a_forecast_that_is_its_rivals_has_a_test_with_power():
    draws = np.random.default_rng(1)
    truth, zero = draws.normal(0, 0.01, (300, 5)), np.zeros((300, 5))
    found = evaluate_model(
        forecast_table({FORECAST.name: (truth, zero), "zero": (truth, zero)}), FORECAST, QUICK
    )
    assert 0.0 < found.smallest_edge < 1.0
    assert found.p_value == 1.0


def test_a_model_that_is_right_alone_in_every_session_has_a_small_p():
    truth = np.arange(100) % 2
    found = evaluate_model(direction_table(truth, truth, {"wrong": 1.0 - truth}), DIRECTION, QUICK)
    assert 0.0 < found.p_value < 1e-5
    assert found.verdict == "evidence"
    assert found.smallest_edge > 0.0


def test_more_sessions_can_show_a_smaller_edge_of_one_that_never_differs():
    edges = [statistics.smallest_edge((0.0, 0.0), n, 0.25, 0.95) for n in (2, 50, 5000)]
    assert edges == sorted(edges, reverse=True)
    assert edges[-1] > 0.0
    assert math.isnan(statistics.smallest_edge((0.0, 0.0), 1, 0.25, 0.95))
    assert statistics.smallest_edge((-0.1, 0.3), 50, 0.25, 0.95) == pytest.approx(0.2)
    assert math.isnan(statistics.one_sided_p(0.1, (math.nan, math.nan), 0.95, 3))


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_a_strategy_that_never_trades_or_only_holds_has_a_test_with_power(prices, weight):
    sessions, config = prices.sessions[:100], BacktestConfig()
    held = buy_and_hold(prices, sessions, config)
    weights = pd.DataFrame(weight / len(prices.tickers), sessions, prices.close.columns)
    run = backtest(weights, prices, config)
    found = evaluate_strategy("still", run, held, run, config, QUICK)
    assert f"about {1.959964 * (252 / 100) ** 0.5:.2f} above" in found.power
    assert found.tests["detail"].str.len().min() > 0


def test_the_returns_of_a_strategy_that_trades_once_at_the_end_have_figures(prices):
    sessions, config = prices.sessions[:60], BacktestConfig()
    weights = pd.DataFrame(0.0, sessions, prices.close.columns)
    weights.iloc[-2:] = 1.0
    run = backtest(weights, prices, config)
    held = buy_and_hold(prices, sessions, config)
    assert math.isfinite(evaluate_strategy("late", run, held, run, config, QUICK).sharpe)
