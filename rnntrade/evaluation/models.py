"""What a network's predictions are worth, judged once beside its baselines, with the verdict.

Only rows whose future is known are judged, the same ones for the network and every baseline.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd

from rnntrade.config import ModelConfig, ReportConfig
from rnntrade.evaluation import classification, verdict
from rnntrade.evaluation.predictions import (
    KEYS,
    conformal_half_widths,
    interval_scores,
    known_rows,
    rows_by_source,
    step_scores,
)
from rnntrade.evaluation.significance import tests
from rnntrade.evaluation.statistics import (
    block_length,
    bootstrap_interval,
    coin_band,
    one_sided_p,
    smallest_edge,
)
from rnntrade.evaluation.verdict import ALONE, NARROW_CONFIDENCE, Interval, Trials
from rnntrade.objectives.lookup import objective_of
from rnntrade.protocols import Objective
from rnntrade.types import REGIMES

SEED = 0  # of the bootstrap: the same predictions, the same intervals


@dataclass(frozen=True, eq=False)
class ModelEvaluation:
    """One network beside its baselines, on the rows of the test part whose future is known."""

    name: str
    task: str
    horizon: int
    score_name: str  # "accuracy" (regime, direction) or "rmse" (return, forecast; return units)
    score: float
    validation_score: float  # the epoch was chosen there: flattering
    best_baseline: str  # the best on the test part itself, the hardest to beat
    baseline_score: float
    difference: float  # accuracy minus accuracy, or 1 - MSE / the baseline's; positive is better
    interval: Interval  # of the difference, at `confidence`
    narrow_interval: Interval  # at 80 %
    confidence: float
    p_value: float  # one-sided, of the difference alone
    attempts: int  # models ever tried on this data; the p-value is multiplied by it
    verdict: str
    sentence: str
    samples: int
    sessions: int
    smallest_edge: float  # a difference below it is not told from luck on this test part
    power: str  # the same, as a sentence
    scores: pd.DataFrame  # (sources, scores), the network first
    classes: pd.DataFrame | None  # precision, recall, f1, support by class
    confusion: pd.DataFrame | None  # counts, true in rows
    steps: pd.DataFrame | None  # by source and step: rmse, mae, r2_zero, sign_accuracy
    coverage: pd.DataFrame | None  # by step: coverage and mean width of the 90 % intervals
    folds: pd.DataFrame  # by fold: first, last, samples, score, baseline (the best one), difference
    seeds: pd.DataFrame | None  # by member of the ensemble: score, difference
    tests: pd.DataFrame  # test, against, statistic, one-sided p_value, detail
    reliability: pd.DataFrame | None  # by bin: low, high, confidence, accuracy, count


def evaluate_model(
    predictions: pd.DataFrame,
    model: ModelConfig,
    config: ReportConfig,
    trials: Trials = ALONE,
    members: pd.DataFrame | None = None,
    regimes: tuple[str, ...] = REGIMES,
) -> ModelEvaluation:
    """Judge a network against the best of its baselines.

    The interval is a paired stationary bootstrap of whole decision sessions, all tickers of a
    session together, in blocks of at least twice the horizon: labels that overlap stay together.
    trials   attempts on this data: the best of many is good by luck
    regimes  what the classes of a regime model are called
    members  test rows of the network, one set a member of its ensemble, told apart by `member`
    errors   ValueError where there is no network, no baseline, no known future, or a source
             lacks rows that another has
    """
    objective = objective_of(model, regimes)
    test = rows_by_source(predictions, "test", model)
    validation = rows_by_source(predictions, "validation", model)
    judged = test[model.name]
    sessions = int(judged["decision"].nunique())
    cost = {source: objective.cost(rows) for source, rows in test.items()}
    worth = {source: float(loss.mean()) for source, loss in cost.items()}
    rival = min((source for source in test if source != model.name), key=lambda s: worth[s])

    kind = objective.score
    scale = worth[rival] if kind == "rmse" and worth[rival] > 0.0 else 1.0
    judged = judged.assign(own=cost[model.name], rival=cost[rival])
    gain = (cost[rival] - cost[model.name]) / scale
    # a session's gains are summed, so that every sample counts once
    sums = pd.Series(gain).groupby(judged["decision"].to_numpy()).sum().sort_index()
    per_session, block = sums * (sessions / len(gain)), block_length(sessions, model.horizon)
    drawn = partial(bootstrap_interval, np.mean, per_session, block=block, seed=SEED)
    wide, narrow = (
        drawn(draws=config.bootstrap_draws, confidence=level)
        for level in (config.confidence, NARROW_CONFIDENCE)
    )
    blocks = max(sessions // block, 1)
    p_value = one_sided_p(float(gain.mean()), wide, config.confidence, blocks)
    attempts = max(len(set(trials.attempts)), 1)
    survives = p_value * attempts < 1.0 - config.confidence
    smallest = smallest_edge(wide, sessions, VARIANCE[kind] * model.horizon, config.confidence)
    validated = objective.cost(validation[model.name]).mean() if validation else math.nan
    tables = TABLES[kind](objective, test, validation)
    evaluation = ModelEvaluation(
        name=model.name,
        task=model.task,
        horizon=model.horizon,
        score_name=kind,
        score=_score(worth[model.name], kind),
        validation_score=_score(float(validated), kind),
        best_baseline=rival,
        baseline_score=_score(worth[rival], kind),
        difference=float(gain.mean()),
        interval=wide,
        narrow_interval=narrow,
        confidence=config.confidence,
        p_value=p_value,
        attempts=attempts,
        verdict=verdict.phrase(verdict.judge(wide, narrow, survives), rival),
        sentence="",
        samples=len(judged),
        sessions=sessions,
        smallest_edge=smallest,
        power=_power(objective, smallest, sessions, config.confidence),
        scores=tables.scores,
        classes=tables.classes,
        confusion=tables.confusion,
        steps=tables.steps,
        coverage=tables.coverage,
        folds=_folds(judged, scale, kind),
        seeds=_seeds(members, judged, objective, scale),
        tests=tests(test, objective, model.name),
        reliability=tables.reliability,
    )
    return replace(evaluation, sentence=sentence(evaluation))


def sentence(e: ModelEvaluation) -> str:
    """The verdict with the figures that decide it."""
    rival, (low, high) = verdict.plain(e.best_baseline), e.interval
    if e.score_name == "rmse":
        figures = f"RMSE {100 * e.score:.3f} % against {100 * e.baseline_score:.3f} % of {rival}"
        change = f"{100 * e.difference:+.2f} % squared error saved"
        bounds = f"{100 * low:+.2f} to {100 * high:+.2f} %"
    else:
        figures = f"{e.score_name} {e.score:.3f} against {e.baseline_score:.3f} of {rival}"
        change, bounds = f"difference {e.difference:+.3f}", f"{low:+.3f} to {high:+.3f}"
    if not math.isfinite(e.p_value):
        p = "no p-value"
    elif e.attempts == 1:
        p = f"p = {e.p_value:.3f}, the first model tried on this data"
    else:
        corrected = f"{min(1.0, e.p_value * e.attempts):.3f}"
        p = f"p = {e.p_value:.3f}, corrected for {e.attempts} models tried {corrected}"
    return (
        f"{e.name}: {e.verdict}. On the test part {figures}, the best baseline there: {change}, "
        f"{100 * e.confidence:g} % interval {verdict.bounded(low, bounds)}, {p}."
    )


def _folds(judged: pd.DataFrame, scale: float, kind: str) -> pd.DataFrame:
    """One row a fold: the same figures, of its test part alone."""
    rows = {
        number: {
            "first": part["decision"].min(),
            "last": part["decision"].max(),
            "samples": len(part),
            "score": _score(float(part["own"].mean()), kind),
            "baseline": _score(float(part["rival"].mean()), kind),
            "difference": float((part["rival"] - part["own"]).mean() / scale),
        }
        for number, part in judged.groupby("fold")
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("fold")


def _seeds(
    members: pd.DataFrame | None, judged: pd.DataFrame, objective: Objective, scale: float
) -> pd.DataFrame | None:
    """One row a member of the ensemble, as if it were alone; None where there is but one."""
    if members is None or members.empty or members["member"].nunique() < 2:
        return None
    rows, name = {}, str(judged["source"].iloc[0])
    for member, table in members.groupby("member"):
        alone = known_rows(table, name, "test", objective)
        if not alone[KEYS].equals(judged[KEYS]):
            raise ValueError(f"{name}: member {member} was not asked for the same rows")
        cost = objective.cost(alone)
        rows[member] = {
            "score": _score(float(cost.mean()), objective.score),
            "difference": float((judged["rival"] - cost).mean() / scale),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("member")


def _score(mean_loss: float, kind: str) -> float:
    return math.sqrt(mean_loss) if kind == "rmse" else 1.0 - mean_loss


Sources = Mapping[str, pd.DataFrame]  # rows of one part, the network first


class Tables(NamedTuple):
    """How well predictions met what came; None where a kind of score has no such table."""

    scores: pd.DataFrame
    classes: pd.DataFrame | None = None
    confusion: pd.DataFrame | None = None
    reliability: pd.DataFrame | None = None
    steps: pd.DataFrame | None = None
    coverage: pd.DataFrame | None = None


def _class_tables(objective: Objective, test: Sources, validation: Sources) -> Tables:
    """Every source's scores, where a state can change its transition recall, and the network's own.

    validation  not looked at
    """
    scores, answers, classes = {}, {}, objective.classes
    for source, rows in test.items():
        truth, predicted = objective.truth(rows), objective.predicted(rows)[:, : len(classes)]
        answers[source] = truth, predicted
        scores[source] = classification.scores(truth, predicted)
        if "current" in rows:
            scores[source]["transition_recall"] = classification.transition_recall(
                truth, predicted.argmax(axis=1).astype(float), rows["current"].to_numpy(float)
            )
    truth, predicted = next(iter(answers.values()))
    return Tables(
        pd.DataFrame.from_dict(scores, orient="index").rename_axis("source"),
        classification.class_table(truth, predicted, classes),
        classification.confusion(truth, predicted, classes),
        classification.reliability(truth, predicted),
    )


def _number_tables(objective: Objective, test: Sources, validation: Sources) -> Tables:
    """Every source's scores of all steps together and of each; how often intervals cover.

    Measured where fold and ticker have validation residuals enough for an interval.
    """
    scores, steps, coverage = {}, {}, None
    for source, rows in test.items():
        truth, forecast = objective.truth(rows), objective.predicted(rows)
        pooled = step_scores(truth.reshape(-1, 1), forecast.reshape(-1, 1))
        scores[source] = {str(key): float(value) for key, value in pooled.iloc[0].items()}
        steps[source] = step_scores(truth, forecast)
    name, rows = next(iter(test.items()))
    if validation:
        half_width = conformal_half_widths(objective, validation[name], rows)
        usable = np.isfinite(half_width).all(axis=1)
        if usable.any():
            truth, forecast = objective.truth(rows), objective.predicted(rows)
            coverage = interval_scores(truth[usable], forecast[usable], half_width[usable])
    return Tables(
        pd.DataFrame.from_dict(scores, orient="index").rename_axis("source"),
        steps=pd.concat(steps, names=["source"]),
        coverage=coverage,
    )


TABLES = {"accuracy": _class_tables, "rmse": _number_tables}  # by kind of score
VARIANCE = {"accuracy": 0.25, "rmse": 2.0}  # of a coin's hits; of a squared error's share
EDGES: Mapping[str, Callable[[float], str]] = {
    "accuracy": lambda edge: f"an edge below about {edge:.3f} of accuracy",
    "rmse": lambda edge: f"an edge below about {100 * edge:.2f} % of the squared error",
}


def _power(objective: Objective, smallest: float, sessions: int, confidence: float) -> str:
    if not math.isfinite(smallest):
        return f"{sessions:,} test sessions are too few to show anything."
    edge = EDGES[objective.score](smallest)
    text = f"{sessions:,} test sessions could not have told {edge} from luck"
    if objective.traded:
        band = coin_band(sessions, objective.horizon, confidence)
        text += f"; accuracy below {band:.3f} is inside a fair coin's band"
    return text + "."
