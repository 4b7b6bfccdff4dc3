"""One small run in memory, which every test of its record looks at."""

import pandas as pd
import pytest

from rnntrade.audit.record import ModelRecord, RunRecord
from rnntrade.chain import CHAIN, Predictions
from rnntrade.config import Experiment
from rnntrade.objectives.lookup import objective_of
from rnntrade.types import Prices
from tests.audit.made_run import small_experiment


@pytest.fixture(scope="session")
def run(prices: Prices) -> tuple[Prices, Experiment, RunRecord]:
    """Two folds of three tiny models, two members each, on two tickers."""
    bars, experiment = prices.of(["WHOLE", "HALTED"]), small_experiment()
    folds = CHAIN.boundaries(bars.sessions, experiment.split, None)
    labels = [CHAIN.label(bars, experiment.labels, fold, bars.sessions) for fold in folds]
    features = CHAIN.compute_features(bars)
    models = {}
    for model in experiment.models:
        sampled = [
            CHAIN.sample(features, CHAIN.make_targets(bars, fold, model), fold, model)
            for fold in labels
        ]
        fits = [
            [CHAIN.fit(*own, model, experiment, member) for member in range(experiment.members)]
            for own in sampled
        ]
        by_fold = [CHAIN.predict_fold(own, *fold) for own, fold in zip(fits, sampled, strict=True)]
        predictions = Predictions(
            pd.concat([fold.table for fold in by_fold], ignore_index=True),
            pd.concat([fold.members for fold in by_fold], ignore_index=True),
        )
        asked = objective_of(model)
        rules = (experiment.trading, experiment.backtest, experiment.report.cost_cases)
        models[model.name] = ModelRecord(
            model=model,
            samples=sampled.__getitem__,
            fits=fits,
            predictions=predictions,
            baselines=pd.concat(
                [CHAIN.predict_baselines(*own, asked, experiment.seed) for own in sampled]
            ),
            books=CHAIN.trade(predictions, bars, *rules) if asked.traded else None,
        )
    return bars, experiment, RunRecord(features, labels, models)
