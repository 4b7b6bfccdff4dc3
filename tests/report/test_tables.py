import pandas as pd
import pytest

from rnntrade.report.tables import figures_table, formatted, html_table


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
    table = pd.DataFrame({"<b>": ["a & b"], "net_profit": [1.5]}, index=pd.Index(["x"], name="of"))
    html = html_table(table, {"net_profit": "ratio"}, {"of": "Of <i>"}, "Cap & tion")
    assert "<caption>Cap &amp; tion</caption>" in html
    assert "<th>Of &lt;i&gt;</th><th>&lt;b&gt;</th>" in html
    assert '<th class="n">net profit</th>' in html
    assert '<tr><td>x</td><td>a &amp; b</td><td class="n">1.50</td></tr>' in html


def test_figures_stand_side_by_side_each_in_its_unit():
    html = figures_table(
        {"own": {"annual_return": 0.1, "beta": 1.0}, "held": {"annual_return": 0.2}},
        {"annual_return": "percent"},
        {"beta": "beta, of hold"},
    )
    own, held = '<td class="n">10.0 %</td>', '<td class="n">20.0 %</td>'
    assert f"<tr><td>annual return</td>{own}{held}</tr>" in html
    assert '<tr><td>beta, of hold</td><td class="n">1.00</td><td class="n">—</td></tr>' in html
