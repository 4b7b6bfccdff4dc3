from pathlib import Path

import pandas as pd
import pytest

from rnntrade.production.decay import SCORES
from rnntrade.production.health import PSI, SESSIONS
from rnntrade.report import catalogue, tables
from rnntrade.report.catalogue import figure, formatted, table
from rnntrade.report.page import explained, render
from tasks.summary import _figures
from tests.configs import DIRECTION, FORECAST, REGIME
from tests.report.builder import contents, random_prices
from tests.report.test_page import Page


@pytest.fixture(scope="module")
def drawn():
    models = (REGIME, DIRECTION, FORECAST)
    return contents(random_prices(420, ("AAA", "BBB")), models, folds=3, members=3)


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        (1234.5, "count", "1,234"),
        (-0.5, "ratio", "-0.50"),
        (0.12345, "score", "0.123"),
        (0.12345, "signed", "+0.123"),
        (0.0005, "p", "< 0.001"),
        (0.001, "p", "0.001"),
        (0.00001234, "tiny", "1.2e-05"),
        (0.0, "tiny", "0"),
        (0.1234, "percent", "12.3 %"),
        (-0.1234, "gain", "-12.34 %"),
        (0.0123456, "fine_percent", "1.235 %"),
        (1234567.891, "money", "1,234,567.89"),
        (pd.Timestamp("2020-03-16"), "date", "2020-03-16"),
        (float("nan"), "money", "—"),
        (pd.NaT, "date", "—"),
        (None, "text", "—"),
        (True, "text", "yes"),
        ("as it is", "text", "as it is"),
    ],
)
def test_values_are_written_with_their_units(value, kind, text):
    assert formatted(value, kind) == text


def test_numbers_stand_right_and_everything_is_escaped():
    frame = pd.DataFrame({"detail": ["a & b"], "net_profit": [1.5]}, pd.Index(["<i>"], name="test"))
    html = render("grid", table("by_cost", frame))
    assert "<caption>The same decisions at other costs, in bp of traded value, beside" in html
    assert "buy &amp; hold</caption>" in html
    assert '<th class="n" title="Profit after costs.">net profit</th>' in html
    assert '<tr><td>&lt;i&gt;</td><td>a &amp; b</td><td class="n">1.50</td></tr>' in html


def test_the_glossary_in_docs_is_written_from_the_catalogue():
    page = Path(catalogue.__file__).parents[2] / "docs" / "glossary.md"
    assert page.read_text(encoding="utf-8") == catalogue.glossary()


def test_whatever_is_measured_has_one_entry(drawn):
    """Every metric of MLflow and of --json, and every number of the monitor, by its own name."""
    for name, e in drawn.evaluations.items():
        strategy = drawn.strategies.get(name)
        for metric, value in _figures(e, strategy and strategy.evaluation).items():
            if not isinstance(value, str):
                assert figure(metric).help, metric
    assert figure("strategy.sharpe_ratio") == figure("hold.sharpe_ratio") == figure("sharpe_ratio")
    assert figure("p_value.hit_rate").kind == "p"
    for check in ("hit_rate", "forecast_error", "brier", "psi.returns", "age", "freshness"):
        assert figure(f"{check}.validation").name in check
    units = {name: score.unit for name, score in SCORES.items()} | {"psi": PSI, "age": SESSIONS}
    metrics = {"calibration": "brier", "hit rate": "hit_rate", "forecast error": "forecast_error"}
    for name, unit in units.items():
        entry = figure(metrics.get(name, name))
        assert unit in (entry.unit, entry.label)
    with pytest.raises(KeyError, match="nonsense"):
        figure("strategy.nonsense")


def test_a_number_has_one_heading_and_one_unit_in_the_terminal_in_prefect_and_on_the_page(drawn):
    evaluations = drawn.evaluations.values()
    traded = [each.evaluation for each in drawn.strategies.values()]
    pairs = [
        (tables.models(evaluations, brief=True), tables.models(evaluations)),
        (tables.brief_strategies(traded), tables.strategies(drawn.strategies)),
        (
            tables.together(drawn.comparison.values(), brief=True),
            tables.together(drawn.comparison.values()),
        ),
    ]
    for brief, full in pairs:
        shown = {row[0]: dict(zip(full.columns, row, strict=True)) for row in reversed(full.rows)}
        assert brief.rows
        for row in brief.rows:
            for column, text in zip(brief.columns, row, strict=True):
                assert shown[row[0]].get(column, text) == text, column.name
        html = Page(render("grid", full)).text
        assert all(column.heading in html for column in full.columns)
        assert catalogue.markdown_table(brief.texts()).count("\n") == len(brief.rows) + 1


def test_two_figures_of_one_kind_never_share_a_heading():
    numbers = [each for each in catalogue.FIGURES.values() if each.kind not in ("text", "number")]
    headings = [each.heading for each in numbers if not each.name.endswith("_return")]
    assert sorted(headings) == sorted(set(headings))


def test_the_page_explains_its_words_and_what_it_shows(drawn):
    shown = explained([("Models", render("models", drawn))])
    assert figure("p_corrected").help in dict(shown).values()
    assert figure("hit_rate").help not in dict(shown).values()
    assert set(catalogue.TERMS) <= set(dict(shown))
