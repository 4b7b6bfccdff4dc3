"""Two desks that decide on other tickers are compared on those that they share."""

import numpy as np
import pytest

from rnntrade.production.decisions import ask, decide
from rnntrade.production.desk import narrowed
from rnntrade.production.promotion import same_question, score, shared_tickers
from rnntrade.types import FIELDS, Prices


def test_a_narrowed_desk_says_the_same_and_gives_the_ticker_all_equity(made):
    alone = narrowed(made.desk, ["WHOLE"])
    decided = decide(ask(alone, made.prices))
    expected = 2.0 * made.target["WHOLE"]
    assert decided.target["WHOLE"].equals(expected)
    assert decided.probability["WHOLE"].equals(made.probability["WHOLE"])


def test_shared_tickers_are_those_of_both_that_have_traded_since(made):
    desk, first = made.desk, made.desk.fold.test
    assert shared_tickers(desk, desk, made.prices, first) == ("WHOLE", "HALTED")
    alone = narrowed(desk, ["WHOLE"])
    assert shared_tickers(alone, desk, made.prices, first) == ("WHOLE",)
    assert shared_tickers(desk, alone, made.prices, first) == ("WHOLE",)
    gone = {name: getattr(made.prices, name).copy() for name in FIELDS}
    for frame in gone.values():
        frame.loc[frame.index >= first, "HALTED"] = np.nan
    assert shared_tickers(desk, desk, Prices(**gone), first) == ("WHOLE",)


def test_only_desks_without_a_common_ticker_answer_other_questions(made):
    whole, halted = narrowed(made.desk, ["WHOLE"]), narrowed(made.desk, ["HALTED"])
    assert same_question(whole, made.desk) == ""
    assert "WHOLE" in same_question(whole, halted)


@pytest.mark.parametrize("name", ["many_to_one_lstm", "regime_lstm", "seq2seq_lstm"])
def test_both_are_scored_on_the_same_sessions_and_tickers(made, name):
    desk, asked = made.desks[name], made.run.experiment
    alone = narrowed(desk, ["WHOLE"])
    prices = Prices(**{field: getattr(made.prices, field)[["WHOLE"]] for field in FIELDS})
    first, cases = desk.fold.test, asked.report.cost_cases
    whole, same = (
        score("one", alone, bars, first, asked.backtest, cases, alone)
        for bars in (made.prices, prices)
    )
    assert whole.scores.equals(same.scores)
    assert np.isfinite(whole.scores).all()
