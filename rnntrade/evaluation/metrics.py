"""What a series of returns was worth: one public function a figure, one definition each.

`returns` are simple returns per session, as a Series or anything array-like.  A second series is
joined to the first on its sessions where both are Series, by position otherwise.  Missing returns
are left out of means and deviations, and count as 0 where returns compound; infinite ones are
missing too.  An account that has lost everything (a return of -1 or less) earns nothing any more.
`risk_free` is a rate per session, a number or a series.  `sessions_per_year` is the calendar's,
missing sessions counted.  Annual figures and returns are fractions.  What is undefined is NaN: no
return at all, no losses, no drawdown, fewer than 2 returns, no deviation (one of rounding noise is
none), or more than a float can hold.  ValueError is for arguments that cannot be meant: two
dimensions, series of different lengths.
"""

import math
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from rnntrade.config import SESSIONS_PER_YEAR, BacktestConfig
from rnntrade.types import Backtest

NOISE = 1e-14  # deviations up to this, relative to the values if those exceed 1, are rounding
TRADE_COSTS = ["commission", "spread", "slippage"]
HOLDING_COSTS = ["borrow", "financing"]

Floats = NDArray[np.float64]
P = ParamSpec("P")


def _figure(function: Callable[P, float]) -> Callable[P, float]:
    """Make what is undefined, or beyond the range of floats, NaN without a warning."""

    @wraps(function)
    def defined(*args: P.args, **kwargs: P.kwargs) -> float:
        with np.errstate(all="ignore"):
            value = float(function(*args, **kwargs))
        return value if math.isfinite(value) else math.nan

    return defined


@_figure
def total_return(returns: ArrayLike) -> float:
    """∏(1 + r) - 1."""
    return _growth(_array(returns)) - 1.0


@_figure
def annual_return(returns: ArrayLike, sessions_per_year: int = SESSIONS_PER_YEAR) -> float:
    """(∏(1 + r))^(year/n) - 1, the compound annual growth rate; -1 where nothing is left."""
    values = _array(returns)
    if len(values) == 0:
        return math.nan
    return float(np.maximum(_growth(values), 0.0) ** (sessions_per_year / len(values))) - 1.0


@_figure
def annual_volatility(returns: ArrayLike, sessions_per_year: int = SESSIONS_PER_YEAR) -> float:
    """Sample deviation × √year; 0 for returns that never differ."""
    return _deviation(_present(_array(returns))) * math.sqrt(sessions_per_year)


@_figure
def sharpe_ratio(
    returns: ArrayLike,
    risk_free: ArrayLike = 0.0,
    sessions_per_year: int = SESSIONS_PER_YEAR,
) -> float:
    """Mean over deviation of the returns above the risk-free rate, × √year."""
    return _mean_over_deviation(_excess(returns, risk_free)) * math.sqrt(sessions_per_year)


def rolling_sharpe(
    returns: ArrayLike,
    window: int = 63,
    risk_free: ArrayLike = 0.0,
    sessions_per_year: int = SESSIONS_PER_YEAR,
) -> pd.Series:
    """(T,) Sharpe ratio of the last `window` sessions; NaN before there are that many."""
    if window < 1:
        raise ValueError(f"a window has 1 session or more, not {window}")
    excess = _excess(returns, risk_free, keep_missing=True)
    ratio = np.full(len(excess), np.nan)
    for end in range(window, len(excess) + 1):
        ratio[end - 1] = sharpe_ratio(
            excess[end - window : end], sessions_per_year=sessions_per_year
        )
    return pd.Series(ratio, _index(returns), name="rolling_sharpe")


@_figure
def downside_risk(
    returns: ArrayLike,
    target: ArrayLike = 0.0,
    sessions_per_year: int = SESSIONS_PER_YEAR,
) -> float:
    """√(mean of min(r - target, 0)² over all sessions) × √year; the target is per session."""
    excess = _excess(returns, target)
    if len(excess) < 2:
        return math.nan
    return float(np.sqrt(np.mean(np.minimum(excess, 0.0) ** 2)) * math.sqrt(sessions_per_year))


@_figure
def sortino_ratio(
    returns: ArrayLike,
    target: ArrayLike = 0.0,
    sessions_per_year: int = SESSIONS_PER_YEAR,
) -> float:
    """Mean(r - target) × year over downside risk; NaN where no return falls short."""
    excess = _excess(returns, target)
    if len(excess) < 2:
        return math.nan
    risk = downside_risk(excess, sessions_per_year=sessions_per_year)
    return _ratio(float(excess.mean()) * sessions_per_year, risk)


def drawdown(returns: ArrayLike) -> pd.Series:
    """(T,) wealth over its highest so far, - 1, so <= 0; the starting capital is the first peak."""
    with np.errstate(all="ignore"):
        wealth = np.cumprod(_factors(_array(returns)))
        peak = np.maximum.accumulate(np.append(1.0, wealth))[1:]
        depth = wealth / peak - 1.0
    return pd.Series(depth, _index(returns), name="drawdown")


@_figure
def max_drawdown(returns: ArrayLike) -> float:
    """Return the deepest drawdown, as a negative number; 0 if there was none."""
    depth = drawdown(returns)
    return float(depth.to_numpy().min()) if len(depth) else math.nan


@_figure
def longest_drawdown(returns: ArrayLike) -> float:
    """Most sessions in a row below an earlier peak."""
    below = _under_water(returns)
    if len(below) == 0:
        return math.nan
    surface = np.flatnonzero(np.concatenate([[True], ~below, [True]]))
    return float(np.diff(surface).max() - 1)


@_figure
def time_under_water(returns: ArrayLike) -> float:
    """Share of sessions that close below an earlier peak."""
    below = _under_water(returns)
    return float(below.mean()) if len(below) else math.nan


@_figure
def ulcer_index(returns: ArrayLike) -> float:
    """√(mean of drawdown²), in percent."""
    depth = drawdown(returns).to_numpy()
    return float(np.sqrt(np.mean(depth**2)) * 100.0) if len(depth) else math.nan


@_figure
def calmar_ratio(returns: ArrayLike, sessions_per_year: int = SESSIONS_PER_YEAR) -> float:
    """Annual return over the depth of the deepest drawdown."""
    return _ratio(annual_return(returns, sessions_per_year), abs(max_drawdown(returns)))


@_figure
def omega_ratio(
    returns: ArrayLike, target: float = 0.0, sessions_per_year: int = SESSIONS_PER_YEAR
) -> float:
    """Sum of gains over the target / sum of shortfalls; the target is annual, unlike elsewhere.

    A target below -1, the loss of everything, is no rate a session: NaN.
    """
    if not target >= -1.0:
        return math.nan
    excess = _excess(returns, (1.0 + target) ** (1.0 / sessions_per_year) - 1.0)
    if len(excess) < 2:
        return math.nan
    return _ratio(float(excess[excess > 0.0].sum()), -float(excess[excess < 0.0].sum()))


@_figure
def tail_ratio(returns: ArrayLike) -> float:
    """|95th percentile| / |5th percentile|, linearly interpolated."""
    values = _present(_array(returns))
    if len(values) < 2:
        return math.nan
    low, high = np.percentile(values, [5, 95])
    return _ratio(abs(float(high)), abs(float(low)))


@_figure
def value_at_risk(returns: ArrayLike, level: float = 0.05) -> float:
    """Historical quantile of the returns at `level`, with its sign: a loss is negative."""
    values = _present(_array(returns))
    return float(np.quantile(values, level)) if len(values) > 1 else math.nan


@_figure
def conditional_value_at_risk(returns: ArrayLike, level: float = 0.05) -> float:
    """Mean of the returns at or below the value at risk."""
    values = _present(_array(returns))
    if len(values) < 2:
        return math.nan
    return float(values[values <= value_at_risk(values, level)].mean())


@_figure
def skew(returns: ArrayLike) -> float:
    """Third standardised moment, of the population (no small-sample correction)."""
    return _standardised_moment(returns, 3)


@_figure
def kurtosis(returns: ArrayLike) -> float:
    """Fourth standardised moment, of the population; Pearson's: 3 for a normal distribution."""
    return _standardised_moment(returns, 4)


@_figure
def beta(returns: ArrayLike, benchmark: ArrayLike, risk_free: ArrayLike = 0.0) -> float:
    """Slope of the least-squares line on the benchmark, both above the risk-free rate."""
    own, other = _excess_pair(returns, benchmark, risk_free)
    if len(own) < 2 or not _deviation(other) > 0.0:
        return math.nan
    centred = other - other.mean()
    return _over(float((centred * (own - own.mean())).sum()), float((centred**2).sum()))


@_figure
def alpha(
    returns: ArrayLike,
    benchmark: ArrayLike,
    risk_free: ArrayLike = 0.0,
    sessions_per_year: int = SESSIONS_PER_YEAR,
) -> float:
    """(1 + mean(r - beta × b))^year - 1, both above the risk-free rate."""
    own, other = _excess_pair(returns, benchmark, risk_free)
    daily = float(np.mean(own - beta(own, other) * other)) if len(own) else math.nan
    return float(np.maximum(1.0 + daily, 0.0) ** sessions_per_year) - 1.0


@_figure
def alpha_t_statistic(
    returns: ArrayLike,
    benchmark: ArrayLike,
    risk_free: ArrayLike = 0.0,
    lags: int | None = None,
) -> float:
    """Alpha per session over its standard error, robust to changing variance and autocorrelation.

    lags    of the Bartlett kernel; by default ⌊4 (n/100)^(2/9)⌋
    source  Newey and West (1987, 1994); no small-sample correction
    """
    own, other = _excess_pair(returns, benchmark, risk_free)
    count = len(own)
    if count < 3 or not _deviation(other) > 0.0:
        return math.nan
    lags = math.floor(4.0 * (count / 100.0) ** (2.0 / 9.0)) if lags is None else lags
    inputs = np.column_stack([np.ones(count), other])  # (n, 2)
    squares = inputs.T @ inputs
    if not np.isfinite(squares).all() or np.linalg.cond(squares) > 1.0 / NOISE:
        return math.nan
    bread = np.linalg.inv(squares)
    coefficients = bread @ inputs.T @ own
    errors = own - inputs @ coefficients
    if not _deviation(errors) > 0.0:
        return math.nan
    scores = inputs * errors[:, None]
    meat = scores.T @ scores
    for lag in range(1, min(lags, count - 1) + 1):
        gamma = scores[lag:].T @ scores[:-lag]
        meat += (1.0 - lag / (lags + 1.0)) * (gamma + gamma.T)
    variance = float((bread @ meat @ bread)[0, 0])
    return float(coefficients[0]) / math.sqrt(variance) if variance > 0.0 else math.nan


@_figure
def information_ratio(
    returns: ArrayLike, benchmark: ArrayLike, sessions_per_year: int = SESSIONS_PER_YEAR
) -> float:
    """Mean over deviation of the returns beyond the benchmark's, × √year."""
    return _mean_over_deviation(_excess(returns, benchmark)) * math.sqrt(sessions_per_year)


@_figure
def up_capture(
    returns: ArrayLike, benchmark: ArrayLike, sessions_per_year: int = SESSIONS_PER_YEAR
) -> float:
    """Annual return over the benchmark's, on the sessions where the benchmark did not fall."""
    return _capture(returns, benchmark, sessions_per_year, np.greater_equal)


@_figure
def down_capture(
    returns: ArrayLike, benchmark: ArrayLike, sessions_per_year: int = SESSIONS_PER_YEAR
) -> float:
    """Annual return over the benchmark's, on the sessions where the benchmark fell."""
    return _capture(returns, benchmark, sessions_per_year, np.less)


@_figure
def stability(returns: ArrayLike) -> float:
    """R² of a straight line through cumulative log returns; NaN where a return is -1 or less."""
    values = _filled(_array(returns))
    if len(values) < 2 or (values <= -1.0).any():
        return math.nan
    wealth, time = np.cumsum(np.log1p(values)), np.arange(len(values), dtype=float)
    if _deviation(wealth) == 0.0:
        return math.nan
    return float(np.corrcoef(time, wealth)[0, 1] ** 2)


@_figure
def win_rate(returns: ArrayLike, held: ArrayLike | None = None) -> float:
    """Share of sessions with a gain, among those with a position.

    held  (T,) whether there was a position, missing: there was none; without `held`, sessions with
          a return other than 0
    """
    values = _array(returns)
    with_position = values != 0.0 if held is None else _filled(_array(held)) != 0.0
    counted = values[with_position & np.isfinite(values)]
    return float((counted > 0.0).mean()) if len(counted) else math.nan


@_figure
def exposure(weights: ArrayLike) -> float:
    """Share of sessions with any position at all; (T,) or (T, K) weights."""
    table = _weights(weights)
    return float((table != 0.0).any(axis=1).mean()) if len(table) else math.nan


@_figure
def turnover(weights: ArrayLike, sessions_per_year: int = SESSIONS_PER_YEAR) -> float:
    """Sum of |change of weight| per year, buying and selling both counted, starting from flat.

    weights  (T,) or (T, K); missing: the one before still stands
    """
    table = _weights(weights)
    if len(table) == 0:
        return math.nan
    changes = np.abs(np.diff(table, axis=0, prepend=np.zeros((1, table.shape[1]))))
    return float(changes.sum()) * sessions_per_year / len(table)


@_figure
def profit_factor(profits: ArrayLike) -> float:
    """Sum of profits over sum of losses, of trades (or sessions); NaN without a loss."""
    values = _present(_array(profits))
    gains, losses = float(values[values > 0.0].sum()), -float(values[values < 0.0].sum())
    return _over(gains, losses) if losses > NOISE * gains else math.nan


@_figure
def expectancy(results: ArrayLike) -> float:
    """Mean result of a trade, in the unit given: a return, or the sessions it was held."""
    values = _present(_array(results))
    return float(values.mean()) if len(values) else math.nan


@_figure
def cost_drag(
    returns: ArrayLike, costs: ArrayLike, sessions_per_year: int = SESSIONS_PER_YEAR
) -> float:
    """Annual return lost to costs: that of returns + costs, less that of returns.

    costs  (T,) per session as a fraction of the equity it began with, positive
    """
    own, paid = _joined(returns, costs)
    before = annual_return(own + paid, sessions_per_year)
    return before - annual_return(own, sessions_per_year)


@_figure
def break_even_cost(gross_profit: float, traded_value: float) -> float:
    """Cost in bps of traded value at which nothing is earned, the same trades assumed.

    gross_profit  before the costs of trading; traded_value, in the same money
    """
    return _over(gross_profit, traded_value) * 1e4


def monthly_returns(returns: pd.Series) -> pd.DataFrame:
    """(years, 12) compounded return of each calendar month; NaN where it has no session."""
    dates = pd.DatetimeIndex(returns.index)
    growth = _compounded(returns, [dates.year, dates.month])
    years = pd.Index(sorted(set(dates.year)), name="year")
    months = pd.RangeIndex(1, 13, name="month")
    cells = growth.reindex(pd.MultiIndex.from_product([years, months])).to_numpy()
    return pd.DataFrame(cells.reshape(len(years), len(months)), years, months)


def yearly_returns(returns: pd.Series) -> pd.Series:
    """(years,) compounded return of each calendar year with a session."""
    years = pd.DatetimeIndex(returns.index).year
    return _compounded(returns, years).rename_axis("year").rename("return")


def figures(backtest: Backtest, benchmark: Backtest, config: BacktestConfig) -> dict[str, float]:
    """Every figure of a strategy beside a benchmark on the same sessions, by name.

    Sharpe, Sortino, omega, alpha and beta go by `config.risk_free_rate`, and all annual figures by
    `config.sessions_per_year`.
    Win rate counts sessions that held something at the last close or, with fills at opens, hold it
    at this one; profit factor and expectancy (mean net return) count trades, open ones as marked.
    Cost drag counts all that was paid, borrowing and financing included; interest earned stays in.
    errors  ValueError where the sessions differ
    """
    returns, other = backtest.returns, benchmark.returns
    if not returns.index.equals(other.index):
        raise ValueError("strategy and benchmark must cover the same sessions")
    year = config.sessions_per_year
    risk_free = config.risk_free_rate / year
    trades = backtest.trades
    invested = (backtest.weights != 0.0).any(axis=1)
    held = invested.shift(fill_value=False)
    if backtest.execution == "next_open":
        held |= invested
    began = backtest.equity.shift(fill_value=backtest.initial_capital)
    paid = backtest.costs[TRADE_COSTS + HOLDING_COSTS].sum(axis=1) / began.where(began > 0.0)
    before_costs = trades["net_profit"].sum() + backtest.costs[TRADE_COSTS].to_numpy().sum()
    return {
        "final_equity": float(backtest.equity.iloc[-1]),
        "total_return": total_return(returns),
        "annual_return": annual_return(returns, year),
        "annual_volatility": annual_volatility(returns, year),
        "sharpe_ratio": sharpe_ratio(returns, risk_free, year),
        "sortino_ratio": sortino_ratio(returns, risk_free, year),
        "calmar_ratio": calmar_ratio(returns, year),
        "omega_ratio": omega_ratio(returns, config.risk_free_rate, year),
        "max_drawdown": max_drawdown(returns),
        "longest_drawdown": longest_drawdown(returns),
        "time_under_water": time_under_water(returns),
        "ulcer_index": ulcer_index(returns),
        "downside_risk": downside_risk(returns, risk_free, year),
        "stability": stability(returns),
        "win_rate": win_rate(returns, held),
        "trade_win_rate": win_rate(trades["net_profit"], np.ones(len(trades))),
        "profit_factor": profit_factor(trades["net_profit"]),
        "expectancy": expectancy(trades["net_return"]),
        "trades": float(len(trades)),
        "mean_holding_time": expectancy(trades["duration"]),
        "turnover": float(backtest.turnover.sum()) * year / len(returns),
        "exposure": exposure(backtest.weights),
        "tail_ratio": tail_ratio(returns),
        "skew": skew(returns),
        "kurtosis": kurtosis(returns),
        "value_at_risk": value_at_risk(returns),
        "conditional_value_at_risk": conditional_value_at_risk(returns),
        "alpha": alpha(returns, other, risk_free, year),
        "alpha_t_statistic": alpha_t_statistic(returns, other, risk_free),
        "beta": beta(returns, other, risk_free),
        "information_ratio": information_ratio(returns, other, year),
        "up_capture": up_capture(returns, other, year),
        "down_capture": down_capture(returns, other, year),
        "cost_drag": cost_drag(returns, paid.fillna(0.0), year),
        "break_even_cost": break_even_cost(float(before_costs), trades["traded_value"].sum()),
    }


def _compounded(returns: pd.Series, groups: Any) -> pd.Series:
    """Return of each group of sessions; NaN if no return is known at all."""
    factors = pd.Series(_factors(_array(returns)), returns.index)
    return factors.groupby(groups).prod(min_count=1) - 1.0


def _array(values: ArrayLike) -> Floats:
    """(T,) floats; infinities are as missing as NaN."""
    array = np.asarray(values, dtype=float)
    if array.ndim != 1:
        raise ValueError(f"one series is wanted, not an array of shape {array.shape}")
    return np.where(np.isfinite(array), array, np.nan)


def _present(values: Floats) -> Floats:
    return values[np.isfinite(values)]


def _filled(values: Floats) -> Floats:
    return np.nan_to_num(values, nan=0.0)


def _growth(values: Floats) -> float:
    return float(np.prod(_factors(values))) if len(values) else math.nan


def _factors(values: Floats) -> Floats:
    """(T,) by which wealth changes: not at all once it is lost; NaN if no return is known."""
    factors = 1.0 + _filled(values)
    lost = np.flatnonzero(factors <= 0.0)
    if len(lost):
        factors[lost[0] + 1 :] = 1.0
    return factors if np.isfinite(values).any() else np.full(len(values), np.nan)


def _index(values: ArrayLike) -> pd.Index:
    return values.index if isinstance(values, pd.Series) else pd.RangeIndex(len(_array(values)))


def _joined(first: ArrayLike, second: ArrayLike) -> tuple[Floats, Floats]:
    """Both on the sessions of the first; a number stands for every session."""
    if isinstance(first, pd.Series) and isinstance(second, pd.Series):
        second = second.reindex(first.index)
    own = _array(first)
    other = np.asarray(second, dtype=float)
    other = np.full(len(own), other) if other.ndim == 0 else _array(other)
    if len(own) != len(other):
        raise ValueError(f"the series differ in length: {len(own)} and {len(other)}")
    return own, other


def _excess(first: ArrayLike, second: ArrayLike, keep_missing: bool = False) -> Floats:
    own, other = _joined(first, second)
    return own - other if keep_missing else _present(own - other)


def _excess_pair(
    returns: ArrayLike, benchmark: ArrayLike, risk_free: ArrayLike
) -> tuple[Floats, Floats]:
    """Returns and benchmark above the risk-free rate, where both are known."""
    own, other = _joined(returns, benchmark)
    _, rate = _joined(returns, risk_free)
    known = np.isfinite(own - other - rate)
    return (own - rate)[known], (other - rate)[known]


def _capture(returns: ArrayLike, benchmark: ArrayLike, year: int, chosen: np.ufunc) -> float:
    own, other = _joined(returns, benchmark)
    return _ratio(*(annual_return(each[chosen(other, 0.0)], year) for each in (own, other)))


def _deviation(values: Floats) -> float:
    """Sample deviation; NaN of fewer than 2 values, 0 where it is rounding noise."""
    if len(values) < 2:
        return math.nan
    deviation = float(np.std(values, ddof=1))
    if not math.isfinite(deviation):
        return math.nan
    return deviation if deviation > NOISE * max(1.0, float(np.abs(values).max())) else 0.0


def _mean_over_deviation(values: Floats) -> float:
    deviation = _deviation(values)
    return float(values.mean()) / deviation if deviation > 0.0 else math.nan


def _ratio(above: float, below: float) -> float:
    """NaN where the lower one, of returns, is nothing but rounding."""
    return _over(above, below) if abs(below) > NOISE else math.nan


def _over(above: float, below: float) -> float:
    """NaN where the lower one is nothing, or without end: a ratio of 0 would mislead."""
    return above / below if below != 0.0 and math.isfinite(below) else math.nan


def _standardised_moment(returns: ArrayLike, order: int) -> float:
    values = _present(_array(returns))
    if not _deviation(values) > 0.0:
        return math.nan
    centred = values - values.mean()
    return _over(float(np.mean(centred**order)), float(np.mean(centred**2) ** (order / 2.0)))


def _under_water(returns: ArrayLike) -> NDArray[np.bool_]:
    """(T,) below an earlier peak by more than rounding; empty where no return is known."""
    depth = drawdown(returns).to_numpy()
    return np.asarray(depth[np.isfinite(depth)] < -1e-12)


def _weights(weights: ArrayLike) -> Floats:
    """(T, K) without missing values."""
    table = weights if isinstance(weights, pd.DataFrame) else np.asarray(weights, dtype=float)
    values = pd.DataFrame(table).astype(float).replace([np.inf, -np.inf], np.nan)
    if not values.notna().to_numpy().any():
        return np.empty((0, values.shape[1]))
    return values.ffill().fillna(0.0).to_numpy(dtype=float)
