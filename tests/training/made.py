"""Samples small enough to train in a second, whose answers are known."""

from dataclasses import replace

import numpy as np

from rnntrade.config import ModelConfig, TrainingConfig
from rnntrade.types import Fold, Samples, Spans
from tests.configs import MODELS

TINY = {
    model.name: replace(
        model,
        hidden_size=8,
        num_layers=1,
        lookback=6,
        horizon=3 if model.task == "forecast" else model.horizon,
        dropout=0.1,
        max_epochs=4,
    )
    for model in MODELS
}
FAST = TrainingConfig(learning_rate=1e-2, batch_size=32)


def made_samples(model: ModelConfig, sessions: int = 120, seed: int = 0) -> tuple[Samples, Fold]:
    """Two tickers of random rows; the target follows from each window's last row.

    The first two rows of each ticker, and a gap in its middle, are missing; the last target is not
    known yet.  Training, validation and test are 60, 20 and 20 % of each ticker, in that order.
    """
    random = np.random.default_rng(seed)
    rows, last, targets, decisions, tickers, parts, offset = [], [], [], [], [], [], 0
    days = np.datetime64("2020-01-01", "ns") + np.arange(sessions) * np.timedelta64(1, "D")
    for ticker in ("AAA", "BBB"):
        values = random.normal(size=(sessions, len(model.inputs))) * 0.01
        values[:2] = values[sessions // 2] = np.nan
        holes = np.isnan(values).any(axis=1)
        ends = np.array(
            [
                t
                for t in range(model.lookback - 1, sessions)
                if not holes[t - model.lookback + 1 : t + 1].any()
            ]
        )
        target = answer_of(model, values[ends])
        target[-1] = np.nan
        rows.append(values)
        last.append(ends + offset)
        targets.append(target)
        decisions.append(days[ends])
        tickers.append(np.full(len(ends), ticker))
        parts.append(np.digitize(ends / sessions, [0.6, 0.8]))
        offset += sessions
    decision, part = np.concatenate(decisions), np.concatenate(parts)
    later = decision + np.timedelta64(1, "D")
    start = decision - np.timedelta64(model.lookback - 1, "D")
    samples = Samples(
        spans=Spans(np.concatenate(tickers), start, decision, later, later),
        rows=np.concatenate(rows),
        last=np.concatenate(last),
        target=np.concatenate(targets),
        lookback=model.lookback,
        features=model.inputs,
    )
    return samples, Fold(2, *(np.flatnonzero(part == code) for code in range(3)))


def answer_of(model: ModelConfig, rows: np.ndarray) -> np.ndarray:
    """(N, O) target: the class of the last value by its size, its sign, or multiples of it."""
    value = rows[:, :1]
    if model.task == "regime":
        return np.digitize(value, [-0.007, 0.0, 0.007]).astype(float)
    if model.task == "direction":
        return (value > 0).astype(float)
    steps = model.horizon if model.task == "forecast" else 1
    return value * np.linspace(1.0, 0.5, steps) + 0.001


def assert_same_weights(one, other):
    assert list(one.weights) == list(other.weights)
    for name in one.weights:
        np.testing.assert_array_equal(one.weights[name], other.weights[name], err_msg=name)
