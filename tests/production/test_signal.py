"""What is said of an evening, and the reasons not to follow it."""

import json
from dataclasses import asdict, replace
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from rnntrade.config import ProductionConfig
from rnntrade.data.sessions import expected_sessions
from rnntrade.errors import DataError
from rnntrade.production.decisions import ask
from rnntrade.production.health import Check, Health
from rnntrade.production.signal import (
    Seat,
    find_reasons,
    make_signal,
    rise_interval,
    wilson_interval,
    words,
)
from rnntrade.production.upkeep import age, age_check, expiry
from rnntrade.types import FIELDS, Prices


@pytest.fixture(scope="module")
def seats(made) -> dict[str, Seat]:
    return {
        "direction": Seat(made.desk, "rnntrade-direction/1", "no evidence"),
        "regime": Seat(made.desks["regime_lstm"], "rnntrade-regime/2"),
        "forecast": Seat(made.desks["seq2seq_lstm"], "rnntrade-forecast/3"),
    }


def test_a_signal_holds_the_backtests_row_and_what_is_to_be_traded(made, seats):
    day, before = made.target.index[60], made.target.index[59]
    said = make_signal(seats, made.prices, day, due=day)
    assert said.as_of == f"{day:%Y-%m-%d}"
    standing = made.target.ffill().fillna(0.0)
    for each in said.tickers:
        assert each.target == made.target.loc[day, each.ticker]
        assert each.probability == made.probability.loc[day, each.ticker]
        assert each.standing == standing.loc[day, each.ticker]
        assert each.change == standing.loc[day, each.ticker] - standing.loc[before, each.ticker]
        assert 0.0 <= each.low < each.high <= 1.0
        assert each.regime in made.desk.fits[0].classes
        assert each.regime_ahead in made.desk.fits[0].classes
        assert sum(each.regime_probabilities.values()) == pytest.approx(1.0)
        assert len(each.path) == 5
    held = expected_sessions("XNYS", made.desk.fold.test.date(), day.date() + timedelta(days=1))
    assert said.age == len(held)  # the made-up bars have some on holidays, too
    assert said.versions["forecast"] == "rnntrade-forecast/3"
    assert json.loads(json.dumps(asdict(said))) == asdict(said)


def test_the_first_decision_is_traded_whole(made, seats):
    day = made.target.index[0]
    said = make_signal(seats, made.prices, day, due=day)
    assert [each.change for each in said.tickers] == [each.standing for each in said.tickers]


def test_later_bars_change_nothing_that_was_said(made, seats):
    day = made.target.index[130]
    whole = make_signal(seats, made.prices, day, due=day)
    assert make_signal(seats, made.prices.upto(day), day, due=day) == whole


def test_without_other_champions_their_part_is_left_open(made, seats):
    day = made.target.index[30]
    said = make_signal({"direction": seats["direction"]}, made.prices, day, due=day)
    assert {(each.regime_ahead, tuple(each.path)) for each in said.tickers} == {(None, ())}


def test_what_is_no_session_is_told(made, seats):
    with pytest.raises(DataError, match="is no session with bars; the newest before is"):
        make_signal(seats, made.prices, pd.Timestamp("2020-01-04"), due=pd.Timestamp("2020-01-04"))


def test_words_say_what_to_do(made, seats):
    day = made.target.index[60]
    assert all(": hold " in line for line in words(make_signal(seats, made.prices, day, due=day)))
    late = make_signal(seats, made.prices, day, due=made.target.index[61])
    assert all("abstain; it would hold" in line for line in words(late))


def test_stale_prices_are_not_followed(made):
    day, due = made.target.index[-2:]
    (reason,) = find_reasons(ask(made.desk, made.prices.upto(day)), due)[0]
    assert reason.startswith(f"stale: {day:%Y-%m-%d} is not the newest session")
    assert find_reasons(ask(made.desk, made.prices.upto(due)), due)[0] == []


def test_a_model_expires_so_many_sessions_after_it_learned(made):
    short = ProductionConfig(expires_after=100)
    desk = replace(made.desk, experiment=replace(made.desk.experiment, production=short))
    last = expiry(desk)
    sessions = made.prices.sessions
    before = sessions[sessions < last][-1]
    assert find_reasons(ask(desk, made.prices.upto(before)), before)[0] == []
    (reason,) = find_reasons(ask(desk, made.prices.upto(last)), last)[0]
    assert reason.startswith("expired: ")
    assert (age(desk, before), age(desk, last)) == (100, 101)


def test_a_model_grows_old_by_the_calendar_and_not_by_the_bars_at_hand(made, seats):
    day = made.target.index[130]
    whole = make_signal(seats, made.prices, day, due=day)
    sessions = made.prices.sessions
    few = made.prices.sessions[(sessions < day) & (sessions >= made.desk.fold.test)][:-40]
    short = Prices(**{name: getattr(made.prices, name).drop(few) for name in FIELDS})
    assert make_signal(seats, short, day, due=day).age == whole.age
    assert age_check(made.desk, day).value == whole.age
    held = expected_sessions("XNYS", made.desk.fold.test.date(), day.date() + timedelta(days=1))
    assert whole.age == len(held)


def test_bars_that_end_early_make_no_model_younger(made, seats):
    day, due = made.target.index[-1], pd.Timestamp("2026-11-24")
    tonight = make_signal(seats, made.prices, day, due=due)
    assert age_check(made.desk, due).status == "expired"
    assert tonight.age == age_check(made.desk, due).value > 1000
    assert [reason.split(":")[0] for reason in tonight.abstain] == ["stale", "expired"]
    assert tonight.health.startswith(f"expired: age: {tonight.age:,} sessions since it last")


def test_a_session_that_was_learned_from_is_told(made):
    day = made.prices.sessions[made.prices.sessions < made.desk.fold.test][-1]
    (reason,) = find_reasons(ask(made.desk, made.prices.upto(day)), day)[0]
    assert reason.startswith("in sample: ")


def test_drift_and_unknown_tickers_are_reasons(made):
    day = made.target.index[-1]
    drift = Health((Check("input x", 9.0, 0.3, "drifted", "x moved"),))
    found = find_reasons(ask(made.desk, made.prices.upto(day)), day, drift, asked=["MSFT"])
    assert found[0] == ["drift: drift in 1 of 1 checks: x moved"]
    assert found[1]["MSFT"][0].startswith("unknown ticker: the model decides on WHOLE, HALTED")
    assert found[1]["WHOLE"] == []


def test_inputs_far_outside_what_was_learned_are_a_reason(made):
    day = made.target.index[-1]
    wild = made.prices.map(pd.DataFrame.copy)
    for name in ("open", "high", "low", "close"):
        getattr(wild, name).loc[day, "WHOLE"] *= 5.0
    found = find_reasons(ask(made.desk, wild.upto(day)), day)
    assert found[1]["WHOLE"][0].startswith("out of range: returns far outside")
    assert found[1]["HALTED"] == []


def test_a_halted_ticker_is_told_and_its_last_decision_stands(made, seats):
    day = made.target.index[-1]
    halted = made.prices.map(pd.DataFrame.copy)
    for name in FIELDS:
        getattr(halted, name).loc[day, "HALTED"] = np.nan
    said = {each.ticker: each for each in make_signal(seats, halted, day, due=day).tickers}
    assert said["HALTED"].probability is None
    assert said["HALTED"].abstain[0].startswith("not traded on")
    before = made.target.ffill().iloc[-2]["HALTED"]
    assert abs(said["HALTED"].standing) <= abs(before) * 2  # the filter may have turned
    assert said["WHOLE"].abstain == []


def ended(prices: Prices, ticker: str, last: pd.Timestamp | None) -> Prices:
    """The same prices, the ticker's bars ending early; None: without a bar of it."""
    if last is None:
        kept = [each for each in prices.tickers if each != ticker]
        return Prices(**{name: getattr(prices, name)[kept] for name in FIELDS})
    changed = {name: getattr(prices, name).copy() for name in FIELDS}
    for frame in changed.values():
        frame.loc[frame.index > last, ticker] = np.nan
    return Prices(**changed)


@pytest.mark.parametrize("missed", [1, 5, 6, 100, None])
def test_whatever_becomes_of_a_ticker_the_others_are_decided_as_before(made, seats, missed):
    day = made.target.index[-1]
    last = None if missed is None else made.prices.sessions[-1 - missed]
    whole = make_signal(seats, made.prices, day, due=day)
    said = make_signal(seats, ended(made.prices, "HALTED", last), day, due=day)
    assert said.tickers[0] == whole.tickers[0]
    assert said.abstain == []
    gone = said.tickers[1]
    assert (gone.probability, gone.regime_ahead, gone.path) == (None, None, [])
    (reason,) = gone.abstain
    assert reason.startswith(f"not traded on {day:%Y-%m-%d}")
    assert ("--tickers WHOLE" in reason) == (missed in (6, 100))


def test_a_halted_ticker_keeps_its_last_decision(made, seats):
    day = made.target.index[-1]
    for missed in (1, 6):
        last = made.prices.sessions[-1 - missed]
        told = make_signal(seats, ended(made.prices, "HALTED", last), day, due=day)
        at_the_time = make_signal(seats, made.prices.upto(last), last, due=last)
        assert told.tickers[1].standing == at_the_time.tickers[1].standing
        assert told.tickers[1].change == 0.0


def test_a_source_that_fails_is_a_reason_of_its_ticker_alone(made, seats):
    day = made.target.index[-1]
    whole = make_signal(seats, made.prices, day, due=day)
    missing = {"HALTED": "HALTED: rate limited.  Try again later."}
    said = make_signal(seats, made.prices, day, due=day, missing=missing)
    assert said.tickers[0] == whole.tickers[0]
    (reason,) = said.tickers[1].abstain
    assert reason.startswith("no new prices: HALTED: rate limited.  Try again later.")
    assert "--tickers WHOLE" in reason
    assert words(said)[1].startswith("HALTED: abstain")


def test_a_ticker_with_too_few_bars_abstains(made, seats):
    day, new = made.target.index[-1], {name: getattr(made.prices, name).copy() for name in FIELDS}
    for frame in new.values():
        frame.loc[frame.index < made.prices.sessions[-10], "HALTED"] = np.nan
    said = make_signal(seats, Prices(**new), day, due=day)
    assert said.tickers[0] == make_signal(seats, made.prices, day, due=day).tickers[0]
    assert said.tickers[1].abstain[0].startswith("too few sessions")


def test_wilsons_interval_by_the_published_example():
    # Newcombe (1998), Two-sided confidence intervals for the single proportion, table I, method 3
    assert wilson_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson_interval(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)


def test_a_probability_is_held_against_the_decisions_most_like_it():
    table = pd.DataFrame({"p_up": np.linspace(0.4, 0.6, 400)})
    table["truth"] = (table["p_up"] > 0.5).astype(float)
    low, high = rise_interval(0.41, table)
    assert (low, high) == wilson_interval(0, 100)
    assert rise_interval(0.59, table) == wilson_interval(100, 100)
    assert rise_interval(None, table) == (None, None)
    assert rise_interval(0.5, pd.DataFrame({"p_0": [0.2], "truth": [1.0]})) == (None, None)
