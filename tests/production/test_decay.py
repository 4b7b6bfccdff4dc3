import json
import math

import numpy as np
import pandas as pd
import pytest
from arch.bootstrap import StationaryBootstrap
from scipy.stats import t, ttest_ind

from rnntrade.config import ProductionConfig
from rnntrade.evaluation import classification
from rnntrade.objectives.lookup import objective_of
from rnntrade.production.decay import Outcomes, decay
from rnntrade.production.drift import Reference
from rnntrade.production.health import Check, Health, Observed, monitor
from rnntrade.report.canvas import png
from rnntrade.report.drift_figures import figures
from tests.configs import DIRECTION, FORECAST

CONFIG = ProductionConfig()
TICKERS = 3
NONE = np.empty((0, 2))


def lasting(rng: np.random.Generator, sessions: int, horizon: int) -> np.ndarray:
    """(T, 3) overlapping sums of noise that tickers share for two thirds, of variance 1."""
    length = sessions + horizon - 1
    drawn = rng.normal(size=(length, 1)) * 0.8 + rng.normal(size=(length, TICKERS)) * 0.6
    total = np.vstack([np.zeros((1, TICKERS)), drawn.cumsum(axis=0)])
    return (total[horizon:] - total[:-horizon]) / math.sqrt(horizon)


def calls(
    seed: int, sessions: int, skill: float = 1.0, horizon: int = 1, start: str = "2022-01-03"
) -> Outcomes:
    """Probabilities of a rise, and rises that go by them as far as `skill` says."""
    rng = np.random.default_rng(seed)
    said = 1.0 / (1.0 + np.exp(-lasting(rng, sessions, horizon)))
    luck = lasting(rng, sessions, horizon)
    rose = luck < 0.8 * skill * (said - 0.5) * 2.0
    days = pd.bdate_range(start, periods=sessions).to_numpy()
    up = said.ravel()
    return Outcomes(
        np.repeat(days, TICKERS), np.column_stack([1.0 - up, up]), rose.ravel() * 1.0, horizon
    )


def moves(seed: int, sessions: int, skill: float, louder: float = 1.0) -> Outcomes:
    """Forecasts of two sessions, of which a part comes."""
    rng = np.random.default_rng(seed)
    said = rng.normal(size=(sessions, 2)) * 0.01
    truth = (skill * said + rng.normal(size=(sessions, 2)) * 0.01) * louder
    days = pd.bdate_range("2022-01-03", periods=sessions).to_numpy()
    return Outcomes(days, said * louder, truth, 2)


# What is measured -------------------------------------------------------------------------------


def test_scores_by_hand():
    two = Outcomes(
        np.array(["2024-01-03", "2024-01-02", "2024-01-03"], dtype="datetime64[ns]"),
        np.array([[0.4, 0.6], [0.9, 0.1], [0.7, 0.3]]),
        np.array([1.0, 1.0, 1.0]),
        1,
    )
    assert two.hits().tolist() == [0.0, 0.5]  # of 2024-01-02, of 2024-01-03
    assert two.squared_errors().tolist() == pytest.approx([0.81, (0.16 + 0.49) / 2])
    assert not two.forecasts
    returns = Outcomes(
        two.session[:1], np.array([[0.01, -0.02]]), np.array([[0.02, -0.02]]), horizon=2
    )
    assert returns.squared_errors().tolist() == pytest.approx([0.5e-4])
    assert returns.squared_moves().tolist() == pytest.approx([4e-4])


def test_brier_scores_are_those_of_the_evaluation():
    rng = np.random.default_rng(0)
    for classes in (2, 4):
        said = rng.dirichlet(np.ones(classes), 50)
        truth = rng.integers(0, classes, 50).astype(float)
        days = pd.bdate_range("2024-01-01", periods=50).to_numpy()
        found = Outcomes(days, said, truth, 1).squared_errors().mean()
        assert found == pytest.approx(classification.scores(truth, said)["brier"])


def test_rows_of_predictions_are_read():
    days = pd.bdate_range("2024-01-01", periods=2)
    rows = pd.DataFrame({"decision": days, "p_up": [0.6, 0.2], "truth": [1.0, 0.0]})
    read = Outcomes.of(rows, objective_of(DIRECTION))
    assert read.predicted.tolist() == [[0.4, 0.6], [0.8, 0.2]]
    assert read.hits().tolist() == [1.0, 1.0]
    steps = {f"{name}_{k}": [0.01 * k, 0.0] for name in ("r", "truth") for k in range(1, 6)}
    forecast = Outcomes.of(pd.DataFrame({"decision": days, **steps}), objective_of(FORECAST))
    assert forecast.forecasts
    assert forecast.horizon == 5
    assert forecast.squared_errors().tolist() == [0.0, 0.0]


# Decay ------------------------------------------------------------------------------------------


def test_skill_that_is_gone_is_found_and_lasting_skill_is_not():
    before, gone = calls(1, 250), calls(2, 60, skill=-1.0)
    hits, brier = decay("hit rate", before, gone), decay("calibration", before, gone)
    assert (hits.before, hits.now) == (before.hits().mean(), gone.hits().mean())
    assert hits.sessions == 60
    assert max(hits.p_value, brier.p_value) < 0.01
    same = calls(3, 60)
    assert min(decay(name, before, same).p_value for name in ("hit rate", "calibration")) > 0.05
    # and better is no decay
    assert decay("hit rate", gone, calls(1, 60)).p_value > 0.9
    assert decay("calibration", calls(2, 250, -1.0), calls(1, 60)).p_value > 0.9


def test_forecasts_decay_as_a_share_of_what_moved():
    before = moves(1, 250, skill=1.0)
    louder = decay("forecast error", before, moves(2, 60, skill=1.0, louder=3.0))
    assert louder.p_value > 0.05  # nine times the squared error, and the same share
    assert louder.now == pytest.approx(louder.before, abs=0.1)
    gone = decay("forecast error", before, moves(2, 60, skill=0.0))
    assert gone.p_value < 1e-4
    saved = before.squared_errors().mean() / before.squared_moves().mean()
    assert gone.before == pytest.approx(saved)


def test_p_is_near_student_s_for_long_independent_periods():
    before, now = calls(4, 2000), calls(5, 2000, skill=0.95)
    reference = ttest_ind(now.hits(), before.hits(), alternative="less").pvalue
    assert 0.001 < reference < 0.9
    assert decay("hit rate", before, now).p_value == pytest.approx(reference, abs=0.06)


@pytest.mark.parametrize("wild", ["before", "now"])
def test_p_agrees_with_drawing_blocks_of_the_period_that_varies_more(wild):
    quiet, loud = calls(1, 250, horizon=5), calls(2, 250, skill=0.9, horizon=5)
    calm = 0.5 + 0.2 * (quiet.predicted - 0.5)
    quiet = Outcomes(quiet.session, calm, quiet.truth, 5)  # whose Brier scores vary less
    before, now = (loud, quiet) if wild == "before" else (quiet, loud)
    series = loud.squared_errors().to_numpy()
    blocks = 250 / 10  # twice the horizon
    draws = StationaryBootstrap(10, series, seed=0).bootstrap(20_000)
    variance = np.var([data[0].mean() for data, _ in draws]) * blocks / (blocks - 2.0)
    rise = now.squared_errors().mean() - before.squared_errors().mean()
    expected = t.sf(rise / math.sqrt(2.0 * variance), blocks - 1.0)
    assert decay("calibration", before, now).p_value == pytest.approx(expected, abs=0.004)
    assert 0.001 < expected < 0.999


@pytest.mark.parametrize("horizon", [1, 5, 20])
def test_a_model_that_stays_the_same_decays_no_more_often_than_stated(horizon):
    found = []
    for seed in range(200):
        whole = calls(seed, 310, horizon=horizon)
        first = np.arange(310 * TICKERS) < 250 * TICKERS
        before, now = (
            Outcomes(whole.session[part], whole.predicted[part], whole.truth[part], horizon)
            for part in (first, ~first)
        )
        found.append([decay(name, before, now).p_value for name in ("hit rate", "calibration")])
    rejected = (np.array(found) < 0.05).mean(axis=0)
    assert (rejected <= 0.05 + 3.0 * math.sqrt(0.05 * 0.95 / 200)).all()
    assert not np.isnan(found).any()


def test_tickers_that_say_the_same_are_worth_one():
    alone, now = calls(1, 250), calls(2, 60, skill=0.6)
    thrice = [
        Outcomes(
            np.repeat(o.session, 3), np.repeat(o.predicted, 3, axis=0), np.repeat(o.truth, 3), 1
        )
        for o in (alone, now)
    ]
    assert decay("hit rate", thrice[0], thrice[1]).p_value == pytest.approx(
        decay("hit rate", alone, now).p_value
    )


@pytest.mark.parametrize(("before", "now"), [(250, 19), (19, 60), (40, 60)])
def test_too_few_sessions_tell_nothing(before, now):
    few = decay("hit rate", calls(1, before, horizon=20), calls(2, now, -1.0, horizon=20))
    assert math.isnan(few.p_value)
    assert math.isfinite(few.before)
    assert few.sessions == now


def test_scores_that_never_vary_tell_nothing():
    always = calls(1, 60)
    sure = Outcomes(always.session, always.predicted, always.predicted.argmax(axis=1) * 1.0, 1)
    assert math.isnan(decay("hit rate", sure, sure).p_value)


# Health -----------------------------------------------------------------------------------------


def checked(shift: float, validation, recent, *others: Check) -> Health:
    reference, rows = reference_and_rows(shift)
    return monitor(reference, Observed(rows, validation, recent), CONFIG, others)


def reference_and_rows(shift: float) -> tuple[Reference, np.ndarray]:
    rng = np.random.default_rng(0)
    reference = Reference.of(rng.normal(size=(600, 2)), ("a", "b"), np.arange(600), CONFIG)
    rows = rng.normal(size=(60, 2))
    return reference, rows + np.array([0.0, shift])


def test_all_is_well():
    health = checked(0.0, calls(1, 250), calls(3, 60))
    assert [(check.name, check.status) for check in health.checks] == [
        *(("input a", "ok"), ("input b", "ok"), ("hit rate", "ok"), ("calibration", "ok"))
    ]
    assert not health.drifted
    assert health.sentence == "no drift in 4 checks"


def test_what_drifted_is_told_with_its_figures():
    stale = Check("data", 3.0, 1.0, "unknown", "data: 3 sessions old")
    late = calls(2, 60, skill=-1.0)
    health = checked(4.0, calls(1, 250), late, stale)
    assert [check.status for check in health.checks] == [
        *("ok", "drifted", "drifted", "drifted", "unknown")
    ]
    assert health.drifted
    shown = health.checks[1]
    assert shown.value > shown.limit >= CONFIG.drift_psi
    assert health.sentence.startswith(
        f"drift in 3 of 4 checks: input b: stability index {shown.value:.2f}, usual up to "
        f"{shown.limit:.2f}; "
    )
    hits = 100 * late.hits().mean()
    assert f"hit rate: {hits:.1f} % over 60 sessions" in health.sentence
    assert health.sentence.endswith("; not known: data")
    told = json.loads(json.dumps(health.to_json(), allow_nan=False))
    assert told["drifted"] is True
    assert told["checks"][4] == {
        "name": "data",
        "value": 3.0,
        "limit": 1.0,
        "status": "unknown",
        "sentence": "data: 3 sessions old",
        "unit": "",
        "p_value": None,
        "wanted": "≤ 1.000",
    }


def test_what_is_not_known_is_no_drift():
    reference, _ = reference_and_rows(0.0)
    health = monitor(reference, Observed(NONE, calls(1, 250), calls(2, 10, -1.0)), CONFIG)
    assert {check.status for check in health.checks} == {"unknown"}
    assert not health.drifted
    assert health.sentence == (
        "no drift in 0 checks; not known: input a, input b, hit rate, calibration"
    )
    json.dumps(health.to_json(), allow_nan=False)
    assert monitor(reference, Observed(NONE, None, None), CONFIG).checks == health.checks[:2]
    assert Health(()).sentence == "no drift in 0 checks"


def test_forecasts_are_judged_by_their_errors_alone():
    health = checked(0.0, moves(1, 250, 1.0), moves(2, 60, 0.0))
    assert [(check.name, check.status) for check in health.checks[2:]] == [
        ("forecast error", "drifted")
    ]


# Figures ----------------------------------------------------------------------------------------


def test_figures_show_what_drifted():
    table = pd.DataFrame(
        {
            "feature": ["calm", "wild", "new"],
            "psi": [0.1, 3.0, 0.5],
            "limit": [0.25, 1.0, math.nan],
            "out_of_range": [0.0, 0.3, 0.0],
            "drifted": [False, True, False],
        }
    )
    late = calls(2, 60, skill=-1.0)
    drawn = figures(table, calls(1, 250), late)
    assert list(drawn) == ["input_drift", "calibration_then_and_now", "hit_rate"]
    written = [
        text.get_text()
        for figure in drawn.values()
        for text in [*figure.texts, *(each for axes in figure.axes for each in axes.texts)]
    ]
    assert "1 of 3 inputs have drifted: wild" in written
    assert "3.00 of 1.00, 30 % outside" in written
    assert "0.50 of ?" in written
    assert any(text.startswith(f"{100 * late.hits().mean():.1f} % right in") for text in written)
    assert all(png(figure).startswith(b"\x89PNG") for figure in drawn.values())
    assert list(figures(table)) == ["input_drift"]
    assert list(figures(table, moves(1, 250, 1.0), moves(2, 60, 1.0))) == ["input_drift"]
