"""A desk decides what its backtest decided, whatever it is told of later, and nothing else."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from rnntrade.audit.perturb import PERTURBATIONS, replace_future
from rnntrade.chain import CHAIN
from rnntrade.codec import load, save
from rnntrade.errors import DataError
from rnntrade.production import decisions
from rnntrade.production.decisions import answer, ask, decide
from rnntrade.production.desk import Desk
from rnntrade.training.predict import predict


def same(one: pd.DataFrame, other: pd.DataFrame) -> bool:
    """Bit for bit, missing like missing."""
    return np.array_equal(one.to_numpy(float), other.to_numpy(float), equal_nan=True)


def test_all_decisions_are_the_backtests_to_the_last_bit(made):
    decided = decide(ask(made.desk, made.prices))
    assert decided.probability.index.equals(pd.DatetimeIndex(made.probability.index))
    assert list(decided.target.columns) == list(made.target.columns)
    assert len(decided.target) == 257
    assert same(decided.probability, made.probability)
    assert same(decided.target, made.target)
    assert decided.target.nunique().min() > 50  # sizes differ, and the filter halves some


@pytest.mark.slow
def test_each_evening_says_the_row_of_its_session(made):
    """The last 250 sessions, one at a time, with nothing but the bars up to them."""
    for day in made.target.index[-250:]:
        decided = decide(ask(made.desk, made.prices.upto(day)))
        assert decided.target.index[-1] == day
        assert same(decided.probability.iloc[[-1]], made.probability.loc[[day]])
        assert same(decided.target.iloc[[-1]], made.target.loc[[day]])


@pytest.mark.parametrize("name", list(PERTURBATIONS))
def test_no_other_future_changes_a_decision(made, name):
    day = made.target.index[100]
    place = made.prices.sessions.get_loc(day)
    other = replace_future(made.prices, place, name, np.random.default_rng(0))
    assert same(decide(ask(made.desk, other)).target.loc[:day], made.target.loc[:day])


def test_a_registered_version_answers_the_same(made):
    for day in made.target.index[[0, 17, 120, 256]]:
        bars = pd.concat(
            made.prices.bars(ticker).loc[:day, ["close"]].assign(ticker=ticker).reset_index()
            for ticker in made.desk.tickers
        )
        said = answer(made.desk, bars).set_index("ticker").loc[list(made.desk.tickers)]
        assert said["p_up"].to_list() == made.probability.loc[day].to_list()
        assert said["target"].to_list() == made.target.loc[day].to_list()


def test_a_ticker_without_rules_has_a_probability_and_no_target(made):
    bars = made.prices.bars("WHOLE")[["close"]].assign(ticker="OTHER").reset_index()
    said = answer(made.desk, bars).iloc[0]
    assert 0.0 < said["p_up"] < 1.0
    assert np.isnan(said["target"])


def test_a_desk_reads_back_as_it_was_written_to_the_last_byte(made, tmp_path):
    for name, desk in made.desks.items():
        save(desk, tmp_path / name)
        kept = {
            p.relative_to(tmp_path / name): p.read_bytes() for p in (tmp_path / name).rglob("*.*")
        }
        save(load(Desk, tmp_path / name), tmp_path / "again" / name)
        for path, content in kept.items():
            assert (tmp_path / "again" / name / path).read_bytes() == content
    again = load(Desk, tmp_path / made.desk.model.name)
    assert same(decide(ask(again, made.prices)).target, made.target)


def test_nothing_is_decided_on_sessions_that_it_has_learned_from(made):
    before = made.prices.sessions[made.prices.sessions < made.desk.fold.test][-1]
    with pytest.raises(DataError, match="nothing is left to decide"):
        decide(ask(made.desk, made.prices.upto(before)))


def test_a_ticker_without_bars_changes_no_decision_about_the_others(made):
    decided = decide(ask(made.desk, made.prices.of(["WHOLE"])))
    assert decided.target["WHOLE"].equals(made.target["WHOLE"])
    assert decided.probability["WHOLE"].equals(made.probability["WHOLE"])
    assert decided.target["HALTED"].isna().all()


def test_without_bars_of_any_ticker_all_are_named(made):
    other = made.prices.map(lambda frame: frame[["WHOLE"]].set_axis(["X"], axis=1))
    with pytest.raises(DataError, match="no bars of WHOLE, HALTED"):
        decide(ask(made.desk, other))


def test_what_was_asked_before_is_not_asked_again_and_is_the_same(made, monkeypatch):
    days = made.target.index
    asked: list[int] = []

    def counted(fit, samples, rows, device):
        asked.append(len(rows))
        return predict(fit, samples, rows, device)

    monkeypatch.setattr(decisions, "CHAIN", replace(CHAIN, predict=counted))
    evening = ask(made.desk, made.prices.upto(days[100]))
    asked.clear()
    for day in days[101:104]:
        known = made.prices.upto(day)
        evening = ask(made.desk, known, evening)
        assert same(decide(evening).target, made.target.loc[:day])
        assert np.array_equal(evening.answers, ask(made.desk, known).answers)
    assert max(asked[::4]) <= 2  # both members, then the same from the beginning
