"""The sections of the report, in the order in which they are read."""

from collections.abc import Iterator

import pandas as pd

from rnntrade.report import market_figures, overview, trust
from rnntrade.report.contents import Picture, ReportContents, Section, picture
from rnntrade.report.markup import paragraph, terms
from rnntrade.report.model_sections import model_section
from rnntrade.report.strategy_sections import strategy_section
from rnntrade.report.wording import READING
from rnntrade.types import regime_names

Parts = Iterator[str | Picture]


def sections(contents: ReportContents) -> list[Section]:
    """Return the whole page; the first section is its head."""
    tickers = contents.prices.tickers
    return [
        Section(f"Experiment {contents.experiment.name}", list(overview.verdict(contents))),
        Section("Models beside their best baselines", list(overview.models(contents))),
        Section("Strategies beside buy and hold", list(overview.strategies(contents))),
        *(
            [Section("All models together", list(trust.together(contents)))]
            if contents.comparison
            else []
        ),
        Section("Leak audit", list(trust.leak_audit(contents.audit))),
        Section("Data warnings", list(overview.findings(contents.findings))),
        Section("Provenance", list(overview.provenance(contents))),
        *(Section(f"Market: {ticker}", list(_market(contents, ticker))) for ticker in tickers),
        *(
            Section(f"Model: {name}", list(model_section(contents, name)))
            for name in contents.evaluations
        ),
        *(
            Section(f"Strategy: {name}", list(strategy_section(contents, name)))
            for name in contents.strategies
        ),
        Section("How to read this page", [terms(READING)]),
    ]


def _market(contents: ReportContents, ticker: str) -> Parts:
    close = contents.prices.close[ticker].dropna()
    if len(close) < 2:
        yield paragraph("Fewer than two sessions: nothing to draw.")
        return
    year = contents.experiment.backtest.sessions_per_year
    yield picture(f"{ticker}_prices", market_figures.price_and_returns(ticker, close, year))
    if ticker in contents.regimes and contents.regimes[ticker].notna().any():
        regime = contents.regimes[ticker].reindex(close.index)
        names = regime_names(contents.experiment.labels)
        drawn = market_figures.price_by_regime(ticker, close, regime, names)
        yield picture(f"{ticker}_regimes", drawn)
    features = contents.features.get(ticker, pd.DataFrame()).dropna(how="all")
    if len(features):
        drawn = market_figures.indicators(ticker, close, features)
        yield picture(f"{ticker}_indicators", drawn)
