import dataclasses
import re
from itertools import combinations_with_replacement

import pytest

from rnntrade.evaluation import models, strategies
from rnntrade.evaluation.models import ModelEvaluation
from rnntrade.evaluation.strategies import StrategyEvaluation
from rnntrade.evaluation.verdict import (
    CORRECTED,
    judge,
    overall,
    phrase,
    summary,
)

NAN = float("nan")


@pytest.mark.parametrize(
    ("wide", "narrow", "outcome"),
    [
        ((0.001, 0.1), (0.01, 0.09), "evidence"),
        ((0.0, 0.1), (0.01, 0.09), "weak evidence"),  # touching 0 is not above it
        ((-0.001, 0.1), (0.0, 0.09), "no evidence"),
        ((-0.1, 0.1), (-0.05, 0.05), "no evidence"),
        ((-0.1, 0.0), (-0.09, -0.01), "no evidence"),  # nor below it
        ((-0.1, -0.001), (-0.09, -0.01), "loses"),
        ((NAN, NAN), (NAN, NAN), "no evidence"),
        ((NAN, NAN), (0.1, 0.2), "no evidence"),
    ],
)
def test_the_rule_at_its_boundaries(wide, narrow, outcome):
    assert judge(wide, narrow, survives=True) == outcome


def test_evidence_must_survive_the_number_of_trials():
    assert judge((0.001, 0.1), (0.01, 0.09), survives=False) == "weak evidence"
    assert judge((-0.1, 0.1), (-0.05, 0.05), survives=True) == "no evidence"


def test_a_run_shows_the_best_that_anything_in_it_showed():
    assert overall(["loses to zero", "weak evidence", "evidence"]) == "evidence"
    assert overall(["loses to zero", "weak evidence"]) == "weak evidence"
    assert overall(["loses to zero", "no evidence"]) == "no evidence"
    assert overall([]) == "no evidence"


def test_losing_names_the_winner():
    assert phrase("loses", "markov_chain") == "loses to markov chain"
    assert phrase("no evidence", "markov_chain") == "no evidence"


def model(**fields) -> ModelEvaluation:
    """An evaluation of which only the sentence matters."""
    unknown = dict.fromkeys(field.name for field in dataclasses.fields(ModelEvaluation))
    return ModelEvaluation(**unknown | fields)  # type: ignore[arg-type]


def strategy(**fields) -> StrategyEvaluation:
    """An evaluation of which only the sentence matters."""
    unknown = dict.fromkeys(field.name for field in dataclasses.fields(StrategyEvaluation))
    return StrategyEvaluation(**unknown | fields)  # type: ignore[arg-type]


def test_sentences_carry_the_figures_that_decide():
    lost = model(
        name="regime_lstm", verdict="loses to persistence", best_baseline="persistence",
        score_name="accuracy", score=0.42, baseline_score=0.48, difference=-0.06,
        interval=(-0.1, -0.02), confidence=0.95, p_value=0.9, attempts=1,
    )  # fmt: skip
    assert models.sentence(lost) == (
        "regime_lstm: loses to persistence. On the test part accuracy 0.420 against 0.480 of "
        "persistence, the best baseline there: difference -0.060, 95 % interval -0.100 to -0.020, "
        "p = 0.900, the first model tried on this data."
    )
    unclear = model(
        name="seq2seq", verdict="no evidence", best_baseline="zero", score_name="rmse",
        score=0.0101, baseline_score=0.01, difference=-0.0201, interval=(NAN, NAN), confidence=0.9,
        p_value=NAN, attempts=3,
    )  # fmt: skip
    assert models.sentence(unclear) == (
        "seq2seq: no evidence. On the test part RMSE 1.010 % against 1.000 % of zero, the "
        "best baseline there: -2.01 % squared error saved, 90 % interval not computable, no "
        "p-value."
    )
    better = strategy(
        name="signal", verdict="evidence", figures={"annual_return": 0.021},
        benchmark_figures={"annual_return": 0.103}, sharpe=1.2, benchmark_sharpe=0.8,
        difference=0.4, interval=(0.1, 0.7), confidence=0.95, deflated_sharpe=0.971, trials=12,
    )  # fmt: skip
    assert strategies.sentence(better) == (
        "signal: evidence. After costs +2.1 % a year at a Sharpe ratio of 1.20, against +10.3 % at "
        "0.80 for buy and hold: difference +0.40, 95 % interval +0.10 to +0.70. "
        "Deflated Sharpe ratio 0.971 with 12 trials on this data."
    )
    flat = strategy(
        name="flat", verdict="no evidence", figures={"annual_return": 0.0},
        benchmark_figures={"annual_return": 0.103}, sharpe=NAN, benchmark_sharpe=0.8,
        difference=NAN, interval=(NAN, NAN), confidence=0.95, deflated_sharpe=NAN, trials=1,
    )  # fmt: skip
    assert strategies.sentence(flat) == (
        "flat: no evidence. After costs +0.0 % a year with no Sharpe ratio, against "
        "+10.3 % at 0.80 for buy and hold. No deflated Sharpe ratio."
    )


@pytest.mark.parametrize(
    ("models", "strategies", "text"),
    [
        ([], [], "Nothing was evaluated."),
        (
            ["no evidence"],
            [],
            "No evidence. 1 model against the best baseline of each: no evidence in 1.",
        ),
        (
            ["loses to zero", "weak evidence"],
            ["evidence"],
            "Evidence. 2 models against the best baseline of each: weak evidence in 1, 1 loses. "
            "1 strategy against buy and hold, by Sharpe ratio: evidence in 1.",
        ),
    ],
)
def test_summary(models, strategies, text):
    assert summary(models, strategies) == text


SHOWN = ["evidence", "weak evidence", "no evidence", "loses to zero", "loses to markov chain"]


@pytest.mark.parametrize("models", list(combinations_with_replacement(SHOWN, 3)))
def test_the_paragraph_begins_with_the_tag_and_its_counts_add_up(models):
    strategies = ["no evidence", "weak evidence"]
    text = summary(models, strategies)
    tag = overall([*models, *strategies])
    assert text.lower().startswith(f"{tag}. ")
    first, second = re.findall(r"(\d+) \w+ against [^:]+: ([^.]+)\.", text)
    for (total, counted), verdicts in ((first, models), (second, strategies)):
        assert int(total) == len(verdicts) == sum(map(int, re.findall(r"\d+", counted)))


def test_prices_with_warnings_temper_the_verdict():
    assert summary(["evidence"], [], warned=True).startswith(
        "Evidence, resting on prices with warnings. 1 model "
    )


def test_the_correction_and_its_limit_are_told():
    assert "models ever tried on this data" in CORRECTED
    assert "nobody has counted" in CORRECTED
