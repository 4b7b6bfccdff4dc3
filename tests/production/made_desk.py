"""Desks as a run makes them, on prices with holes: 257 sessions after the last one learned from."""

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import pandas as pd
import pytest

from rnntrade.config import Experiment
from rnntrade.production.desk import Desk
from rnntrade.types import Prices
from tasks.refs import Ref
from tasks.steps import backtest, make_desk
from tests.audit.made_run import MadeRun, make_run, small_experiment

TICKERS = ("WHOLE", "HALTED")
SESSIONS = 257


@dataclass(frozen=True)
class Made:
    """A run, the desks of its models, and the bars behind them."""

    run: MadeRun
    desks: dict[str, Desk]
    refs: dict[str, Ref]
    prices: Prices
    probability: pd.DataFrame  # of the backtest
    target: pd.DataFrame

    @property
    def desk(self) -> Desk:
        """The one that trades."""
        return self.desks["many_to_one_lstm"]


def experiment(**changes: object) -> Experiment:
    """Two tiny models of each kind, judged on the newest sessions, cut in half by the regime."""
    small = small_experiment()
    return replace(
        small,
        data=replace(small.data, tickers=TICKERS),
        split=replace(small.split, kind="latest", test_sessions=SESSIONS),
        trading=replace(small.trading, regime_filter="half"),
        **changes,
    )


@cache
def made(bars: Prices) -> Made:
    """One run for all tests, made once, in a home of its own."""
    home = Path(mkdtemp(prefix="rnntrade-desks-"))
    two = bars.of(list(TICKERS))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RNNTRADE_HOME", str(home))
        asked = experiment()
        run = make_run(asked, two)
        refs = {
            name: make_desk.fn(
                asked,
                model.model,
                model.fits[-1],
                model.windows,
                model.predictions,
                run.labels[-1],
            )
            for name, model in run.models.items()
        }
        model = run.models["many_to_one_lstm"]
        rules = (asked.trading, asked.backtest, (), run.labels, (0, 3))
        books = backtest.fn("many_to_one_lstm", model.predictions, run.prices, *rules).load()
        desks = {name: ref.load() for name, ref in refs.items()}
        return Made(run, desks, refs, two, books.probability, books.target)
