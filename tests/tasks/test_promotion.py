"""A challenger on other tickers can replace a champion whose tickers are gone."""

from dataclasses import replace
from typing import Any

import pytest

from rnntrade.production.desk import Desk, narrowed
from rnntrade.production.promotion import Candidate, score
from rnntrade.types import Prices
from tasks.production.retraining import Contender, compare
from tasks.refs import put
from tasks.tracking.champions import Version
from tests.production.made_desk import Made
from tests.production.made_desk import made as make


@pytest.fixture(scope="module")
def made(prices: Prices) -> Made:
    return make(prices)


def contender(number: str, desk: Desk) -> Contender:
    version = Version(task="direction", number=number, aliases=[], tags={}, run_id="")
    return Contender(version, desk)


def flat(desk: Desk) -> Desk:
    """It never trades."""
    rules = replace(desk.experiment.trading, dead_band=0.999, regime_filter="off")
    return replace(desk, experiment=replace(desk.experiment, trading=rules))


@pytest.fixture
def stored(made, home):
    return {ticker: put("prices", made.prices.bars(ticker)) for ticker in made.prices.tickers}


@pytest.mark.parametrize("there", [["WHOLE"], ["WHOLE", "HALTED"]])
def test_a_better_challenger_on_fewer_tickers_replaces_the_champion(
    made, stored, there, monkeypatch
):
    def worse(name: str, *rest: Any) -> Candidate:
        """As it is, the champion losing another percent a session."""
        found = score(name, *rest)
        lost = 0.01 if name.endswith("/1") else 0.0
        cases = {bps: returns - lost for bps, returns in found.cases.items()}
        return replace(found, scores=found.scores - lost, cases=cases)

    monkeypatch.setattr("tasks.production.retraining.score", worse)
    desk = narrowed(flat(made.desk), ["WHOLE"])
    decided, tickers = compare(
        contender("2", desk),
        contender("1", made.desk),
        made.run.experiment,
        {ticker: stored[ticker] for ticker in there},
        True,
    )
    assert tickers == ("WHOLE",)
    assert decided.promoted
    assert "compared on WHOLE" in decided.reasons[-1]
    assert "HALTED" in decided.reasons[-1]


def test_a_challenger_that_knows_more_tickers_is_compared_on_the_champions(made, stored):
    champion = narrowed(made.desk, ["HALTED"])
    decided, tickers = compare(
        contender("2", flat(made.desk)), contender("1", champion), made.run.experiment, stored, True
    )
    assert tickers == ("HALTED",)
    assert decided.figures["sessions"] > 200
    told = "rnntrade promote direction 2" in decided.reasons[-1]
    assert told == (not decided.promoted)


def test_on_the_same_tickers_nothing_else_is_told(made, stored):
    decided, tickers = compare(
        contender("2", flat(made.desk)),
        contender("1", made.desk),
        made.run.experiment,
        stored,
        True,
    )
    assert set(tickers) == {"WHOLE", "HALTED"}
    assert not any("compared on" in reason for reason in decided.reasons)


def test_where_no_shared_ticker_has_prices_the_way_out_is_told(made, stored):
    champion = narrowed(made.desk, ["HALTED"])
    decided, tickers = compare(
        contender("2", made.desk),
        contender("1", champion),
        made.run.experiment,
        {"WHOLE": stored["WHOLE"]},
        True,
    )
    assert (decided.promoted, tickers) == (False, ())
    assert "rnntrade promote direction 2" in decided.reasons[0]
