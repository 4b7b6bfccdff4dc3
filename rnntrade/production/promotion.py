"""Whether a challenger replaces the champion: the rules, fixed before any result was seen.

It does only if all of these hold, on the sessions that both were judged on:

    audit     no leak was found in the run that made it
    luck      the one-sided lower bound of the mean paired difference of scores is above the margin
    costs     in no cost case is its mean net return below the champion's (of strategies)
    drawdown  its largest fall is no deeper than the champion's (of strategies)

The lower bound takes the deviation of the mean from a paired stationary bootstrap, sessions in
blocks, and the quantile of Student's t.  A percentile interval is too narrow for half a year: of
noise it lets 7 to 8 % through at 126 sessions where it says 5 %, and 15 % where labels reach 20
sessions ahead.  A studentised bootstrap was no better.  With m blocks the deviation is estimated
as if from m observations, and its square falls short by 2/m because the drawn blocks centre on the
sample's own mean; so: m - 1 degrees of freedom, times √(m / (m - 2)).  Without a margin that lets
6 to 7 % of noise through in 1,500 rounds (1 % with labels 20 ahead and 126 sessions); with the
margin and all rules, `benchmarks/promotion.py` finds 0 to 5 %.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

from rnntrade.config import SESSIONS_PER_YEAR, BacktestConfig, ProductionConfig
from rnntrade.evaluation.metrics import max_drawdown
from rnntrade.evaluation.statistics import block_length, bootstrap_interval
from rnntrade.objectives.lookup import objective_of
from rnntrade.production.decisions import ask, decide, outcomes_since
from rnntrade.production.desk import Desk
from rnntrade.trading.backtest import backtest
from rnntrade.trading.costs import at_cost
from rnntrade.types import Prices

FEWEST_SESSIONS = 20  # that two can be compared on
MOST_COVERED = 0.95  # of the interval whose width gives the deviation of a mean
SEED = 0  # of the bootstrap: the same scores, the same decision
SMALLEST = 1e-12  # probability whose logarithm is taken


@dataclass(frozen=True, eq=False)
class Candidate:
    """One of the two, and its scores; more is better."""

    name: str
    scores: pd.Series  # (T,) net returns, or minus the mean loss of a session's tickers
    traded: bool  # whether the scores are returns
    cases: Mapping[float, pd.Series] = field(default_factory=dict)  # net returns by bps of costs
    horizon: int = 1  # sessions that a score reaches ahead: those of labels overlap
    sessions_per_year: int = SESSIONS_PER_YEAR

    def __post_init__(self) -> None:
        if self.traded != bool(self.cases):
            raise ValueError(f"{self.name}: a strategy, and it alone, has returns by cost case")
        index = self.scores.index
        if not (index.is_monotonic_increasing and index.is_unique):
            raise ValueError(f"{self.name}: sessions must be ascending and unique")
        for series in (self.scores, *self.cases.values()):
            if not (series.index.equals(index) and np.isfinite(series.to_numpy(float)).all()):
                raise ValueError(f"{self.name}: every session needs a score, in each cost case")


@dataclass(frozen=True)
class Decision:
    """Whether the challenger was promoted, why, and the figures behind it."""

    promoted: bool
    reasons: tuple[str, ...]  # every rule that failed, or what it won by
    figures: Mapping[str, float]


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

    Net returns of a strategy; else minus the mean loss of a session's tickers: minus
    log-likelihood, or squared error.

    first   no earlier than the first session that the desk has not learned from
    config  capital, fills and costs: the same for both
    rules   the desk whose regimes are the truth, for a regime model: the same for both
    """
    evening = ask(desk, prices)
    if objective_of(desk.model).traded:
        target = decide(evening).target.ffill().loc[first:].fillna(0.0)
        returns = backtest(target, prices, config).returns
        cases = {bps: backtest(target, prices, at_cost(config, bps)).returns for bps in cost_cases}
        return Candidate(
            name,
            returns,
            traded=True,
            cases=cases or {0.0: returns},
            sessions_per_year=config.sessions_per_year,
        )
    came = outcomes_since(evening, first, rules)
    if came.forecasts:
        losses = came.squared_errors()
    else:
        chosen = came.predicted[np.arange(len(came.truth)), came.truth.astype(int)]
        loss = pd.Series(-np.log(np.maximum(chosen, SMALLEST)))
        losses = loss.groupby(came.session).mean()
    return Candidate(name, -losses, traded=False, horizon=desk.model.horizon)


def judge(
    challenger: Candidate, champion: Candidate | None, audit_clean: bool, config: ProductionConfig
) -> Decision:
    """Apply the rules at the top of this module.

    champion     None: there is none, and the first clean version takes its place untested
    audit_clean  whether the leak audit of the challenger's run found nothing
    returns      figures: sessions, blocks, difference and lower_bound (… _a_year of strategies),
                 margin, p_value of the luck rule, max_drawdown_challenger and …_champion, and
                 difference_a_year_at_<bps>_bps
    errors       ValueError where only one is traded, or their cost cases or horizons differ
    """
    failed = [] if audit_clean else ["the leak audit of its run is not clean"]
    if champion is None:
        reasons = tuple(failed) or ("first champion: there was none to beat",)
        return Decision(not failed, reasons, {})
    mine, theirs = (
        (each.traded, each.horizon, sorted(each.cases)) for each in (challenger, champion)
    )
    if mine != theirs:
        raise ValueError(
            f"{challenger.name} and {champion.name} are not scored alike "
            f"(traded, horizon, cost cases): {mine} and {theirs}"
        )
    common = challenger.scores.index.intersection(champion.scores.index)
    difference = _difference(challenger.scores, champion.scores, common)
    block, sessions = block_length(len(common), challenger.horizon), f"{len(common)} sessions"
    figures = {"sessions": float(len(common))}
    if len(common) < FEWEST_SESSIONS or len(common) <= 2 * block:
        fewest = max(FEWEST_SESSIONS, 2 * block + 1)
        failed.append(
            f"{sessions} are common to both, too few: {fewest} are needed.  Retrain again once "
            "there are, or promote it by hand"
        )
        return Decision(False, tuple(failed), figures)
    if not difference.any():
        failed.append(f"the same scores in all {sessions}: nothing to choose between")
        return Decision(False, tuple(failed), figures)

    unit, scale = ("_a_year", challenger.sessions_per_year) if challenger.traded else ("", 1)
    margin = config.promotion_margin if challenger.traded else 0.0
    low, p_value = lower_bound(difference, margin / scale, block, config)
    mean, low = scale * float(difference.mean()), scale * low
    figures |= {f"difference{unit}": mean, f"lower_bound{unit}": low, f"margin{unit}": margin}
    figures |= {"p_value": p_value, "blocks": len(common) / block}
    sure = f"with {100 * config.promotion_confidence:g} % confidence"
    luck = f"its mean loss is {-mean:+.3g} from that of {champion.name}, {sure} at most "
    luck += f"{-low:+.3g}, where less than 0 is wanted, over {sessions}"
    if challenger.traded:
        luck = f"it earned {100 * mean:+.1f} % a year against {champion.name}, {sure} at least "
        luck += f"{100 * low:+.1f} %, where more than {100 * margin:+.1f} % is wanted, "
        luck += f"over {sessions}"
    won = [luck]
    if not low > margin:
        failed.append(luck)
    if challenger.traded:
        failed += _money(challenger, champion, common, figures)
        won.append("in no cost case it earned less, and its largest fall was no deeper")
    return Decision(not failed, tuple(failed or won), figures)


def lower_bound(
    difference: NDArray[np.float64], margin: float, block: int, config: ProductionConfig
) -> tuple[float, float]:
    """One-sided lower bound of the mean of (T,) paired differences, and the p-value of `margin`.

    margin   a session's; the bound is above it where p < 1 - config.promotion_confidence
    block    expected sessions in a block, fewer than T / 2
    """
    mean, blocks = float(difference.mean()), len(difference) / block
    low, high = bootstrap_interval(
        np.mean,
        difference,
        block=block,
        draws=config.bootstrap_draws,
        confidence=MOST_COVERED,
        seed=SEED,
    )
    deviation = (high - low) / (2.0 * NormalDist().inv_cdf(0.5 + MOST_COVERED / 2.0))
    deviation *= math.sqrt(blocks / (blocks - 2.0))
    bound = mean - float(stdtrit(blocks - 1.0, config.promotion_confidence)) * deviation
    if deviation == 0.0:  # the same difference in every session
        return bound, float(mean <= margin)
    return bound, float(stdtr(blocks - 1.0, (margin - mean) / deviation))


def _money(
    challenger: Candidate, champion: Candidate, common: pd.Index, figures: dict[str, float]
) -> list[str]:
    """Return which rules of strategies failed; write what they compare into `figures`."""
    failed = []
    for bps in sorted(challenger.cases):
        difference = _difference(challenger.cases[bps], champion.cases[bps], common)
        mean = challenger.sessions_per_year * float(difference.mean())
        figures[f"difference_a_year_at_{bps:g}_bps"] = mean
        if mean < 0.0:
            earned = f"at costs of {bps:g} bp it earned {-100 * mean:.1f} % a year less"
            failed.append(f"{earned} than {champion.name}")
    own, other = (max_drawdown(each.scores.loc[common]) for each in (challenger, champion))
    figures |= {"max_drawdown_challenger": own, "max_drawdown_champion": other}
    if own < other:
        fall = f"its largest fall was {abs(100 * own):.1f} %"
        failed.append(f"{fall}, that of {champion.name} {abs(100 * other):.1f} %")
    return failed


def _difference(own: pd.Series, other: pd.Series, common: pd.Index) -> NDArray[np.float64]:
    return np.asarray(own.loc[common] - other.loc[common], dtype=np.float64)
