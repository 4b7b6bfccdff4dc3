"""What two desks are compared by, on the sessions that neither has learned from."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from rnntrade.config import BacktestConfig
from rnntrade.objectives.lookup import objective_of
from rnntrade.production.decisions import decide
from rnntrade.production.desk import Desk
from rnntrade.production.outcomes import outcomes_since
from rnntrade.production.promotion import Candidate
from rnntrade.trading.backtest import backtest
from rnntrade.trading.costs import at_cost
from rnntrade.types import Prices

SMALLEST = 1e-12  # probability whose logarithm is taken


def same_question(one: Desk, other: Desk) -> str:
    """Why two desks cannot be compared, in words; empty if they can."""
    if one.model.task != other.model.task:
        return f"it answers {one.model.task}, the champion {other.model.task}"
    if one.model.horizon != other.model.horizon:
        return f"it looks {one.model.horizon} sessions ahead, the champion {other.model.horizon}"
    if objective_of(one.model).needs_regimes and one.experiment.labels != other.experiment.labels:
        return "its regimes are told apart by other rules than the champion's"
    if not set(one.tickers) & set(other.tickers):
        return f"it decides on {', '.join(one.tickers)}, the champion on {', '.join(other.tickers)}"
    return ""


def shared_tickers(one: Desk, other: Desk, prices: Prices, first: pd.Timestamp) -> tuple[str, ...]:
    """The tickers that both decide on, and that have traded since `first`."""
    traded = prices.close.loc[first:].notna().any()
    return tuple(t for t in one.tickers if t in other.tickers and traded.get(t, False))


def score(
    name: str,
    desk: Desk,
    prices: Prices,
    first: pd.Timestamp,
    config: BacktestConfig,
    cost_cases: Sequence[float],
    rules: Desk,
) -> Candidate:
    """One desk's score in each session from `first` on.

    first   no earlier than the first session that the desk has not learned from
    config  capital, fills and costs: the same for both
    rules   the desk whose regimes are the truth, for a regime model: the same for both
    """
    if not objective_of(desk.model).traded:
        losses = _losses(desk, prices, first, rules)
        return Candidate(name, -losses, traded=False, horizon=desk.model.horizon)
    target = decide(desk, prices).target.ffill().loc[first:].fillna(0.0)
    returns = backtest(target, prices, config).returns
    cases = {bps: backtest(target, prices, at_cost(config, bps)).returns for bps in cost_cases}
    year = config.sessions_per_year
    cases = cases or {0.0: returns}
    return Candidate(name, returns, traded=True, cases=cases, sessions_per_year=year)


def _losses(desk: Desk, prices: Prices, first: pd.Timestamp, rules: Desk) -> pd.Series:
    """(T,) mean loss over a session's tickers: minus log-likelihood, or squared error."""
    came = outcomes_since(desk, prices, first, rules)
    if came.forecasts:
        return came.squared_errors()
    chosen = came.said[np.arange(len(came.truth)), came.truth.astype(int)]
    loss = pd.Series(-np.log(np.maximum(chosen, SMALLEST)))
    return loss.groupby(came.session).mean()
