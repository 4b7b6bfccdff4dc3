"""The report: one page that needs nothing beside it, and the same bytes for the same contents."""

import base64
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup, escape

from rnntrade.evaluation.verdict import CORRECTED, summary
from rnntrade.report import canvas, tables
from rnntrade.report.catalogue import FIGURES, TERMS, figure
from rnntrade.report.contents import ReportContents
from rnntrade.report.market_figures import of_market
from rnntrade.report.model_figures import of_model
from rnntrade.report.strategy_figures import of_strategy
from rnntrade.storage import atomic_file

TEMPLATE = "page.html.j2"
FINDINGS_SHOWN = 20


class Picture(NamedTuple):
    """A drawn figure; what its title finds is its text for who cannot see it."""

    name: str
    finding: str
    png: bytes


Drawn = Mapping[tuple[str, str], Sequence[Picture]]  # ("Model", its name), in the page's order


def write_report(folder: Path, contents: ReportContents) -> None:
    """Write report.html, and beside it figures/NAME.png and trades/STRATEGY.csv."""
    drawn = pictures(contents)
    for number, item in enumerate(chain.from_iterable(drawn.values()), 1):
        with atomic_file(folder / "figures" / f"{number:02d}_{slug(item.name)}.png") as temporary:
            temporary.write_bytes(item.png)
    for number, (name, strategy) in enumerate(contents.strategies.items(), 1):
        with atomic_file(folder / "trades" / f"{number:02d}_{slug(name)}.csv") as temporary:
            strategy.books.strategy.trades.to_csv(temporary, index=False, lineterminator="\n")
    with atomic_file(folder / "report.html") as temporary:
        head, body = render("verdict", contents), sections(contents, drawn)
        text = render("page", contents.experiment, head, body)
        temporary.write_text(text, encoding="utf-8", newline="\n")


def pictures(contents: ReportContents) -> Drawn:
    """Draw every figure of the page, one after the other, so that only its bytes are kept."""
    subjects = [
        ("Market", of_market, contents.prices.tickers),
        ("Model", of_model, contents.evaluations),
        ("Strategy", of_strategy, contents.strategies),
    ]
    return {
        (kind, name): [
            Picture(file, drawn.texts[0].get_text(), canvas.png(drawn))
            for file, drawn in draw(contents, name)
        ]
        for kind, draw, names in subjects
        for name in names
    }


def sections(contents: ReportContents, drawn: Drawn) -> list[tuple[str, str]]:
    """Title and HTML of every section, in the order in which they are read."""
    parts = [
        ("Models beside their best baselines", render("models", contents)),
        ("Strategies beside buy & hold", render("strategies", contents)),
    ]
    if contents.comparison:
        parts.append(("All models together", render("together", contents)))
    parts += [
        ("Leak audit", render("leak_audit", contents.audit)),
        ("Data warnings", render("findings", contents)),
        ("Provenance", render("provenance", contents)),
    ]
    about: dict[str, Mapping[str, object]]
    about = {"Model": contents.evaluations, "Strategy": contents.strategies}
    for (kind, name), items in drawn.items():
        subject = [about[kind][name]] if kind in about else []
        parts.append((f"{kind}: {name}", render(kind.lower(), *subject, items)))
    return [*parts, ("How to read this page", render("reading", explained(parts)))]


def explained(parts: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Every word of the project, and every figure that heads a column or row of these parts."""
    text = "".join(html for _, html in parts)
    shown = [each for each in FIGURES.values() if f">{escape(each.heading)}<" in text]
    return [*TERMS.items(), *((each.heading, each.help) for each in shown)]


def render(macro: str, *values: object) -> Markup:
    """One part of the page as HTML, everything in it escaped."""
    return Markup(getattr(_template().module, macro)(*values))


def slug(name: str) -> str:
    """Return a name that every file system takes."""
    return re.sub(r"[^A-Za-z0-9.-]+", "_", name).strip("._") or "unnamed"


@cache
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["base64"] = lambda data: base64.b64encode(data).decode("ascii")
    environment.globals |= {
        "tables": tables,
        "figure": figure,
        "summary": summary,
        "corrected": CORRECTED,
        "findings_shown": FINDINGS_SHOWN,
    }
    return environment.get_template(TEMPLATE)
