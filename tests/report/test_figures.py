import io
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgba
from PIL import Image

from rnntrade.evaluation.models import ModelEvaluation
from rnntrade.report import canvas, market_figures, model_figures, strategy_figures
from rnntrade.types import STATES, Epoch
from tests.configs import DIRECTION, REGIME
from tests.report.builder import fit

DAYS = pd.bdate_range("2020-01-01", periods=253)


def title(figure):
    return figure.texts[0].get_text()


@pytest.fixture
def evaluation():
    return ModelEvaluation(
        name="LSTM",
        task="regime",
        horizon=20,
        score_name="accuracy",
        score=0.42,
        validation_score=0.5,
        best_baseline="markov_chain",
        baseline_score=0.48,
        difference=-0.06,
        interval=(-0.1, -0.02),
        narrow_interval=(-0.09, -0.03),
        confidence=0.95,
        p_value=0.99,
        attempts=1,
        verdict="loses to markov chain",
        sentence="",
        samples=100,
        sessions=100,
        smallest_edge=0.04,
        power="",
        scores=pd.DataFrame({"accuracy": {"LSTM": 0.42, "markov_chain": 0.48}}),
        classes=None,
        confusion=None,
        steps=None,
        coverage=None,
        folds=pd.DataFrame(),
        seeds=None,
        tests=pd.DataFrame(),
        reliability=None,
    )


def test_prices_tell_growth_and_the_worst_session():
    close = pd.Series(100.0 * 1.001 ** np.arange(253), DAYS)
    close.iloc[100:] *= 0.9
    growth = 1.001**252 * 0.9 - 1
    assert title(market_figures.price_and_returns("SPY", close)) == (
        f"SPY: CAGR {100 * growth:+.1f} %, worst session -9.9 % on {DAYS[100]:%Y-%m-%d}"
    )


def test_regimes_tell_their_shares_and_the_last_one():
    close = pd.Series(100.0, DAYS[:8])
    regime = pd.Series([np.nan, np.nan, 2, 2, 2, 0, 0, 2], DAYS[:8])
    assert title(market_figures.price_by_regime("SPY", close, regime)) == (
        "SPY: Bull 67 %, Bear 33 % of sessions; Bull on 2020-01-10"
    )


def test_indicators_draw_what_there_is():
    close = pd.Series(np.linspace(100, 120, 253), DAYS)
    features = pd.DataFrame({"rsi": 0.2, "volatility_20": 0.123}, DAYS)
    figure = market_figures.indicators("SPY", close, features)
    assert len(figure.axes) == 3
    assert title(figure) == f"SPY on {DAYS[-1]:%Y-%m-%d}: RSI 70, volatility 12 % a year"
    bare = market_figures.indicators("SPY", close, pd.DataFrame({"returns": 0.0}, DAYS))
    assert title(bare).endswith("close 120.00")


@pytest.mark.parametrize(
    ("verdict", "text"),
    [
        ("evidence", "LSTM: evidence, 0.420 against 0.480 of markov chain"),
        ("no evidence", "LSTM: no evidence, 0.420 against 0.480 of markov chain"),
    ],
)
def test_titles_say_the_verdict(evaluation, verdict, text):
    assert model_figures.compared(replace(evaluation, verdict=verdict)) == text


def test_learning_curves_find_the_best_epoch():
    history = tuple(
        Epoch(n, 1e-3, 2.0 - n, loss, 0.5, 0.5) for n, loss in ((0, 1.0), (1, 0.5), (2, 0.6))
    )
    one = replace(fit(REGIME, 0, np.random.default_rng(0)), history=history, best=1)
    assert title(model_figures.learning_curves("LSTM", [one])) == (
        "LSTM: best epoch 2; validation loss +20.0 % by epoch 3"
    )
    last = replace(one, history=history[:2])
    assert title(model_figures.learning_curves("LSTM", [last])) == (
        "LSTM: validation loss was lowest at the last epoch, 2"
    )
    assert title(model_figures.learning_curves("LSTM", [one, replace(one, best=2), one])) == (
        "LSTM: 3 fits, best epochs 2 to 3 (median 2)"
    )


def test_many_fits_are_drawn_as_few_artists():
    many = [fit(REGIME, fold, np.random.default_rng(fold)) for fold in range(45)]
    figure = model_figures.learning_curves("LSTM", many)
    for axes in figure.axes:
        assert len(axes.get_children()) < 25
        assert [len(lines.get_segments()) for lines in axes.collections] == [45, 45]


def test_ticks_in_percent_are_never_rounded_to_what_they_are_not():
    _, (axes,) = canvas.canvas("x")
    canvas.in_percent(axes.yaxis)
    write = axes.yaxis.get_major_formatter()
    assert [write(tick) for tick in (-0.025, 0.0, 0.05, 0.29)] == ["-2.5 %", "0 %", "5 %", "29 %"]


def test_statistical_states_have_their_own_names():
    close = pd.Series(100.0, DAYS[:4])
    figure = market_figures.price_by_regime(
        "SPY", close, pd.Series([0.0, 1, 1, 1], DAYS[:4]), STATES[2]
    )
    assert title(figure) == "SPY: Turbulent 75 %, Calm 25 % of sessions; Turbulent on 2020-01-06"
    legend = figure.axes[0].get_legend().get_texts()
    assert [text.get_text() for text in legend] == ["Calm", "Turbulent"]


def test_a_session_has_the_colour_of_its_own_regime():
    close = pd.Series([1.0, 2, 3, 4, 5], DAYS[:5])
    regime = pd.Series([np.nan, 2, 2, 0, 2], DAYS[:5])
    figure = market_figures.price_by_regime("SPY", close, regime)
    lines = figure.axes[0].collections[0]
    heights = [list(segment[:, 1]) for segment in lines.get_segments()]
    assert heights == [[1, 2, 3], [3, 4], [4, 5]]
    bull, bear = (to_rgba(canvas.REGIME_COLOURS[code]) for code in (2, 0))
    assert [tuple(colour) for colour in lines.get_colors()] == [bull, bear, bull]


def test_the_fan_says_whether_the_truth_was_inside():
    history = pd.Series([100.0, 101.0], DAYS[:2])

    def fan(came):
        return title(
            model_figures.forecast_fan(
                "SPY",
                history,
                DAYS[2:4],
                np.array([0.01, 0.0]),
                np.array(came),
                np.array([0.02, 0.02]),
                0.9,
            )
        )

    start = "SPY after 2020-01-02: +1.0 % forecast over 2 sessions"
    assert fan([0.0, 0.0]) == f"{start}, +0.0 % realised (inside the 90 % interval)"
    assert fan([-0.02, 0.0]) == f"{start}, -2.0 % realised (outside the 90 % interval)"
    assert fan([np.nan, np.nan]) == start


def test_months_come_from_real_dates():
    monthly = pd.DataFrame(
        [[np.nan, 0.02, -0.031] + [np.nan] * 9], index=[2021], columns=range(1, 13)
    )
    assert title(strategy_figures.monthly_heat_map("S", monthly)) == (
        "S: 1 of 2 months gained; the worst lost 3.1 % in Mar 2021"
    )
    flat = strategy_figures.monthly_heat_map("S", monthly * 0)
    assert title(flat) == "S: 0 of 2 months gained, none lost"


def test_a_strategy_too_short_for_a_rolling_ratio_is_told_so():
    nothing = pd.Series(np.nan, DAYS[:10])
    assert "nothing to see" in title(strategy_figures.rolling_sharpe("S", nothing, nothing, 63))


def test_dollars_and_long_names_are_written_as_they_are():
    figure, _ = canvas.canvas("$a_1$ " + "long name " * 20)
    image = Image.open(io.BytesIO(canvas.png(figure)))
    assert image.size == (1056, 396)


def test_threads_draw_the_same_figure():
    close = pd.Series(np.linspace(100, 120, 253), DAYS)

    def draw(_):
        return canvas.png(market_figures.price_and_returns(DIRECTION.name, close))

    with ThreadPoolExecutor(4) as threads:
        assert len(set(threads.map(draw, range(8)))) == 1
