"""Tables of the report as HTML: formatted numbers, units, everything escaped."""

from collections.abc import Callable, Mapping
from html import escape
from typing import Literal

import numpy as np
import pandas as pd

Kind = Literal[
    "text",
    "number",
    "count",
    "ratio",
    "score",
    "signed",
    "p",
    "tiny",
    "percent",
    "gain",
    "fine_percent",
    "money",
    "date",
]  # "number" is text already, aligned as numbers are
NOTHING = "—"

_FORMATS: Mapping[Kind, Callable[[float], str]] = {
    "count": lambda value: f"{value:,.0f}",
    "ratio": lambda value: f"{value:.2f}",
    "score": lambda value: f"{value:.3f}",
    "signed": lambda value: f"{value:+.3f}",
    "p": lambda value: f"{value:.3f}" if value >= 0.001 else "< 0.001",
    "tiny": lambda value: f"{value:.1e}" if value else "0",
    "percent": lambda value: f"{100 * value:.1f} %",
    "gain": lambda value: f"{100 * value:+.2f} %",
    "fine_percent": lambda value: f"{100 * value:.3f} %",
    "money": lambda value: f"{value:,.2f}",
}


def formatted(value: object, kind: Kind) -> str:
    """Return one value as people write it; a missing one is a dash."""
    if value is None or value is pd.NaT or (isinstance(value, float) and np.isnan(value)):
        return NOTHING
    if kind == "date":
        return f"{pd.Timestamp(value):%Y-%m-%d}"  # type: ignore[arg-type]  # a date, says its kind
    if kind in {"text", "number"}:
        return "yes" if value is True else "no" if value is False else str(value)
    return _FORMATS[kind](float(value))  # type: ignore[arg-type]  # a number, says its kind


def html_table(
    table: pd.DataFrame,
    kinds: Mapping[str, Kind],
    headings: Mapping[str, str] | None = None,
    caption: str = "",
) -> str:
    """Return a table as HTML, its index as the first column when it is named.

    kinds     how to write each column, the index included; text where it is not said
    headings  what to call columns; their own names otherwise, underscores as spaces
    """
    shown = table.reset_index() if table.index.name is not None else table
    names = [str(name) for name in shown.columns]
    kind: dict[str, Kind] = {name: kinds.get(name, "text") for name in names}
    titles = {name: (headings or {}).get(name, name.replace("_", " ")) for name in names}
    head = "".join(f"<th{_align(kind[name])}>{escape(titles[name])}</th>" for name in names)
    body = "\n".join(
        "<tr>"
        + "".join(
            f"<td{_align(kind[name])}>{escape(formatted(value, kind[name]))}</td>"
            for name, value in zip(names, row, strict=True)
        )
        + "</tr>"
        for row in shown.itertuples(index=False, name=None)
    )
    title = f"<caption>{escape(caption)}</caption>" if caption else ""
    return (
        f'<div class="wide"><table>{title}<thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{body}\n</tbody></table></div>"
    )


def figures_table(
    columns: Mapping[str, Mapping[str, float]],
    kinds: Mapping[str, Kind],
    headings: Mapping[str, str],
) -> str:
    """Return named figures as HTML, one a row with its own unit, one column per strategy."""
    names = list(next(iter(columns.values())))
    rows = {
        heading: [formatted(figures.get(name), kinds.get(name, "ratio")) for name in names]
        for heading, figures in columns.items()
    }
    titles = [headings.get(name, name.replace("_", " ")) for name in names]
    index = pd.Index(titles, name="figure")
    return html_table(pd.DataFrame(rows, index=index), dict.fromkeys(rows, "number"))


def _align(kind: Kind) -> str:
    return "" if kind == "text" else ' class="n"'
