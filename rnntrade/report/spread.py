"""How far results lie apart that differ by luck alone: members of an ensemble, folds."""

from collections.abc import Mapping

import pandas as pd

from rnntrade.evaluation.models import ModelEvaluation
from rnntrade.evaluation.strategies import StrategyEvaluation
from rnntrade.evaluation.verdict import plain
from rnntrade.report.markup import folded
from rnntrade.report.tables import Kind, html_table

ROWS_SHOWN = 6  # longer tables are behind their title


def spread(values: pd.Series, write: str, scale: float = 1.0, unit: str = "") -> str:
    """Return "0.412 ± 0.010 (0.401 to 0.423)": mean, deviation (ddof 1) and range.

    write  format of the numbers, which are multiplied by `scale`; the deviation has no sign
    """
    known = values.dropna() * scale
    if len(known) < 2:
        return "not known"
    deviation = format(known.std(), write.replace("+", ""))
    mean, low, high = (format(each, write) for each in (known.mean(), known.min(), known.max()))
    return f"{mean} ± {deviation}{unit} ({low} to {high}{unit})"


def seeds_of_model(e: ModelEvaluation) -> str:
    """Return how far the members of a network's ensemble lie apart, and where it is as a whole."""
    assert e.seeds is not None
    returns = e.score_name == "rmse"
    scale, unit = (100.0, " %") if returns else (1.0, "")
    whole = f"{scale * e.score:.3f}{unit}"
    return (
        f"{len(e.seeds)} members that differ by their seeds alone, mean ± deviation (range): "
        f"{'RMSE' if returns else e.score_name} {spread(e.seeds['score'], '.3f', scale, unit)}, "
        f"{'squared error saved over' if returns else 'difference to'} {plain(e.best_baseline)} "
        f"{spread(e.seeds['difference'], '+.2f' if returns else '+.3f', scale, unit)}. "
        f"Averaged they reach {whole}."
    )


def seeds_of_strategy(e: StrategyEvaluation) -> str:
    """Return how far the members lie apart when each is traded alone."""
    assert e.seeds is not None
    return (
        f"{len(e.seeds)} members that differ by their seeds alone, mean ± deviation (range): "
        f"Sharpe ratio {spread(e.seeds['sharpe_ratio'], '+.2f')}, "
        f"{spread(e.seeds['annual_return'], '+.1f', 100.0, ' %')} a year. "
        f"Averaged they reach {e.sharpe:+.2f} and {100 * e.figures['annual_return']:+.1f} %."
    )


def foldable(
    caption: str, table: pd.DataFrame, kinds: Mapping[str, Kind], headings: Mapping[str, str]
) -> str:
    """Return a table as HTML; a long one behind its caption, which opens it."""
    if len(table) > ROWS_SHOWN:
        return folded(caption, html_table(table, kinds, headings))
    return html_table(table, kinds, headings, caption)
