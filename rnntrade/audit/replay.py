"""The last sessions lived again, one day at a time, with nothing but the bars known by then.

The recorded probability and target weight of each day must come out to the last bit, and so must
what the registered model would have answered that evening.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

from rnntrade.audit.findings import Audited, Finding, merge
from rnntrade.audit.record import ModelRecord, RunRecord, compare
from rnntrade.chain import chain_of
from rnntrade.config import SESSIONS_PER_YEAR
from rnntrade.errors import DataError
from rnntrade.objectives.lookup import objective_of
from rnntrade.types import Books, Fit, Prices, turbulent_classes

Serve = Callable[[Sequence[Fit], pd.DataFrame], pd.DataFrame]
Array = np.ndarray


def audit_replay(record: RunRecord) -> Audited:
    """Decide the last `audit.replayed` sessions of every traded model again, day by day.

    Bars are cut at each day; features of it are computed once for all models; the windows of all
    days are predicted in one call, since a prediction does not depend on its batch.
    """
    prices, replayed = record.prices, record.experiment.audit.replayed
    traded = [(own, own.books) for own in record.models.values() if own.books is not None]
    inputs = tuple(dict.fromkeys(name for own, _ in traded for name in own.model.inputs))
    longest = max((own.model.lookback for own, _ in traded), default=0)
    days = {day for _, books in traded for day in books.probability.index[-replayed:]}
    bars = {ticker: prices.bars(ticker) for ticker in prices.tickers}
    features = {
        (day, ticker): record.chain.features(table.loc[:day], inputs).iloc[-longest:]
        for day in sorted(days)
        for ticker, table in bars.items()
        if day in table.index
    }
    return merge(_replayed(record, own, books, features) for own, books in traded)


def _replayed(
    record: RunRecord,
    own: ModelRecord,
    books: Books,
    features: Mapping[tuple[pd.Timestamp, str], pd.DataFrame],
) -> Audited:
    """One model's last days; `features` are the newest rows of each day and ticker."""
    chain, experiment, model, name = record.chain, record.experiment, own.model, own.model.name
    recorded = books.probability.iloc[-experiment.audit.replayed :]
    again = pd.DataFrame(np.nan, recorded.index, recorded.columns)
    for fold in (labels.boundary for labels in record.labels):
        until = fold.end or pd.Timestamp.max
        full = {}
        for (day, ticker), rows in features.items():
            window = rows[list(model.inputs)].iloc[-model.lookback :]
            whole = len(window) == model.lookback and np.isfinite(window.to_numpy()).all()
            if whole and fold.test <= day < until and day in again.index:
                full[f"{day:%Y-%m-%d} {ticker}"] = window
        if full:
            samples = chain.windows(full, model)
            everyone = np.arange(len(samples))
            answers = chain.answer(own.fits[fold.number], samples, everyone, record.device)
            for key, answer in zip(full, answers, strict=True):
                again.loc[pd.Timestamp(key[:10]), key[11:]] = answer[0]
    decided = pd.DataFrame(np.nan, recorded.index, recorded.columns)
    seen = pd.concat([books.probability.iloc[: -len(recorded)], again])
    turbulent = turbulent_classes(experiment.labels)
    for day in recorded.index:
        regimes = _regimes(record, day)
        position = chain.position(seen.loc[:day], experiment.trading, regimes, turbulent)
        decided.loc[day] = chain.allocate(position).loc[day]
    kind, target = "decided otherwise with the bars of its day", books.target.iloc[-len(recorded) :]
    tables = (("probability", recorded, again), ("positions", target, decided))
    return merge(
        compare(what, name, told, due, kind=kind, check="replay") for what, told, due in tables
    )


def _regimes(record: RunRecord, day: pd.Timestamp) -> pd.DataFrame | None:
    """Regimes up to that day, the newest fold's from the bars of the day; None without a filter."""
    chain, experiment, prices = record.chain, record.experiment, record.prices.upto(day)
    if experiment.trading.regime_filter == "off":
        return None  # nothing is labelled for nobody
    begun = [labels for labels in record.labels if labels.boundary.test <= day]
    newest = chain.label(prices, experiment.labels, begun[-1].boundary, prices.sessions)
    return chain.stitch([*begun[:-1], newest], experiment.trading)


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
    model, findings, compared = fits[0].model, [], 0
    objective = objective_of(model, fits[0].classes)
    columns = list(objective.answer_columns[: len(objective.names)])
    own = predictions[(predictions["fold"] == fits[0].fold) & (predictions["part"] == "test")]
    recorded = {
        str(ticker): table.set_index("decision")[columns] for ticker, table in own.groupby("ticker")
    }
    for day in sessions:
        tickers = [ticker for ticker, table in recorded.items() if day in table.index]
        if not tickers:
            continue
        bars = pd.concat(
            [prices.bars(t).loc[:day, ["close"]].assign(ticker=t).reset_index() for t in tickers]
        )
        wrong: dict[str, tuple[str, str]] = {}  # ticker -> kind, detail
        try:
            answers = _numbers((serve or library)(fits, bars))
        except DataError as error:
            wrong[", ".join(tickers)] = "served model refuses the bars of its day", str(error)
            answers = {}
        for ticker, (as_of, served) in answers.items():
            told = recorded[ticker].loc[day].to_numpy(float)
            compared += len(told) + 1
            if as_of != f"{day:%Y-%m-%d}":
                kind = "served model drops the newest session"
                wrong[ticker] = kind, f"it answers as of {as_of}"
            elif not (np.abs(served - told) <= tolerance).all():
                alone = bars[bars["ticker"] == ticker]
                kind = _served_kind(fits, alone, served, recorded[ticker], library)
                wrong[ticker] = kind, f"it says {served.tolist()}, recorded {told.tolist()}"
        check = "served model"
        findings += [
            Finding(check, check, f"{model.name}, {who}", f"{day:%Y-%m-%d}", kind, detail)
            for who, (kind, detail) in wrong.items()
        ]
    return Audited({"served model": compared}, tuple(findings))


def _numbers(answers: pd.DataFrame) -> dict[str, tuple[str, Array]]:
    """As of when, and the (C,) numbers of each ticker."""
    names = [str(name) for name in answers if str(name).startswith(("p_", "r_"))]
    return {
        str(row["ticker"]): (str(row["as_of"]), row[names].to_numpy(float))
        for _, row in answers.iterrows()
    }


def _served_kind(
    fits: Sequence[Fit], bars: pd.DataFrame, served: Array, recorded: pd.DataFrame, library: Serve
) -> str:
    """What the served model may have done instead: bars and recorded answers are one ticker's."""
    day = bars["date"].max()
    before, after = recorded.loc[:day].iloc[-2:-1], recorded.loc[day:].iloc[1:2]
    if len(before) and (before.to_numpy(float) == served).all():
        return "served model drops the newest session"
    if len(after) and (after.to_numpy(float) == served).all():
        return "served model reads the next bar"
    for count in range(1, len(fits)):
        for first in range(len(fits) - count + 1):
            ((_, answer),) = _numbers(library(fits[first : first + count], bars)).values()
            if (answer == served).all():
                return f"{count} of {len(fits)} members averaged"
    return "served model computes otherwise: another scaler, weights or inputs"
