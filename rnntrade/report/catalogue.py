"""Every number, column, table and word that is shown: one name, one unit, one meaning everywhere.

The entries are in catalogue.toml.  The terminal, MLflow, Prefect and the page draw on them, and
`python -m rnntrade.report.catalogue` writes docs/glossary.md from them.
"""

import sys
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from rnntrade.evaluation.verdict import CORRECTED

Kind = Literal[
    "text", "number", "count", "ratio", "score", "signed", "p", "tiny",
    "percent", "gain", "fine_percent", "money", "date",
]  # fmt: skip  # "number" is text already, aligned as numbers are
NOTHING = "—"
FORMATS: Mapping[Kind, str] = {
    "count": "{:,.0f}",
    "ratio": "{:.2f}",
    "score": "{:.3f}",
    "signed": "{:+.3f}",
    "p": "{:.3f}",
    "tiny": "{:.1e}",
    "percent": "{:.1%}",
    "gain": "{:+.2%}",
    "fine_percent": "{:.3%}",
    "money": "{:,.2f}",
    "date": "{:%Y-%m-%d}",
}


@dataclass(frozen=True)
class Figure:
    """A number, or a column that names things."""

    name: str
    label: str
    unit: str  # "" where the written value says it
    kind: Kind
    help: str

    @property
    def heading(self) -> str:
        """Label and unit, at the head of a column or a row."""
        return f"{self.label}, {self.unit}" if self.unit else self.label

    def text(self, value: object) -> str:
        """Write a value; a missing one is a dash."""
        return formatted(value, self.kind)

    def between(self, bounds: Sequence[float | None]) -> str:
        """Write an interval of it; a dash where it could not be computed."""
        if not all(bound is not None and np.isfinite(bound) for bound in bounds):
            return NOTHING
        return " to ".join(self.text(bound) for bound in bounds)


@dataclass(frozen=True)
class Table:
    """Rows of figures, every value written already."""

    columns: Sequence[Figure]
    rows: Sequence[Sequence[str]]
    title: str = ""
    note: str = ""
    folded: bool = False  # behind its title, which opens it

    def texts(self) -> list[dict[str, str]]:
        """Rows by heading, for the terminal, Prefect and MLflow."""
        headings = [column.heading for column in self.columns]
        return [dict(zip(headings, row, strict=True)) for row in self.rows]


def formatted(value: object, kind: Kind) -> str:
    """Return one value as people write it; a missing one is a dash."""
    if value is None or value is pd.NaT or (isinstance(value, float) and np.isnan(value)):
        return NOTHING
    if kind in {"text", "number"}:
        return "yes" if value is True else "no" if value is False else str(value)
    if kind == "date":
        return FORMATS[kind].format(pd.Timestamp(value))  # type: ignore[arg-type]  # says its kind
    number = float(value)  # type: ignore[arg-type]  # says its kind
    if kind == "p" and number < 0.001:
        return "< 0.001"
    return "0" if kind == "tiny" and not number else FORMATS[kind].format(number).replace("%", " %")


_ENTRIES: dict[str, Any] = tomllib.loads(
    Path(__file__).with_name("catalogue.toml").read_text(encoding="utf-8")
)
FIGURES = {name: Figure(name, *entry) for name, entry in _ENTRIES["figures"].items()}
TERMS = {term: text.format(corrected=CORRECTED) for term, text in _ENTRIES["terms"].items()}


def figure(name: str) -> Figure:
    """The entry behind a name, which may say whose number it is.

    name    "sharpe_ratio", "hold_sharpe_ratio", "strategy.sharpe_ratio", "p_value.McNemar"
    errors  KeyError for a number that the catalogue does not have
    """
    if name.startswith("hold_"):
        own = figure(name.removeprefix("hold_"))
        return replace(own, name=name, label=f"buy & hold: {own.label}")
    if name in FIGURES:
        return FIGURES[name]
    parts = [FIGURES[part] for part in name.split(".") if part in FIGURES]
    numbers = [part for part in parts if part.kind != "text"]
    if not numbers:
        raise KeyError(f"{name} is not in the catalogue of figures")
    return numbers[0]


def row(**values: object) -> dict[str, str]:
    """Figures by heading, as one row of a table in the terminal or in Prefect."""
    return {figure(name).heading: figure(name).text(value) for name, value in values.items()}


def table(
    name: str,
    frame: pd.DataFrame,
    /,
    named: Mapping[str, Figure] | None = None,
    folded: bool = False,
    **words: object,
) -> Table:
    """Write a frame's columns by their figures; a named index is the first column.

    name   of the table in the catalogue, whose title and note `words` fill in
    named  figures of columns that depend on the model; the others are found by their names
    """
    shown = frame.reset_index() if frame.index.name is not None else frame
    columns = [(named or {}).get(str(column)) or figure(str(column)) for column in shown.columns]
    rows = [
        [column.text(value) for column, value in zip(columns, row, strict=True)]
        for row in shown.itertuples(index=False, name=None)
    ]
    title, note = (text.format(**words) for text in _ENTRIES["tables"][name])
    return Table(columns, rows, title, note, folded)


def title(name: str) -> str:
    """Title of a table that needs no words."""
    return str(_ENTRIES["tables"][name][0])


def markdown_table(rows: Iterable[Mapping[str, str]]) -> str:
    """Rows of text below their names, as Markdown."""
    lines = list(rows)
    head = [list(lines[0]), ["---"] * len(lines[0])]
    return "\n".join(f"| {' | '.join(row)} |" for row in [*head, *(r.values() for r in lines)])


def glossary() -> str:
    """Every word, then every figure, as Markdown."""
    parts = ["# Glossary", "Written from rnntrade/report/catalogue.toml; edit that file instead."]
    parts += ["\n".join(f"* **{term}**: {text}" for term, text in TERMS.items())]
    rows = [
        {"name": f"`{each.name}`", "figure": each.label, "unit": _unit(each), "meaning": each.help}
        for each in FIGURES.values()
    ]
    names = "A name is that of the metric in MLflow and of the field in `--json`."
    return "\n\n".join([*parts, "## Figures", names, markdown_table(rows)]) + "\n"


def _unit(entry: Figure) -> str:
    percent = "%" if entry.kind in {"percent", "gain", "fine_percent"} else ""
    return " ".join(filter(None, [percent, entry.unit]))


if __name__ == "__main__":
    sys.stdout.write(glossary())
