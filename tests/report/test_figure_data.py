"""Every figure of the report, its dates and values read back and held against the table behind it.

The prices have holes: one ticker is listed late, another is halted for a week.
"""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgba
from matplotlib.dates import date2num, num2date

from rnntrade.evaluation import classification
from rnntrade.evaluation.models import evaluate_model
from rnntrade.evaluation.predictions import INTERVAL_COVERAGE, known_rows
from rnntrade.objectives.lookup import find_objective
from rnntrade.production.decay import Outcomes
from rnntrade.report import canvas, drift_figures, market_figures, model_figures
from rnntrade.report.market_figures import of_market
from rnntrade.report.model_figures import of_model
from rnntrade.report.strategy_figures import (
    _probabilities,
    monthly_heat_map,
    of_strategy,
    rolling_sharpe,
)
from rnntrade.report.tables import MONTHS
from rnntrade.types import REGIMES, STATES
from tests.configs import ATTENTION, DIRECTION, FORECAST, REGIME
from tests.report.builder import contents

TICKERS = ("WHOLE", "LATE", "HALTED")
MODELS = (REGIME, DIRECTION, ATTENTION, FORECAST)


@pytest.fixture(scope="module")
def given(prices):
    return contents(prices, MODELS, folds=3)


@pytest.fixture(scope="module")
def figures(given):
    """Every figure of the page by name, as the page makes it."""
    subjects = (
        (of_market, TICKERS), (of_model, given.evaluations), (of_strategy, given.strategies),
    )  # fmt: skip
    return {
        file: figure
        for draw, names in subjects
        for name in names
        for file, figure in draw(given, name)
    }


def title(figure) -> str:
    return figure.texts[0].get_text()


def line(axes, label: str) -> pd.Series:
    """A labelled line as a series by session."""
    (found,) = (each for each in axes.lines if each.get_label() == label)
    return as_series(found)


def as_series(drawn) -> pd.Series:
    x, y = drawn.get_xdata(orig=True), drawn.get_ydata(orig=True)
    return pd.Series(np.asarray(y, float), pd.DatetimeIndex(x))


def days(numbers) -> list[str]:
    return [f"{num2date(number):%Y-%m-%d}" for number in numbers]


def same(drawn: pd.Series, table: pd.Series, **tolerance: float) -> None:
    assert list(drawn.index) == list(table.index)
    np.testing.assert_allclose(drawn.to_numpy(), table.to_numpy(float), **tolerance)


def labels(axis) -> list[str]:
    return [each.get_text() for each in axis.get_ticklabels()]


def keys(axes) -> dict[str, tuple]:
    """The legend: text -> colour of its handle."""
    box = axes.get_legend()
    handles = (each.get_color() if hasattr(each, "get_color") else each.get_facecolor()
               for each in box.legend_handles)  # fmt: skip
    texts = (each.get_text() for each in box.get_texts())
    return {text: to_rgba(colour) for text, colour in zip(texts, handles, strict=True)}


def test_the_page_has_every_figure_that_is_read_back_here(figures):
    kinds = {name.rsplit("_", 1)[-1] if name[:4] != "many" else name for name in figures}
    assert kinds >= {"prices", "regimes", "indicators", "scores", "folds", "confusion", "fan"}
    assert kinds >= {"reliability", "learning", "attention", "equity", "monthly", "distribution"}


@pytest.mark.parametrize("ticker", TICKERS)
def test_prices_and_returns_are_those_of_the_sessions_traded(figures, given, ticker):
    upper, lower = figures[f"{ticker}_prices"].axes
    close = given.prices.close[ticker].dropna()
    same(as_series(upper.lines[0]), close)
    stems = as_series(lower.lines[0]).iloc[1::3]
    same(stems, close.pct_change().iloc[1:])
    worst = close.pct_change().idxmin()
    assert title(figures[f"{ticker}_prices"]).startswith(f"{ticker}: ")
    assert f"on {worst:%Y-%m-%d}" in title(figures[f"{ticker}_prices"])
    assert lower.yaxis.get_major_formatter()(0.05) == "5 %"


def test_growth_is_that_of_the_years_of_its_calendar():
    days_open = pd.date_range("2020-01-01", periods=366)
    close = pd.Series(100.0 * 1.2 ** (np.arange(366) / 365.0), days_open)
    drawn = market_figures.price_and_returns("BTC-USD", close, per_year=365)
    assert title(drawn).startswith("BTC-USD: CAGR +20.0 %")


@pytest.mark.parametrize("ticker", TICKERS)
def test_each_session_lies_in_a_cell_of_its_own_regime(figures, given, ticker):
    close = given.prices.close[ticker].dropna()
    codes = given.regimes[ticker].reindex(close.index)
    upper, band = figures[f"{ticker}_regimes"].axes
    (mesh,) = band.collections
    cells = mesh.get_array().ravel()
    edges = mesh.get_coordinates()[0, :, 0]
    inside = np.searchsorted(edges, canvas_numbers(close.index)) - 1
    assert list(inside) == list(range(len(close)))
    np.testing.assert_array_equal(cells, codes.fillna(len(REGIMES)))
    colours = {code: to_rgba(canvas.REGIME_COLOURS[code]) for code in range(4)}
    for code, session in enumerate(cells):
        if session < len(REGIMES):
            assert mesh.cmap(mesh.norm(session)) == colours[int(session)], code
    legend = keys(upper)
    assert {name: legend[name] for name in REGIMES} == {
        name: colours[code] for code, name in enumerate(REGIMES)
    }
    assert "not known" in legend  # its first sessions
    points = np.concatenate([segment[1:] for segment in upper.collections[0].get_segments()])
    assert days(points[:, 0]) == [f"{day:%Y-%m-%d}" for day in close.index[1:]]
    np.testing.assert_allclose(points[:, 1], close.iloc[1:])


def canvas_numbers(index) -> np.ndarray:
    return np.asarray(date2num(canvas.dates(index)))


def test_a_regime_of_one_session_is_seen():
    close = pd.Series(1.0, pd.bdate_range("2020-01-01", periods=5))
    regime = pd.Series([2.0, 2, 0, 2, 2], close.index)
    band = market_figures.price_by_regime("A", close, regime).axes[1]
    widths = np.diff(band.collections[0].get_coordinates()[0, :, 0])
    assert widths[2] == 1.5 + 0.5  # half of the weekend before, half of the night after


@pytest.mark.parametrize("ticker", TICKERS)
def test_indicators_are_those_of_the_newest_sessions(figures, given, ticker):
    top, macd, rsi, volatility = figures[f"{ticker}_indicators"].axes
    table = given.features[ticker].dropna(how="all").iloc[-market_figures.SHOWN :]
    close = given.prices.close[ticker].dropna().loc[table.index]
    same(line(top, "close"), close)
    mean = given.prices.close[ticker].dropna().rolling(50).mean().loc[table.index]
    same(line(top, "50-session mean"), mean, rtol=1e-9)
    (area,) = top.collections
    vertices = area.get_paths()[0].vertices
    known = (close * (1 + table["bb_upper"])).dropna()
    drawn = {day: value for day, value in zip(days(vertices[:, 0]), vertices[:, 1], strict=True)}
    assert f"{known.index[0]:%Y-%m-%d}" in drawn
    highest = vertices[:, 1].max()
    assert highest == pytest.approx(known.max())
    same(line(macd, "MACD"), table["macd"])
    same(line(macd, "signal line"), table["macd_signal"])
    assert keys(macd) == {each.get_label(): to_rgba(each.get_color()) for each in macd.lines[:2]}
    same(as_series(rsi.lines[0]), 100 * table["rsi"] + 50)
    same(as_series(volatility.lines[0]), table["volatility_20"])
    assert volatility.yaxis.get_major_formatter()(0.175) == "17.5 %"
    last = table.iloc[-1]
    assert title(figures[f"{ticker}_indicators"]) == (
        f"{ticker} on {table.index[-1]:%Y-%m-%d}: RSI {100 * last['rsi'] + 50:.0f}, "
        f"volatility {100 * last['volatility_20']:.0f} % a year"
    )


@pytest.mark.parametrize("model", [each.name for each in MODELS])
def test_scores_stand_beside_the_names_of_their_sources(figures, given, model):
    e = given.evaluations[model]
    (axes,) = figures[f"{model}_scores"].axes
    scale = 100.0 if e.score_name == "rmse" else 1.0
    points = axes.collections[0].get_offsets()
    names = [text.replace(" ", "_") for text in labels(axes.yaxis)]
    drawn = dict(zip(names, points[:, 0], strict=True))
    for source, score in e.scores[e.score_name].items():
        assert drawn[str(source)] == pytest.approx(scale * score)
    best = names[int(points[:, 1].argmax())]
    order = e.scores[e.score_name].astype(float)
    assert order[best] == (order.min() if e.score_name == "rmse" else order.max())
    colours = dict(zip(names, map(tuple, axes.collections[0].get_facecolors()), strict=True))
    assert colours[model] == to_rgba(canvas.BLUE)
    assert colours[e.best_baseline] == to_rgba(canvas.ORANGE)
    assert ("%" in axes.get_xlabel()) == (e.score_name == "rmse")


@pytest.mark.parametrize("model", [each.name for each in MODELS])
def test_folds_are_dated_by_their_own_first_session(figures, given, model):
    e = given.evaluations[model]
    upper, lower = figures[f"{model}_folds"].axes
    scale = 100.0 if e.score_name == "rmse" else 1.0
    by_label = {each.get_label(): each.get_ydata() for each in upper.lines}
    np.testing.assert_allclose(by_label[model], scale * e.folds["score"])
    rival = e.best_baseline.replace("_", " ")
    np.testing.assert_allclose(by_label[rival], scale * e.folds["baseline"])
    np.testing.assert_allclose([bar.get_height() for bar in lower.patches], e.folds["difference"])
    test = known_rows(given.predictions[model], model, "test", find_objective(e.task, e.horizon))
    firsts = test.groupby("fold")["decision"].min()
    assert labels(lower.xaxis) == [f"{first:%Y-%m}" for first in firsts]
    assert keys(upper) == {rival: to_rgba(canvas.ORANGE), model: to_rgba(canvas.BLUE)}


@pytest.mark.parametrize("model", [REGIME.name, DIRECTION.name])
def test_the_confusion_matrix_has_the_truth_in_rows(figures, given, model):
    left = figures[f"{model}_confusion"].axes[0]
    e = given.evaluations[model]
    test = known_rows(given.predictions[model], model, "test", find_objective(e.task, e.horizon))
    names = list(e.confusion.index)
    said = (
        (test["p_up"] > 0.5).astype(int)
        if e.task == "direction"
        else test[[f"p_{k}" for k in range(4)]].to_numpy().argmax(axis=1)
    )
    counts = pd.crosstab(test["truth"].astype(int), said).reindex(
        index=range(len(names)), columns=range(len(names)), fill_value=0
    )
    shares = counts.div(counts.sum(axis=1).clip(lower=1), axis=0)
    np.testing.assert_allclose(left.images[0].get_array(), shares)
    assert [text.replace("\n", " ") for text in labels(left.yaxis)] == names
    assert [text.replace("\n", " ") for text in labels(left.xaxis)] == names
    for text in left.texts:
        column, row = map(int, text.get_position())
        assert text.get_text().split("\n")[0] == f"{counts.iloc[row, column]:,}"


@pytest.mark.parametrize("model", [REGIME.name, DIRECTION.name])
def test_reliability_is_drawn_at_what_was_said_and_what_came(figures, given, model):
    e = given.evaluations[model]
    upper, lower = figures[f"{model}_reliability"].axes
    points = {each.get_label(): each.get_offsets() for each in upper.collections}
    np.testing.assert_allclose(points[model], e.reliability[["confidence", "accuracy"]])
    heights = [bar.get_height() for bar in lower.patches][-len(e.reliability) :]
    np.testing.assert_allclose(heights, e.reliability["count"])
    assert sum(heights) == e.samples
    centres = [bar.get_x() + bar.get_width() / 2 for bar in lower.patches][-len(e.reliability) :]
    assert all(e.reliability["low"] < centres)
    assert all(e.reliability["high"] > centres)
    (rival,) = (name for name in points if name != model)
    rows = known_rows(
        given.predictions[model], rival.replace(" ", "_"), "test", find_objective(e.task, e.horizon)
    )
    assert len(rows) == e.samples
    assert keys(upper)[rival] == to_rgba(canvas.ORANGE)


def test_probabilities_of_two_states_are_those_of_the_second_for_both(given):
    table = given.predictions[REGIME.name].copy()
    table["truth"], table["current"] = table["truth"] % 2, table["current"] % 2
    table["p_0"], table["p_1"] = table["p_0"] + table["p_2"], table["p_1"] + table["p_3"]
    table["p_2"] = table["p_3"] = 0.0
    judged = evaluate_model(table, REGIME, given.experiment.report, regimes=STATES[2])
    two = replace(
        given, predictions={REGIME.name: table}, evaluations={REGIME.name: judged}, attention=None
    )
    figure = dict(of_model(two, REGIME.name))[f"{REGIME.name}_reliability"]
    upper, lower = figure.axes
    (rival,) = (each for each in upper.collections if each.get_label() != REGIME.name)
    rows = known_rows(
        table, rival.get_label().replace(" ", "_"), "test", find_objective("regime", 20)
    )
    came = classification.reliability(rows["truth"].to_numpy(), rows[["p_0", "p_1"]].to_numpy())
    np.testing.assert_allclose(rival.get_offsets(), came[["confidence", "accuracy"]])
    assert lower.get_xlabel() == "predicted probability of Turbulent"


def test_the_fan_starts_at_the_decision_and_what_came_are_the_closes(figures, given):
    (axes,) = figures[f"{FORECAST.name}_fan"].axes
    rows = known_rows(
        given.predictions[FORECAST.name],
        FORECAST.name,
        "test",
        find_objective("forecast", FORECAST.horizon),
    )
    row = rows[rows["ticker"] == "WHOLE"].sort_values("decision").iloc[-1]
    close = given.prices.close["WHOLE"].dropna()
    history = line(axes, "history")
    assert history.index[-1] == row["decision"]
    same(history, close.loc[history.index])
    after = close.loc[row["decision"] :].iloc[: FORECAST.horizon + 1]
    same(line(axes, "realised"), after, rtol=1e-9)
    said = np.cumprod([1.0, *(1.0 + row[f"r_{step + 1}"] for step in range(FORECAST.horizon))])
    same(line(axes, "forecast"), pd.Series(after.iloc[0] * said, after.index), rtol=1e-9)
    assert row["label_end"] == after.index[-1]
    assert title(figures[f"{FORECAST.name}_fan"]).startswith(
        f"WHOLE after {row['decision']:%Y-%m-%d}"
    )
    assert f"{100 * INTERVAL_COVERAGE:g} % interval" in keys(axes)


@pytest.mark.parametrize("model", [each.name for each in MODELS])
def test_learning_curves_count_epochs_from_one_and_mark_the_best(figures, given, model):
    fits = given.fits[model]
    panels = figures[f"{model}_learning"].axes
    for axes, unit in zip(panels, ("loss", "score"), strict=False):
        drawn = [each.get_segments() for each in axes.collections]
        for part, segments in zip(("training", "validation"), drawn, strict=True):
            for one, segment in zip(fits, segments, strict=True):
                points = [
                    (each.number + 1, getattr(each, f"{part}_{unit}")) for each in one.history
                ]
                np.testing.assert_allclose(segment, points)
        lowest = [min(one.history, key=lambda each: each.validation_loss) for one in fits]
        np.testing.assert_array_equal(axes.lines[0].get_xdata(), [e.number + 1 for e in lowest])
        np.testing.assert_allclose(
            axes.lines[0].get_ydata(), [getattr(each, f"validation_{unit}") for each in lowest]
        )


def test_attention_has_the_dates_of_its_window_and_the_features_in_order(figures, given):
    upper, lower, _ = figures[f"{ATTENTION.name}_attention"].axes
    example = given.attention
    np.testing.assert_allclose([bar.get_height() for bar in upper.patches], example.weights)
    np.testing.assert_allclose(lower.images[0].get_array(), example.window.T)
    assert labels(lower.yaxis) == list(example.names)
    for place, text in zip(lower.get_xticks(), labels(lower.xaxis), strict=True):
        assert text == f"{example.sessions[int(place)]:%Y-%m-%d}"
    assert lower.get_xticks()[-1] == len(example.sessions) - 1
    most = example.sessions[example.weights.argmax()]
    told = f"{example.ticker} on {example.sessions[-1]:%Y-%m-%d}: most attention on {most:%Y-%m-%d}"
    assert title(figures[f"{ATTENTION.name}_attention"]).startswith(told)


def test_equity_drawdown_and_positions_are_the_backtests(figures, given):
    strategy = given.strategies[DIRECTION.name]
    equity, fall, position, chance = figures[f"{DIRECTION.name}_equity"].axes
    for run, name in (
        (strategy.books.strategy, DIRECTION.name),
        (strategy.books.benchmark, "buy & hold"),
    ):
        worth = run.equity / run.initial_capital
        same(line(equity, name), 100 * worth)
        drawn = fall.lines[int(name == "buy & hold")]
        same(as_series(drawn), worth / np.maximum(worth.cummax(), 1.0) - 1.0, atol=1e-12)
    assert keys(equity)[DIRECTION.name] == to_rgba(equity.lines[0].get_color())
    assert fall.yaxis.get_major_formatter()(-0.1) == "-10 %"
    (mesh,) = position.collections
    standing = strategy.books.target.ffill().fillna(0.0)
    np.testing.assert_allclose(mesh.get_array(), standing.to_numpy().T)
    assert labels(position.yaxis) == list(standing.columns)
    edges = mesh.get_coordinates()[0, :, 0]
    assert days(edges[:-1]) == [f"{day:%Y-%m-%d}" for day in standing.index]
    for ticker in strategy.books.probability:
        said = strategy.books.probability[ticker].dropna()
        (smooth,) = (each for each in chance.lines if each.get_label() == ticker)
        same(as_series(smooth), said.rolling(21, min_periods=1).mean())
    assert set(strategy.books.probability) <= set(keys(chance))


def test_no_probability_is_drawn_where_a_ticker_was_halted(figures, given):
    said = given.strategies[DIRECTION.name].books.probability.copy()
    said.iloc[30:35, 0] = np.nan
    _, (axes,) = canvas.canvas("x")
    _probabilities(axes, said, 0.1)
    drawn = line(axes, said.columns[0])
    assert not set(said.index[30:35]) & set(drawn.index)


def test_months_are_compounded_from_their_own_sessions(figures, given):
    returns = given.strategies[DIRECTION.name].books.strategy.returns
    (axes,) = figures[f"{DIRECTION.name}_monthly"].axes
    months = returns.groupby(returns.index.to_period("M")).apply(lambda r: (1 + r).prod() - 1)
    assert labels(axes.xaxis) == list(MONTHS)
    years = [int(text) for text in labels(axes.yaxis)]
    grid = axes.images[0].get_array()
    drawn = {
        pd.Period(year=year, month=month + 1, freq="M"): float(grid[row, month])
        for row, year in enumerate(years)
        for month in range(12)
        if np.isfinite(np.ma.filled(grid[row, month], np.nan))
    }
    assert sorted(drawn) == list(months.index)
    for month, value in months.items():
        assert drawn[month] == pytest.approx(value)
    for text in axes.texts:
        column, row = map(int, text.get_position())
        month = pd.Period(year=years[row], month=column + 1, freq="M")
        assert text.get_text() == f"{100 * months[month]:+.1f}"


def test_a_month_outside_the_test_is_left_blank():
    table = pd.DataFrame([[0.02, np.nan, 0.0, *[np.nan] * 9]], [2021], range(1, 13))
    (axes,) = monthly_heat_map("S", table).axes
    assert [text.get_text() for text in axes.texts] == ["+2.0", "+0.0"]


def test_the_distribution_holds_every_session_once(figures, given):
    strategy = given.strategies[DIRECTION.name]
    (axes,) = figures[f"{DIRECTION.name}_distribution"].axes
    bars = np.array([bar.get_height() for bar in axes.patches]).reshape(2, -1)
    np.testing.assert_allclose(bars.sum(axis=1), 1.0)
    left = np.array([bar.get_x() for bar in axes.patches]).reshape(2, -1)
    held = strategy.books.benchmark.returns
    middle = bars.shape[1] // 2
    inside = (held >= left[0, middle]) & (held < left[0, middle + 1])
    assert bars[0, middle] == pytest.approx(float(inside.mean()))
    (tail,) = (each for each in axes.lines if "worst 5 %" in str(each.get_label()))
    assert tail.get_xdata()[0] == pytest.approx(np.percentile(strategy.books.strategy.returns, 5))
    assert axes.xaxis.get_major_formatter()(0.0125) == "1.25 %"


def test_the_rolling_ratio_is_dated_by_its_last_session(figures, given):
    strategy = given.strategies[DIRECTION.name]
    (axes,) = figures[f"{DIRECTION.name}_rolling_sharpe"].axes
    for run, name in (
        (strategy.books.strategy, "strategy"),
        (strategy.books.benchmark, "buy & hold"),
    ):
        window = run.returns.rolling(63)
        same(line(axes, name), window.mean() / window.std() * np.sqrt(252), rtol=1e-6)
    nothing = rolling_sharpe("S", run.returns * np.nan, run.returns * np.nan, 63)
    assert "nothing to see" in title(nothing)


def test_input_drift_has_each_index_and_limit_beside_its_name():
    table = pd.DataFrame(
        {
            "feature": ["returns", "rsi", "macd"],
            "psi": [0.1, 0.9, 0.2],
            "limit": [0.25, 0.5, np.nan],
            "out_of_range": [0.0, 0.3, 0.0],
            "drifted": [False, True, False],
        }
    )
    figure = drift_figures.input_drift(table)
    (axes,) = figure.axes
    names = labels(axes.yaxis)
    bars = {names[round(bar.get_y() + bar.get_height() / 2)]: bar for bar in axes.patches}
    limits = {
        names[round(float(segment[:, 1].mean()))]: segment[0, 0]
        for segment in axes.collections[0].get_segments()
        if len(segment)
    }
    told = {names[round(each.xy[1])]: each.get_text() for each in axes.texts}
    for row in table.to_dict("records"):
        assert bars[row["feature"]].get_width() == row["psi"]
        red = bars[row["feature"]].get_facecolor() == to_rgba(canvas.RED)
        assert red == row["drifted"]
        assert told[row["feature"]].startswith(f"{row['psi']:.2f} of ")
        if np.isfinite(row["limit"]):
            assert limits[row["feature"]] == row["limit"]
    assert title(figure) == "1 of 3 inputs have drifted: rsi"


@pytest.fixture
def outcomes():
    """Two tickers, one of them halted for a week, in an order that is not that of time."""
    rng = np.random.default_rng(0)

    def made(first: str, count: int) -> Outcomes:
        sessions = pd.bdate_range(first, periods=count)
        both = np.concatenate([sessions, sessions.delete(range(10, 15))])
        order = rng.permutation(len(both))
        up = rng.uniform(0.3, 0.7, len(both))
        truth = (rng.uniform(size=len(both)) < up).astype(float)
        return Outcomes(both[order], np.column_stack([1 - up, up])[order], truth[order], 1)

    return made("2020-01-01", 200), made("2021-01-01", 60)


def test_hits_are_drawn_on_their_sessions_in_order(outcomes):
    validation, recent = outcomes
    (axes,) = drift_figures.hit_rate(validation, recent).axes
    rows = pd.DataFrame(
        {"day": recent.session, "hit": (recent.predicted[:, 1] > 0.5) == recent.truth}
    )
    hits = rows.groupby("day")["hit"].mean().sort_index()
    same(line(axes, "a session"), hits)
    same(line(axes, "20 sessions"), hits.rolling(20).mean())
    level = next(each for each in axes.lines if each.get_label() == "validation part")
    then = pd.DataFrame(
        {"day": validation.session, "hit": (validation.predicted[:, 1] > 0.5) == validation.truth}
    )
    assert level.get_ydata()[0] == pytest.approx(then.groupby("day")["hit"].mean().mean())
    assert axes.yaxis.get_major_formatter()(0.5) == "50 %"


def test_calibration_then_and_now_are_told_apart(outcomes):
    validation, recent = outcomes
    upper, lower = drift_figures.calibration_then_and_now(validation, recent).axes
    points = {each.get_label(): each.get_offsets() for each in upper.collections}
    for name, part in (("validation part", validation), ("newest", recent)):
        bins = np.ceil(part.predicted[:, 1] * 10)
        table = pd.DataFrame({"bin": bins, "said": part.predicted[:, 1], "came": part.truth})
        means = table.groupby("bin")[["said", "came"]].mean()
        np.testing.assert_allclose(points[name], means)
    heights = [bar.get_height() for bar in lower.patches]
    assert sum(heights) == pytest.approx(2.0)  # each period's bars are all of it
    assert keys(upper)["newest"] == to_rgba(canvas.BLUE)


def test_ticks_have_the_digits_that_they_need():
    _, (axes,) = canvas.canvas("x")
    canvas.in_percent(axes.yaxis)
    write = axes.yaxis.get_major_formatter()
    assert [write(tick) for tick in (0.0025, -0.00125, 0.1)] == ["0.25 %", "-0.125 %", "10 %"]


def test_the_axis_of_a_penny_share_is_not_all_zero():
    close = pd.Series(np.geomspace(0.002, 0.9, 300), pd.bdate_range("2020-01-01", periods=300))
    upper = market_figures.price_and_returns("PENNY", close).axes[0]
    low, high = upper.get_ylim()
    ticks = [tick for tick in upper.get_yticks() if low < tick < high]
    for tick in ticks:
        assert float(upper.yaxis.get_major_formatter()(tick).replace(",", "")) == pytest.approx(
            tick
        )


def test_more_folds_than_fit_are_dated_at_their_own_places(given):
    e = given.evaluations[DIRECTION.name]
    firsts = pd.date_range("2000-01-01", periods=40, freq="91D")
    rng = np.random.default_rng(0)
    many = pd.DataFrame(
        {
            "first": firsts,
            "last": firsts,
            "samples": 60,
            "score": rng.uniform(size=40),
            "baseline": rng.uniform(size=40),
            "difference": rng.normal(size=40),
        }
    )
    lower = model_figures.folds(replace(e, folds=many)).axes[1]
    for place, text in zip(lower.get_xticks(), labels(lower.xaxis), strict=True):
        assert text == f"{firsts[int(place)]:%Y-%m}"
