"""The last sessions lived again, one day at a time, with nothing but the bars known by then.

The recorded probability and target weight of each day must come out to the last bit, and so must
what the registered model would have answered that evening.
"""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from rnntrade.audit.findings import Audited, Finding, merge
from rnntrade.audit.record import ModelRecord, RunRecord, compare, positions
from rnntrade.chain import CHAIN, Chain, chain_of
from rnntrade.config import SESSIONS_PER_YEAR, Experiment
from rnntrade.errors import DataError
from rnntrade.objectives.lookup import objective_of
from rnntrade.trading.filters import stitch_regimes
from rnntrade.types import Boundary, Fit, Prices, Samples, Spans

Serve = Callable[[Sequence[Fit], pd.DataFrame], pd.DataFrame]
Days = dict[pd.Timestamp, dict[str, pd.DataFrame]]  # day -> ticker -> newest rows of features
KEYS = ["decision", "ticker"]


def audit_replay(
    prices: Prices, experiment: Experiment, record: RunRecord, device: str = "cpu"
) -> Audited:
    """Decide the last `audit.replayed` sessions of every traded model again, day by day.

    Bars are cut at each day; features of it are computed once for all models; the windows of all
    days are predicted in one call, since a prediction does not depend on its batch.
    device  that the run predicted on
    """
    traded = [each for each in record.models.values() if each.probability is not None]
    if not traded:
        return Audited()
    inputs = tuple(dict.fromkeys(name for each in traded for name in each.model.inputs))
    longest = max(each.model.lookback for each in traded)
    asked: set[pd.Timestamp] = set()
    for each in traded:
        assert each.probability is not None
        asked |= set(each.probability.index[-experiment.audit.replayed :])
    bars = {ticker: prices.bars(ticker) for ticker in prices.tickers}
    chain = chain_of(experiment.backtest.sessions_per_year)
    days = {day: _newest(chain, bars, day, inputs, longest) for day in sorted(asked)}
    folds = chain.boundaries(prices.sessions, experiment.split, record.test_from)
    return merge(
        _replayed(prices, experiment, record, each, days, folds, device) for each in traded
    )


def _newest(
    chain: Chain,
    bars: dict[str, pd.DataFrame],
    day: pd.Timestamp,
    inputs: tuple[str, ...],
    length: int,
) -> dict[str, pd.DataFrame]:
    """The newest rows of features, from bars cut at that day, of the tickers that traded."""
    return {
        ticker: chain.features(table.loc[:day], inputs).iloc[-length:]
        for ticker, table in bars.items()
        if day in table.index
    }


def _replayed(
    prices: Prices,
    experiment: Experiment,
    record: RunRecord,
    each: ModelRecord,
    days: Days,
    folds: Sequence[Boundary],
    device: str,
) -> Audited:
    """One model's last days."""
    assert each.probability is not None
    assert each.target is not None
    told = each.probability.iloc[-experiment.audit.replayed :]
    before = each.probability.iloc[: len(each.probability) - len(told)]
    again = pd.DataFrame(np.nan, told.index, told.columns)
    for fold in folds:
        mine = told.index[(told.index >= fold.test) & (told.index < (fold.end or pd.Timestamp.max))]
        windows = {
            (day, ticker): rows[list(each.model.inputs)].iloc[-each.model.lookback :]
            for day in mine
            for ticker, rows in days[day].items()
        }
        full = {key: w for key, w in windows.items() if _is_full(w, each.model.lookback)}
        if not full:
            continue
        samples = _as_samples(full, each)
        rows = np.arange(len(samples))
        fits = each.fits[fold.number]
        said = CHAIN.answer(fits, samples, rows, device)
        for (day, ticker), outputs in zip(full, said, strict=True):
            again.loc[day, ticker] = outputs[0]

    seen = pd.concat([before, again])
    decided = pd.DataFrame(np.nan, told.index, told.columns)
    for day in told.index:
        regimes = _regimes(prices, experiment, record, folds, day)
        decided.loc[day] = positions(seen.loc[:day], experiment, regimes).loc[day]
    kind = "decided otherwise with the bars of its day"
    target = each.target.iloc[-len(told) :]
    return merge(
        [
            compare("probability", each.model.name, told, again, kind=kind, check="replay"),
            compare("positions", each.model.name, target, decided, kind=kind, check="replay"),
        ]
    )


def _regimes(
    prices: Prices,
    experiment: Experiment,
    record: RunRecord,
    folds: Sequence[Boundary],
    day: pd.Timestamp,
) -> pd.DataFrame | None:
    """Regimes up to that day, the newest fold's from the bars of the day; None without a filter."""
    if experiment.trading.regime_filter == "off":
        return None
    known = prices.upto(day)
    begun = [fold for fold in folds if fold.test <= day]
    newest = CHAIN.label(known, experiment.labels, begun[-1], known.sessions)
    tables = [*record.regimes[: len(begun) - 1], newest.regimes]
    return stitch_regimes(tables, [fold.test for fold in begun])


def _is_full(window: pd.DataFrame, lookback: int) -> bool:
    return len(window) == lookback and bool(np.isfinite(window.to_numpy()).all())


def _as_samples(
    windows: dict[tuple[pd.Timestamp, str], pd.DataFrame], each: ModelRecord
) -> Samples:
    """Windows laid one after the other, each with rows of its own."""
    lookback, model = each.model.lookback, each.model
    decision = np.array([day.to_datetime64() for day, _ in windows], dtype="datetime64[ns]")
    start = np.array([w.index[0].to_datetime64() for w in windows.values()], dtype="datetime64[ns]")
    unknown = np.full(len(windows), np.datetime64("NaT", "ns"))
    return Samples(
        spans=Spans(np.array([t for _, t in windows]), start, decision, unknown, unknown),
        rows=np.concatenate([window.to_numpy(dtype=float) for window in windows.values()]),
        last=np.arange(1, len(windows) + 1) * lookback - 1,
        target=np.full((len(windows), model.horizon), np.nan),
        lookback=lookback,
        features=model.inputs,
    )


def audit_served(
    prices: Prices,
    fits: Sequence[Fit],
    predictions: pd.DataFrame,
    sessions: Sequence[pd.Timestamp],
    serve: Serve | None = None,
    tolerance: float = 0.0,
    sessions_per_year: int = SESSIONS_PER_YEAR,
) -> Audited:
    """Ask the registered model for these sessions' predictions, bars cut at each.

    fits         members of the newest fold
    predictions  recorded table of one network
    sessions     of the newest fold's test part
    serve        the library's own unless replaced
    tolerance    0 where the run predicted on a CPU, as the served model does
    """
    library: Serve = chain_of(sessions_per_year).latest
    serve = serve or library
    model = fits[0].model
    mine = predictions[(predictions["fold"] == fits[0].fold) & (predictions["part"] == "test")]
    recorded = mine.set_index(KEYS).sort_index()
    objective = objective_of(model, fits[0].classes)
    columns = list(objective.answer_columns[: len(objective.names)])
    findings: list[Finding] = []
    compared = 0

    def note(day: pd.Timestamp, ticker: str, kind: str, detail: str) -> None:
        series, when = f"{model.name}, {ticker}", f"{day:%Y-%m-%d}"
        findings.append(Finding("served model", "served model", series, when, kind, detail))

    for day in sessions:
        due = recorded.loc[[day]] if day in recorded.index.get_level_values(0) else None
        if due is None:
            continue
        tickers = list(due.index.get_level_values(1))
        bars = pd.concat(
            [prices.bars(t).loc[:day, ["close"]].assign(ticker=t).reset_index() for t in tickers]
        )
        try:
            answers = serve(fits, bars).set_index("ticker")
        except DataError as error:
            note(day, ", ".join(tickers), "served model refuses the bars of its day", str(error))
            continue
        for ticker in tickers:
            told = recorded.loc[(day, ticker), columns].to_numpy(dtype=float)
            answer = answers.loc[ticker]
            said = answer[_numbers(answers)].to_numpy(dtype=float)
            compared += len(told) + 1
            if answer["as_of"] != f"{day:%Y-%m-%d}":
                note(day, ticker, "newest session left out", f"it answers as of {answer['as_of']}")
            elif not (np.abs(said - told) <= tolerance).all():
                earlier = recorded.xs(ticker, level="ticker").loc[:day].iloc[:-1]
                before = earlier[columns].iloc[-1].to_numpy(float) if len(earlier) else told
                kind = _served_kind(fits, bars, ticker, said, before, library)
                note(day, ticker, kind, f"it says {said.tolist()}, recorded {told.tolist()}")
    return Audited({"served model": compared}, tuple(findings))


def _served_kind(
    fits: Sequence[Fit],
    bars: pd.DataFrame,
    ticker: str,
    said: np.ndarray,
    before: np.ndarray,
    library: Serve,
) -> str:
    """What the served model may have done instead."""
    if (said == before).all():
        return "one bar too few"
    alone = bars[bars["ticker"] == ticker]
    for count in range(1, len(fits)):
        for first in range(len(fits) - count + 1):
            few = library(fits[first : first + count], alone)
            if (few[_numbers(few)].to_numpy(dtype=float)[0] == said).all():
                return f"{count} of {len(fits)} members averaged"
    return "other features, scaler, weights or temperature than the pipeline's"


def _numbers(answers: pd.DataFrame) -> list[str]:
    """The columns that a served model predicts, in their order."""
    return [str(name) for name in answers if str(name).startswith(("p_", "r_"))]
