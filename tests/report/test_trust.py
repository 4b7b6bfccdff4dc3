from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from rnntrade.audit.findings import Audited, AuditReport, Finding
from rnntrade.evaluation import classification
from rnntrade.evaluation.predictions import known_rows
from rnntrade.objectives.lookup import objective_of
from rnntrade.report import canvas, model_figures
from rnntrade.report.catalogue import figure
from rnntrade.report.contents import ReportContents
from rnntrade.report.model_figures import of_model
from rnntrade.report.page import render, sections
from rnntrade.report.tables import changes, seeds_of_model, seeds_of_strategy, spread
from tests.configs import DIRECTION, FORECAST, REGIME
from tests.report.builder import COMPARISON, contents, random_prices
from tests.report.test_page import Page, page_of

NAN = float("nan")


@pytest.fixture(autouse=True)
def undrawn(monkeypatch):
    """Titles and tables are asked about here: figures are composed, not painted."""
    monkeypatch.setattr(canvas, "png", lambda figure: b"")


@pytest.fixture(scope="module")
def drawn() -> ReportContents:
    models = (REGIME, DIRECTION, FORECAST)
    return contents(random_prices(420, ("AAA", "BBB")), models, folds=3, members=3)


def words(macro: str, *values: object) -> str:
    """A section's text, as its reader sees it."""
    return Page(render(macro, *values)).text


def model_section(drawn: ReportContents, name: str) -> str:
    return words("model", drawn.evaluations[name], [])


def strategy_section(drawn: ReportContents, name: str) -> str:
    return words("strategy", drawn.strategies[name], [])


def report_of(*findings: Finding) -> AuditReport:
    """An audit of ten comparisons that found this."""
    return AuditReport({"oracle": Audited({"equity": 10}, findings)}, pd.DataFrame())


def titles(drawn: ReportContents, name: str) -> dict[str, str]:
    return {file: drawn.texts[0].get_text() for file, drawn in of_model(drawn, name)}


def test_a_clean_audit_says_what_it_compared(drawn):
    text = words("leak_audit", drawn.audit)
    assert "No leak found: all of 1,234,845 comparisons in 3 stages" in text
    assert "thresholds 56" in text
    assert "sma_50 50 50 window 0" in text
    assert "ema_12 12 431 decaying 3.0e-05" in text
    assert "AUDIT" not in words("verdict", drawn)


def test_findings_are_shouted_at_the_head_and_listed(tmp_path):
    found = report_of(Finding("oracle", "equity", "AAA <b>", "", "fill at the same close", ""))
    bare = contents(random_prices(60, ("AAA",)), ())
    page = page_of(replace(bare, audit=found), tmp_path)
    assert page.text.index("LEAK AUDIT FAILED with 1 finding") < page.text.index("Contents")
    assert "1 finding, from 10 comparisons in 1 stage:" in page.text
    assert "equity: AAA <b>: fill at the same close" in page.text
    assert "No leak found" not in page.text


def test_a_flood_of_findings_is_cut():
    found = report_of(*(Finding("", "", "", "", f"finding {n}.", "") for n in range(1000)))
    text = words("leak_audit", found)
    assert "finding 19." in text
    assert "finding 20." not in text
    assert "and 980 more" in text


def test_an_audit_that_did_not_look_is_no_clean_one(drawn):
    assert "was not audited" in words("leak_audit", None)
    nothing = AuditReport({}, pd.DataFrame())
    assert "compared nothing" in words("leak_audit", nothing)
    assert "FAILED" in words("verdict", replace(drawn, audit=nothing))


@pytest.mark.parametrize(
    ("note", "red"),
    [
        ("The holdout from 2020-01-02 on is spent: it was opened on 2020-03-01.", True),
        ("The holdout from 2020-01-02 on was opened by this run, for the first time.", False),
        ("Sessions from 2020-01-02 on are sealed: this run has not seen them.", False),
    ],
)
def test_only_a_spent_holdout_is_stamped(drawn, note, red):
    html = render("verdict", replace(drawn, holdout=note))
    assert f"Final holdout: {note[0].lower()}{note[1:]}" in html
    assert ('class="leaky"' in html) == red


def test_no_holdout_is_no_paragraph(drawn):
    assert "holdout" not in words("verdict", replace(drawn, holdout=""))


def test_all_models_together_say_who_is_better_and_what_is_overfitted(drawn):
    text = words("together", drawn)
    assert (
        "direction, 1 ahead: none of 2 candidates (many_to_one_lstm, attention_bilstm) is better "
        "than logistic window of many_to_one_lstm once the choice among them counts; "
        "SPA p = 0.410. 439 sessions, compared." in text
    )
    assert "attention_bilstm is better than buy and hold" in text
    assert "SPA p < 0.001" in text
    assert "0.56 0.30 to 0.70 not reached" in text


def test_overfitting_below_the_bound_is_reached_and_too_few_sessions_are_told(drawn):
    given = replace(
        COMPARISON["strategies"], spa_p=NAN, spa_range=(NAN, NAN), better=(), overfitting=0.19
    )
    text = words("together", replace(drawn, comparison={"strategies": given}))
    assert "strategies: too few sessions to compare 2 candidates" in text
    assert "0.19 0.30 to 0.70 reached" in text


def test_without_a_comparison_there_is_no_such_section():
    bare = contents(random_prices(60, ("AAA",)), ())
    with_one, without = (
        [title for title, _ in sections(replace(bare, comparison=given), {})]
        for given in (COMPARISON, None)
    )
    assert [title for title in with_one if title not in without] == ["All models together"]


def test_reliability_tells_the_error_worked_out_by_hand():
    own = pd.DataFrame(
        {
            "low": [0.4, 0.7],
            "high": [0.5, 0.8],
            "confidence": [0.45, 0.75],
            "accuracy": [0.50, 0.45],
            "count": [30, 10],
        }
    )
    # |0.45 - 0.50| × 30/40 + |0.75 - 0.45| × 10/40 = 0.0375 + 0.075
    assert classification.calibration_error(own) == pytest.approx(0.1125)
    figure = model_figures.reliability("LSTM", "", own, ("markov_chain", own.iloc[:1]))
    assert figure.texts[0].get_text() == (
        "LSTM is 52 % confident on average, right in 49 %: calibration error 0.113 "
        "(markov chain 0.050)"
    )
    counts = [text.get_text() for text in figure.axes[1].texts]
    assert counts == ["30", "30", "10"]  # of the baseline's one bin, then the network's
    alone = model_figures.reliability("LSTM", "a rise", own, None)
    assert alone.texts[0].get_text() == (
        "LSTM predicts a rise at 52 % on average, observed 49 %: calibration error 0.113"
    )


@pytest.mark.parametrize("model", [REGIME, DIRECTION])
def test_the_reliability_figure_is_of_the_baseline_with_the_best_probabilities(drawn, model):
    e = drawn.evaluations[model.name]
    finding = titles(drawn, model.name)[f"{model.name}_reliability"]
    best = e.scores["brier"].drop(model.name).idxmin()
    rows = known_rows(drawn.predictions[model.name], best, "test", objective_of(model))
    table = classification.reliability(
        rows["truth"].to_numpy(float), objective_of(model).predicted(rows)
    )
    rival = f"{best.replace('_', ' ')} {classification.calibration_error(table):.3f}"
    assert f"calibration error {e.scores.loc[model.name, 'ece']:.3f} ({rival})" in finding


def test_folds_tell_how_often_the_model_is_ahead(drawn):
    e = drawn.evaluations[REGIME.name]
    table = e.folds.assign(
        first=pd.to_datetime(["2020-01-02", "2021-01-04", "2022-01-03"]),
        difference=[0.05, NAN, -0.02],
    )
    e = replace(e, folds=table, best_baseline="markov_chain")
    assert model_figures.by_fold(e) == (
        "regime_lstm is ahead of markov chain in 1 of 3 folds; "
        "worst -0.020 (from 2022-01), best +0.050 (from 2020-01)"
    )
    unknown = replace(e, folds=table.assign(difference=NAN))
    assert model_figures.by_fold(unknown) == "regime_lstm is ahead of markov chain in 0 of 3 folds"


def test_sixty_folds_keep_their_dates_apart(drawn):
    e = drawn.evaluations[REGIME.name]
    first = pd.date_range("2000-01-01", periods=60, freq="90D")
    table = pd.concat([e.folds] * 20, ignore_index=True).assign(first=first)
    figure = model_figures.folds(replace(e, folds=table))
    assert len(figure.axes[1].get_xticks()) <= model_figures.TICKS
    assert figure.axes[1].get_xticklabels()[0].get_text() == "2000-01"


def test_one_fold_alone_is_not_drawn_again():
    given = contents(random_prices(300, ("AAA",)), (DIRECTION,))
    told = model_section(given, DIRECTION.name) + strategy_section(given, DIRECTION.name)
    assert not [name for name in titles(given, DIRECTION.name) if "folds" in name]
    assert "By fold" not in told
    assert "differ by their seeds" not in told


def test_folds_and_tests_have_their_tables(drawn):
    for name, e in drawn.evaluations.items():
        text = model_section(drawn, name)
        assert f"By fold: {name} beside" in text
        assert f"{e.folds['last'].iloc[-1]:%Y-%m-%d}" in text
        assert "Tests, before any correction" in text
        for test, detail in e.tests[["test", "detail"]].itertuples(index=False):
            assert test in text
            assert detail in text


def test_spread_is_mean_deviation_and_range():
    ratio, growth = figure("sharpe_ratio"), figure("annual_return")
    assert spread(pd.Series([0.1, 0.2, 0.3]), ratio) == "0.20 ± 0.10 (0.10 to 0.30)"
    told = spread(pd.Series([0.01, 0.03]), growth)
    assert told == "+2.00 % ± 1.41 % (+1.00 % to +3.00 %)"
    assert spread(pd.Series([0.1, NAN]), ratio) == "not known"


def test_seeds_are_told_in_a_sentence(drawn):
    e = drawn.evaluations[REGIME.name]
    seeds = pd.DataFrame({"score": [0.3, 0.5], "difference": [-0.1, 0.1]})
    told = seeds_of_model(replace(e, seeds=seeds, score=0.45, best_baseline="markov_chain"))
    assert told == (
        "2 members that differ by their seeds alone, mean ± deviation (range): "
        "accuracy 0.400 ± 0.141 (0.300 to 0.500), "
        "difference to markov chain +0.000 ± 0.141 (-0.100 to +0.100). Averaged they reach 0.450."
    )
    forecast = drawn.evaluations[FORECAST.name]
    seeds = pd.DataFrame({"score": [0.010, 0.012], "difference": [0.01, 0.03]})
    told = seeds_of_model(replace(forecast, seeds=seeds, score=0.0105, best_baseline="zero"))
    assert "RMSE 1.100 % ± 0.141 % (1.000 % to 1.200 %), squared error saved over zero" in told
    assert "+2.00 % ± 1.41 % (+1.00 % to +3.00 %). Averaged they reach 1.050 %." in told
    traded = drawn.strategies[DIRECTION.name].evaluation
    assert "3 members" in seeds_of_strategy(traded)
    assert f"Averaged they reach {traded.sharpe:.2f}" in seeds_of_strategy(traded)
    assert seeds_of_strategy(traded) in strategy_section(drawn, DIRECTION.name)


def test_transition_recall_stands_beside_persistence_and_the_markov_chain(drawn):
    recall = pd.Series({"LSTM": 0.125, "majority": 0.3, "persistence": 0.0, "markov_chain": 0.02})
    assert changes(recall, "LSTM").endswith("LSTM 12.5 %, persistence 0.0 %, markov chain 2.0 %.")
    assert "never changed" in changes(recall * NAN, "LSTM")
    assert "Transition recall" in model_section(drawn, REGIME.name)
    assert "Transition recall" not in model_section(drawn, DIRECTION.name)


def test_every_sharpe_statistic_has_its_row_and_its_form(drawn):
    e = replace(
        drawn.strategies[DIRECTION.name].evaluation,
        probabilistic_sharpe=0.9,
        deflated_sharpe=0.123,
        deflated_sharpe_2025=0.234,
        trials=1234,
        minimum_track_record=567.4,
        sessions=400,
    )
    text = _section(drawn, e)
    assert "probabilistic Sharpe ratio 0.900" in text
    assert "value 2025 form" in text
    assert "deflated Sharpe ratio 0.123 0.234" in text
    assert "trials 1,234" in text
    assert "minimum track record, sessions 567 there are 400; too few" in text
    assert "Ledoit-Wolf against buy and hold" in text
    assert e.power in text
    assert "enough to tell" in _section(drawn, replace(e, sessions=600))
    below = _section(drawn, replace(e, minimum_track_record=NAN))
    assert "minimum track record, sessions — there are 400; no length would do" in below


def test_costs_stand_beside_buy_and_hold(drawn):
    e = drawn.strategies[DIRECTION.name].evaluation
    text = strategy_section(drawn, DIRECTION.name)
    assert list(e.by_cost.index) == [0.0, 2.0, 5.0, 10.0]
    for bps, row in e.by_cost.iterrows():
        own = f"{bps:g} {row['final_equity']:,.0f} {100 * row['annual_return']:+.2f} %"
        held = f"{row['hold_final_equity']:,.0f} {100 * row['hold_annual_return']:+.2f} %"
        assert own in text
        assert held in text


def test_the_overview_corrects_for_what_was_tried(drawn):
    given = replace(drawn.evaluations[REGIME.name], p_value=0.004, attempts=12)
    text = words("models", replace(drawn, evaluations={REGIME.name: given}))
    assert f"{given.verdict} 0.048 regime, 20 ahead: accuracy" in text
    assert "models ever tried on this data, 12." in text
    traded = drawn.strategies[DIRECTION.name]
    judged = replace(traded.evaluation, deflated_sharpe=0.321, trials=77, verdict="none")
    shown = {DIRECTION.name: replace(traded, evaluation=judged)}
    assert "none 0.321 77" in words("strategies", replace(drawn, strategies=shown))


def test_an_evaluation_without_predictions_draws_its_reliability_alone(drawn):
    shown = titles(replace(drawn, predictions={}), DIRECTION.name)[f"{DIRECTION.name}_reliability"]
    error = drawn.evaluations[DIRECTION.name].scores.loc[DIRECTION.name, "ece"]
    assert shown.endswith(f"{error:.3f}")
    assert np.isfinite(drawn.evaluations[DIRECTION.name].scores["ece"]).all()


def _section(drawn, evaluation):
    changed = replace(drawn.strategies[DIRECTION.name], evaluation=evaluation)
    return strategy_section(replace(drawn, strategies={DIRECTION.name: changed}), DIRECTION.name)
