"""Tables as files hold them, and back."""

import pandas as pd
import pytest

from rnntrade.config import BacktestConfig, ReportConfig
from rnntrade.evaluation.strategies import evaluate_strategy
from rnntrade.trading.backtest import buy_and_hold
from tasks.tables import cost_cases, read_cost_cases

KEYS = [(0.0, "strategy"), (0.0, "buy_and_hold"), (2.5, "strategy"), (2.5, "buy_and_hold")]


@pytest.mark.parametrize("keys", [KEYS, []], ids=["two cases", "none"])
def test_cost_cases_come_back_from_their_file(tmp_path, prices, keys):
    returns = prices.close["WHOLE"].pct_change(fill_method=None)
    written = cost_cases(pd.DataFrame({key: returns + number for number, key in enumerate(keys)}))
    written.to_parquet(tmp_path / "cases.parquet")
    read = read_cost_cases(pd.read_parquet(tmp_path / "cases.parquet"))
    assert read.columns.to_list() == keys
    for number, key in enumerate(keys):
        pd.testing.assert_series_equal(
            read[key], returns + number, check_names=False, check_freq=False
        )


def test_a_strategy_without_cost_cases_is_judged(prices):
    config = BacktestConfig()
    held = buy_and_hold(prices, prices.sessions[:60], config)
    report = ReportConfig(bootstrap_draws=20, cost_cases=())
    cases = read_cost_cases(cost_cases(pd.DataFrame()))
    found = evaluate_strategy("s", held, held, held, config, report, cost_cases=cases)
    assert found.by_cost.empty
