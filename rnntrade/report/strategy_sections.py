"""The sections of one strategy: what it earned, at which costs, and how sure one can be."""

from collections.abc import Iterator
from math import isfinite

import numpy as np
import pandas as pd

from rnntrade.evaluation import metrics
from rnntrade.evaluation.strategies import StrategyEvaluation
from rnntrade.evaluation.verdict import plain
from rnntrade.report import strategy_figures
from rnntrade.report.contents import Picture, ReportContents, StrategyContents, picture
from rnntrade.report.markup import folded, paragraph
from rnntrade.report.spread import foldable, seeds_of_strategy
from rnntrade.report.tables import NOTHING, Kind, figures_table, formatted, html_table
from rnntrade.report.wording import (
    FIGURE_UNITS,
    FIGURES,
    MONEY_HEADINGS,
    MONEY_KINDS,
    TRADE_KINDS,
)

TRADES_SHOWN = 200
OWN, HOLD = "strategy", "buy and hold"
ROLLING = 63  # sessions of the rolling Sharpe ratio
BY_COST = "The same decisions at other costs, in bp of traded value, beside buy and hold"
TESTED = ["test", "against", "statistic", "p_value", "detail"]

Parts = Iterator[str | Picture]


def strategy_section(contents: ReportContents, name: str) -> Parts:
    """Figures first, tables after them."""
    strategy = contents.strategies[name]
    e, run, held = strategy.evaluation, strategy.backtest, strategy.benchmark
    yield paragraph(e.sentence)
    yield paragraph(e.power, "note")
    annual = (e.figures["annual_return"], e.benchmark_figures["annual_return"])
    drawn = strategy_figures.equity_panels(
        name, annual, strategy, contents.experiment.trading.dead_band
    )
    yield picture(f"{name}_equity", drawn)
    monthly = metrics.monthly_returns(run.returns)
    yield picture(f"{name}_monthly", strategy_figures.monthly_heat_map(name, monthly))
    distribution = strategy_figures.return_distribution(name, run.returns, held.returns)
    yield picture(f"{name}_distribution", distribution)
    year = contents.experiment.backtest.sessions_per_year
    rolling = [
        metrics.rolling_sharpe(r.returns, ROLLING, sessions_per_year=year) for r in (run, held)
    ]
    drawn = strategy_figures.rolling_sharpe(name, rolling[0], rolling[1], ROLLING)
    yield picture(f"{name}_rolling_sharpe", drawn)
    yield from _trust_tables(e)
    both = {OWN: e.figures, HOLD: e.benchmark_figures}
    yield folded("All figures, beside buy and hold", figures_table(both, FIGURES, FIGURE_UNITS))
    yearly = pd.DataFrame(
        {OWN: metrics.yearly_returns(run.returns), HOLD: metrics.yearly_returns(held.returns)}
    )
    of_year: dict[str, Kind] = dict.fromkeys([OWN, HOLD], "gain")
    yield html_table(yearly.rename_axis("year"), of_year, {}, "Return of each year")
    months = monthly.set_axis(list(strategy_figures.MONTHS), axis=1)
    of_month: dict[str, Kind] = dict.fromkeys(strategy_figures.MONTHS, "gain")
    yield folded("Return of each month", html_table(months, of_month))
    yield from _trades(strategy)


def _trust_tables(e: StrategyEvaluation) -> Parts:
    """What is left after more trials, other costs, other years and other seeds."""
    yield _sharpe_table(e)
    if len(e.by_cost):
        cases = e.by_cost.set_axis(
            pd.Index([f"{float(bps):g}" for bps in e.by_cost.index], name="bps")
        )
        yield html_table(cases, {"bps": "number", **MONEY_KINDS}, MONEY_HEADINGS, BY_COST)
    if len(e.folds) > 1:
        kinds: dict[str, Kind] = {
            "fold": "count",
            **dict.fromkeys(["first", "last"], "date"),
            "sessions": "count",
            **MONEY_KINDS,
        }
        ahead = int((e.folds["sharpe_ratio"] > e.folds["hold_sharpe_ratio"]).sum())
        caption = f"By fold: a Sharpe ratio above that of buy and hold in {ahead} of {len(e.folds)}"
        yield foldable(caption, e.folds, kinds, MONEY_HEADINGS)
    if e.seeds is not None and len(e.seeds) > 1:
        caption = "Each member of the ensemble traded alone, by its seed"
        yield html_table(e.seeds, {"member": "count", **MONEY_KINDS}, MONEY_HEADINGS, caption)
        yield paragraph(seeds_of_strategy(e))


def _sharpe_table(e: StrategyEvaluation) -> str:
    """How much a Sharpe ratio of this length is worth; the deflated one in both forms."""
    ratio = f"{e.sharpe:.2f}" if isfinite(e.sharpe) else NOTHING
    if np.isfinite(e.sharpe_interval).all():
        ratio += f" ({e.sharpe_interval[0]:+.2f} to {e.sharpe_interval[1]:+.2f})"
    needed = formatted(e.minimum_track_record, "count")
    rows = [
        ("Sharpe ratio, a year", ratio, "", f"its {100 * e.confidence:g} % interval in brackets"),
        (
            "Probabilistic Sharpe ratio",
            formatted(e.probabilistic_sharpe, "score"),
            "",
            "that the true ratio is above 0, were this the only trial",
        ),
        (
            "Deflated Sharpe ratio, 2012/2014 form",
            formatted(e.deflated_sharpe, "score"),
            formatted(e.deflated_sharpe_2025, "score"),
            f"the same, after trials; {e.confidence:g} or more is needed",
        ),
        (
            "Trials",
            f"{e.trials:,}",
            "",
            "fits ever begun on this data, failed and aborted ones too",
        ),
        (
            "Minimum track record, sessions",
            needed,
            "",
            f"there are {e.sessions:,}; {_long_enough(e)}",
        ),
        *(
            (
                f"{test} against {plain(rival)}",
                f"{formatted(statistic, 'ratio')}, p {formatted(p, 'p')}",
                "",
                f"one-sided; {detail}" if detail else "one-sided",
            )
            for test, rival, statistic, p, detail in e.tests[TESTED].itertuples(index=False)
        ),
    ]
    table = pd.DataFrame(rows, columns=["figure", "value", "2025 form", "how to read it"])
    kinds: dict[str, Kind] = {"value": "number", "2025 form": "number"}
    return html_table(table, kinds, {}, "How much the Sharpe ratio is worth")


def _long_enough(e: StrategyEvaluation) -> str:
    if not isfinite(e.minimum_track_record):
        return "no length would do, since the ratio is not above 0"
    if e.sessions >= e.minimum_track_record:
        return "enough to tell the ratio from 0, were this the only trial"
    return "too few to tell the ratio from 0"


def _trades(strategy: StrategyContents) -> Parts:
    trades = strategy.backtest.trades
    if trades.empty:
        yield paragraph("It never traded.")
        return
    kinds: dict[str, Kind] = {
        str(name): TRADE_KINDS.get(str(name), "text") for name in trades.columns
    }
    note = f"{len(trades):,} trades"
    if len(trades) > TRADES_SHOWN:
        note += f", the first {TRADES_SHOWN} of them (the rest is in the CSV file under trades/)"
    yield folded(note, html_table(trades.head(TRADES_SHOWN), kinds))
