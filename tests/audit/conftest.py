"""One small run in memory, which every test of its record looks at."""

import pytest

from rnntrade.audit.record import ModelRecord, RunRecord
from rnntrade.chain import CHAIN
from rnntrade.config import Experiment
from rnntrade.objectives.lookup import objective_of
from rnntrade.types import Prices
from tests.audit.made_run import small_experiment


@pytest.fixture(scope="session")
def run(prices: Prices) -> tuple[Prices, Experiment, RunRecord]:
    """Two folds of three tiny models, two members each, on two tickers."""
    bars, experiment = prices.of(["WHOLE", "HALTED"]), small_experiment()
    labels = CHAIN.label_folds(bars, experiment.labels, experiment.split)
    features = CHAIN.compute_features(bars)
    models = {}
    for model in experiment.models:
        windows = CHAIN.sample_folds(features, bars, labels, model)
        sampled = [windows.fold(number) for number in range(len(labels))]
        fits = [
            [CHAIN.fit(*fold, model, experiment, member) for member in range(experiment.members)]
            for fold in sampled
        ]
        predictions, asked = CHAIN.predict_folds(fits, windows), objective_of(model)
        rules = (experiment.trading, experiment.backtest, experiment.report.cost_cases)
        models[model.name] = ModelRecord(
            model=model,
            windows=windows,
            fits=fits,
            predictions=predictions,
            baselines=CHAIN.predict_baselines(*sampled[-1], asked, experiment.seed),
            books=CHAIN.trade(predictions, bars, *rules) if asked.traded else None,
        )
    return bars, experiment, RunRecord(bars, experiment, features, labels, models)
