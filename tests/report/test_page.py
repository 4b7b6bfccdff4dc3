import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from rnntrade.config import LabelConfig
from rnntrade.evaluation.models import evaluate_model
from rnntrade.evaluation.verdict import CORRECTED
from rnntrade.report.contents import ReportContents
from rnntrade.report.page import slug, write_report
from rnntrade.types import Prices
from tests.configs import ATTENTION, DIRECTION, FORECAST, REGIME
from tests.report.builder import contents, random_prices

EVIL = "<script>alert('x')</script> & \"$\\frac{1}$"


class Page(HTMLParser):
    """What a reader's browser would see."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.sources: list[str] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.headings: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        found = dict(attributes)
        self.sources += [found[name] for name in ("src", "href") if name in found]
        if tag == "img":
            assert found["alt"].strip()
        if tag not in {"img", "meta"}:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag
        if tag in {"td", "th", "li", "p", "caption"}:
            self.words.append(" ")

    def handle_data(self, data):
        self.words.append(data)
        if "h2" in self.open:
            self.headings.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.words).split())


@pytest.fixture(scope="module")
def drawn() -> ReportContents:
    return contents(random_prices(420, ("AAA", "BBB")), folds=2, members=2)


@pytest.fixture(scope="module")
def folder(drawn, tmp_path_factory):
    path = tmp_path_factory.mktemp("report")
    write_report(path, drawn)
    return path


def page_of(given: ReportContents, path) -> Page:
    write_report(path, given)
    return Page((path / "report.html").read_text())


def test_every_section_is_there(folder, drawn):
    page = Page((folder / "report.html").read_text())
    assert page.open == []  # every tag is closed
    assert page.headings == [
        "Models beside their best baselines",
        "Strategies beside buy & hold",
        "All models together",
        "Leak audit",
        "Data warnings",
        "Provenance",
        "Market: AAA",
        "Market: BBB",
        *(f"Model: {name}" for name in drawn.evaluations),
        *(f"Strategy: {name}" for name in drawn.strategies),
        "How to read this page",
    ]
    assert all(source in page.sources for source in ("#part-1", f"#part-{len(page.headings)}"))
    assert CORRECTED in page.text
    assert "0123456789abcdef" in page.text
    assert "did not move for 6 sessions" in page.text
    for evaluation in [*drawn.evaluations.values(), *drawn.strategies.values()]:
        assert getattr(evaluation, "evaluation", evaluation).sentence in page.text


def test_the_page_needs_nothing_beside_it(folder):
    text = (folder / "report.html").read_text()
    page = Page(text)
    assert all(source.startswith(("data:image/png;base64,", "#part-")) for source in page.sources)
    assert not {"script", "link", "iframe"} & set(page.tags)
    assert "http://" not in text
    assert "https://" not in text
    assert "url(" not in text


def test_every_figure_is_saved_as_it_is_shown(folder):
    files = sorted((folder / "figures").glob("*.png"))
    shown = Page((folder / "report.html").read_text()).tags.count("img")
    assert len(files) == shown
    kinds = {re.sub(r"^\d+_|_AAA|_BBB", "", file.stem) for file in files}
    for kind in ("prices", "regimes", "indicators", "scores", "confusion", "learning", "fan"):
        assert any(kind in name for name in kinds), kind
    for kind in ("folds", "reliability"):
        assert any(kind in name for name in kinds), kind
    for kind in ("attention", "equity", "monthly", "distribution", "rolling_sharpe"):
        assert any(kind in name for name in kinds), kind


def test_the_same_contents_give_the_same_bytes(folder, drawn, tmp_path):
    write_report(tmp_path, drawn)
    again = {p.relative_to(tmp_path): p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    before = {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    assert again == before
    assert b"Software" not in (next((folder / "figures").glob("*.png")).read_bytes())


def test_what_users_write_is_text_and_never_markup(tmp_path):
    given = contents(random_prices(300, (EVIL,)), (DIRECTION,))  # a model's name is safe by config
    given = replace(
        given,
        experiment=replace(given.experiment, description=EVIL),
        provenance={EVIL: EVIL},
        findings=(EVIL,),
    )
    page = page_of(given, tmp_path)
    assert "script" not in page.tags
    assert page.text.count(EVIL) > 8
    assert page.open == []


def test_leaky_thresholds_are_shouted(tmp_path):
    drawn = contents(random_prices(120, ("AAA",)), ())
    leaky = replace(drawn.experiment, labels=LabelConfig(thresholds="full_sample"))
    page = page_of(replace(drawn, experiment=leaky), tmp_path / "leaky")
    assert "LEAKY" in page.text
    assert "LEAKY" not in page_of(drawn, tmp_path / "clean").text


@pytest.mark.parametrize(
    "models", [(), (REGIME,), (FORECAST,), (replace(FORECAST, task="return", horizon=1),)]
)
def test_whatever_the_experiment_has_not_is_left_out(models, tmp_path):
    page = page_of(contents(random_prices(300, ("AAA",)), models), tmp_path)
    assert "This experiment trades nothing." in page.text
    assert ("This experiment has no models." in page.text) == (models == ())


def test_warnings_about_the_prices_stand_beside_the_verdict_and_temper_it(tmp_path):
    given = contents(random_prices(300, ("AAA",)), (DIRECTION,))
    warned = replace(given, findings=("AAA: the close moves by more than 40% on 2016-01-04.",))
    head = page_of(warned, tmp_path / "warned").text.partition("Contents")[0]
    assert "resting on prices with warnings." in head
    assert warned.findings[0] in head
    clean = page_of(replace(given, findings=()), tmp_path / "clean").text
    assert "warnings." not in clean.partition("Contents")[0]


def test_a_strategy_that_never_trades_is_reported(tmp_path):
    given = contents(random_prices(300, ("AAA",)), (DIRECTION,), flat=True)
    assert "It never traded." in page_of(given, tmp_path).text


def test_long_ledgers_are_cut_and_whole_beside_the_page(tmp_path):
    given = contents(random_prices(1500, ("AAA", "BBB")), (DIRECTION,))
    page = page_of(given, tmp_path)
    trades = given.strategies[DIRECTION.name].books.strategy.trades
    assert len(trades) > 200
    assert f"{len(trades):,} trades, the first 200 of them" in page.text
    (ledger,) = (tmp_path / "trades").iterdir()
    assert len(pd.read_csv(ledger)) == len(trades)


def test_one_class_never_predicted_and_a_tail_without_truth(tmp_path):
    given = contents(random_prices(300, ("AAA",)), (REGIME,))
    table = given.predictions[REGIME.name].copy()
    table.loc[table["source"] == REGIME.name, "p_0"] = 0.0
    table.loc[table["decision"] > table["decision"].max() - pd.Timedelta(days=40), "truth"] = np.nan
    found = evaluate_model(table, REGIME, given.experiment.report)
    assert found.confusion["Bear"].sum() == 0
    given = replace(given, predictions={REGIME.name: table}, evaluations={REGIME.name: found})
    assert found.sentence in page_of(given, tmp_path).text


def test_many_folds_short_windows_and_holes_are_drawn(prices: Prices, tmp_path):
    given = contents(prices, (ATTENTION, FORECAST), folds=4)
    assert page_of(given, tmp_path).open == []


@pytest.mark.parametrize(
    ("name", "file"),
    [("^GSPC_prices", "GSPC_prices"), ("../../etc", "etc"), ("<a b>", "a_b"), ("§", "unnamed")],
)
def test_file_names_stay_in_their_folder(name, file):
    assert slug(name) == file
