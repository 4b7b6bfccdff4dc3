"""What the report's task hands to the figures."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from rnntrade.features.indicators import ticker_features
from rnntrade.samples.windows import make_samples
from rnntrade.types import Fold, FoldTargets, Predictions, Scaler, Windows
from tasks.refs import ModelRefs, put
from tasks.report import _attention
from tests.configs import ATTENTION
from tests.report.builder import fit


@pytest.mark.parametrize("first", ["WHOLE", "LATE", "HALTED"])
def test_attention_is_shown_with_the_window_of_the_newest_decision(home, prices, first):
    model = replace(ATTENTION, inputs=("returns", "rsi"))
    tickers = sorted(prices.tickers, key=lambda ticker: ticker != first)
    features = {ticker: ticker_features(prices.bars(ticker)) for ticker in tickers}
    tables = {ticker: table[list(model.inputs)] for ticker, table in features.items()}
    targets = {ticker: table[["returns"]].shift(-1) for ticker, table in features.items()}
    samples = make_samples(tables, targets, model.lookback, model.horizon)
    tested = samples.spans.decision >= np.datetime64("2019-01-01")
    tested &= samples.spans.decision < np.datetime64("2020-03-10")
    test = np.flatnonzero(tested)
    fold = Fold(0, np.arange(50), np.arange(50, 100), test)
    targets = FoldTargets(fold, samples.target, np.full(len(samples), np.nan), {})
    scaler = Scaler(np.array([0.01, -0.2]), np.array([0.02, 0.3]))
    fitted = replace(fit(model, 0, np.random.default_rng(0)), scaler=scaler)
    weights = np.random.default_rng(1).dirichlet(np.ones(model.lookback))
    nothing, shown = pd.DataFrame(), pd.DataFrame([weights], index=[first])
    refs = ModelRefs(
        model,
        windows=put("windows", Windows(samples, (targets,))),
        fits=[[put("fits", fitted)]],
        predictions=put("predictions", Predictions(nothing, nothing, shown)),
    )
    shown = _attention({"a": refs}, features)

    assert shown.ticker == first
    decision = samples.spans.decision[test][samples.spans.ticker[test] == first].max()
    traded = prices.close[first].dropna().loc[:decision].index
    assert list(shown.sessions) == list(traded[-model.lookback :])
    seen = features[first].loc[shown.sessions, list(model.inputs)]
    np.testing.assert_allclose(
        shown.window, (seen - scaler.mean) / scaler.deviation, rtol=1e-5, atol=1e-6
    )
    np.testing.assert_array_equal(shown.weights, weights)
