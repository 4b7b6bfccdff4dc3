"""The chain as a whole: from other prices to every number a run would write, dated t or before.

It runs only when every stage apart is clean, so what it finds is a leak between the stages.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from rnntrade.audit.evidence import Evidence, kind_of_series
from rnntrade.audit.findings import Audited
from rnntrade.audit.perturb import PERTURBATIONS, replace_future
from rnntrade.audit.sample_checks import NEWEST, Learner
from rnntrade.audit.setting import Setting
from rnntrade.config import ModelConfig
from rnntrade.objectives.lookup import objective_of
from rnntrade.types import Fit, Predictions, Prices, Thresholds, turbulent_classes

EARLY, LATE = 0.1, 0.6  # of the test part looked at: where its future is replaced, by turns


def audit_chain(setting: Setting) -> Audited:
    """Features to equity of the last fold, with the future replaced inside its test part.

    One direction model goes on to money; without one, the first model goes as far as predictions.
    """
    models = setting.experiment.models
    if not models:
        return Audited()
    model = next((each for each in models if objective_of(each).traded), models[0])
    evidence = Evidence("end to end")
    clean = _run(setting, setting.given, model)
    test = setting.position(setting.folds[-1].test)
    length = min(NEWEST["test"], len(setting.prices.sessions) - 1 - test)
    for turn, name in enumerate(PERTURBATIONS):
        last = test + int((EARLY, LATE)[turn % 2] * length)
        other = replace_future(setting.given, last, name, setting.rng(last, name))
        again = _run(setting, other, model)
        for series, table in clean.items():
            after = again.get(series, table.iloc[:0])  # a ticker may have no window any more
            evidence.compare(series, table, after, setting.probe(last, name))
    return evidence.audited(kind_of_series)


def _run(setting: Setting, given: Prices, model: ModelConfig) -> dict[str, pd.DataFrame]:
    """Every dated number from these prices, by series; what is learned is dated by the test part.

    The fold's dates stay those of the clean prices, as they do when sessions are added.
    """
    chain, experiment, fold = setting.chain, setting.experiment, setting.folds[-1]
    prices = chain.prices(given)
    features = chain.compute_features(prices, model.inputs)
    labels = chain.label(prices, experiment.labels, fold, setting.prices.sessions)
    targets = chain.make_targets(prices, labels, model)
    samples, parts = chain.sample(features, targets, labels, model)
    parts = Learner(setting, model, labels, features, targets, samples, parts).thin(samples, parts)
    fit = chain.fit(samples, parts, model, experiment)
    table = chain.predict_fold([fit], samples, parts).table
    said = [name for name in table.columns if name.startswith(("p_", "r_"))]
    tables = {f"{ticker} feature": each for ticker, each in features.items()}
    tables |= {
        f"{ticker} regime": each.to_frame("regime") for ticker, each in labels.regimes.items()
    }
    tables |= {
        f"{ticker} prediction": each.set_index("decision")[said]
        for ticker, each in table.groupby("ticker")
    }
    tables["learned"] = _learned(fit, labels.thresholds, fold.test)
    if objective_of(model).traded:
        regimes = chain.stitch([labels], experiment.trading)
        books = chain.trade(
            Predictions(table, pd.DataFrame()),
            prices,
            experiment.trading,
            experiment.backtest,
            experiment.report.cost_cases,
            regimes,
            turbulent_classes(experiment.labels),
        )
        done = books.strategy
        tables["position"] = books.target
        tables["money"] = done.costs.assign(equity=done.equity, turnover=done.turnover)
        tables["weight"] = done.weights
    return tables


def _learned(fit: Fit, thresholds: Mapping[str, Thresholds], day: pd.Timestamp) -> pd.DataFrame:
    """(1, n) all that was learned by the first test decision, one column a number."""
    weights = np.concatenate([each.ravel() for each in fit.weights.values()])
    numbers = {
        **{f"weight {i}": float(value) for i, value in enumerate(weights)},
        **{f"scaler mean {i}": value for i, value in enumerate(fit.scaler.mean)},
        **{f"scaler deviation {i}": value for i, value in enumerate(fit.scaler.deviation)},
        "epoch": fit.best,
        "temperature": fit.temperature,
    }
    for ticker, each in thresholds.items():
        numbers |= {f"{ticker} median": each.median, f"{ticker} upper": each.upper}
    return pd.DataFrame(numbers, index=pd.DatetimeIndex([day]), dtype=float)
