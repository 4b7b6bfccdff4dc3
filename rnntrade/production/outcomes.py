"""What a desk said since it stopped learning, beside what came; and its health by that."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rnntrade.chain import CHAIN
from rnntrade.objectives.lookup import objective_of
from rnntrade.production.decay import Outcomes
from rnntrade.production.decisions import Answers, desk_samples, known_regimes
from rnntrade.production.desk import Desk
from rnntrade.production.health import Check, Health, monitor
from rnntrade.types import Prices


def outcomes_since(
    desk: Desk,
    prices: Prices,
    first: pd.Timestamp,
    rules: Desk | None = None,
    answers: Answers | None = None,
) -> Outcomes:
    """Every decision from a session on whose truth is known by the end of the prices.

    first    no earlier than the first session that the desk has not learned from
    rules    the desk whose regimes are the truth, for a regime model; None: its own
    answers  of `decisions.ask` about the same prices, where they are at hand
    """
    objective = objective_of(desk.model, desk.fits[0].classes)
    samples = answers.samples if answers else desk_samples(desk, prices)
    since = np.flatnonzero(samples.spans.decision >= first.to_datetime64())
    regimes = known_regimes(rules or desk, prices) if objective.needs_regimes else None
    spans, targets = samples.spans[since], {}
    for ticker in desk.tickers:
        close = prices.bars(ticker)["close"]
        regime = regimes[ticker].reindex(close.index) if regimes is not None else close * np.nan
        targets[ticker] = CHAIN.target(objective, close, regime)
    truth = np.full((len(since), next(iter(targets.values())).shape[1]), np.nan)
    for ticker, target in targets.items():
        mine = spans.ticker == ticker
        truth[mine] = target.loc[pd.DatetimeIndex(spans.decision[mine])].to_numpy(float)
    known = np.isfinite(truth).all(axis=1)
    said = np.empty((0, len(objective.answer_columns)))
    if known.any():
        rows = since[known]
        said = answers.of(rows) if answers else CHAIN.answer(desk.fits, samples, rows)
    unknown = np.full(len(said), np.nan)
    table = pd.DataFrame(objective.columns(truth[known], said, unknown))
    return Outcomes.of(table.assign(decision=spans.decision[known]), objective)


@dataclass(frozen=True, eq=False)
class Observed:
    """What a desk's health is judged by."""

    recent_rows: NDArray[np.float64]  # (n, F) inputs of the newest sessions, all tickers
    validation: Outcomes | None  # None: the desk kept none whose truth is known
    recent: Outcomes  # as far as it has not learned from them

    def figures(self) -> dict[str, float]:
        """Hit rate and Brier score, or the error as a share of that of no move, then and now."""
        told: dict[str, float] = {}
        for when, outcomes in (("", self.recent), (".validation", self.validation)):
            if outcomes is None or not len(outcomes.session):
                continue
            error = float(outcomes.squared_errors().mean())
            if outcomes.forecasts:
                move = float(outcomes.squared_moves().mean())
                told |= {f"forecast_error{when}": error / move} if move > 0.0 else {}
            else:
                told[f"hit_rate{when}"] = float(outcomes.hits().mean())
                told[f"brier{when}"] = error
        return told


def observe(desk: Desk, known: Prices, answers: Answers | None = None) -> Observed:
    """Collect the newest inputs, and what was said and came.

    known    as for `check_health`
    answers  of `decisions.ask` about these prices, where they are at hand
    """
    config = desk.experiment.production
    samples = answers.samples if answers else desk_samples(desk, known)
    recent = known.sessions[-config.drift_sessions :]
    newest = samples.last[samples.spans.decision >= recent[0].to_datetime64()]
    since = max(desk.fold.test, known.sessions[-2 * config.drift_sessions :][0])
    came = outcomes_since(desk, known, since, answers=answers)
    truths = [name for name in desk.validation.columns if str(name).startswith("truth")]
    said = desk.validation.dropna(subset=truths)
    validation = (
        Outcomes.of(said, objective_of(desk.model, desk.fits[0].classes)) if len(said) else None
    )
    return Observed(samples.rows[newest], validation, came)


def check_health(
    desk: Desk, known: Prices, others: Sequence[Check] = (), seen: Observed | None = None
) -> Health:
    """Whether inputs, hits and calibration are still what the desk has learned and shown.

    known   bars up to the newest session that may be looked at
    others  checks made elsewhere, as of the freshness of data
    seen    of `observe`, where it is at hand
    """
    seen = seen or observe(desk, known)
    config = desk.experiment.production
    rows, before, now = seen.recent_rows, seen.validation, seen.recent
    return monitor(desk.reference, rows, before, now, config, others)
