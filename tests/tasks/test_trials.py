"""How often the same data was asked: noted before, never less, by two records."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rnntrade.config import DataConfig, Experiment, find_experiment, override
from rnntrade.evaluation.verdict import Trials
from rnntrade.types import Backtest, Books
from tasks.ledger import trials
from tasks.ledger.trials import Line, known_trials, markets, note_fits, note_strategies, read_lines
from tasks.refs import Ref, put
from tasks.steps import compute_indicators, label_regimes, make_windows
from tasks.tracking.runs import RunIds, client, tracked_run
from tests.conftest import PATIENCE, made_up_bars

DEBUG = find_experiment("debug")
TWO = replace(DEBUG, models=DEBUG.models[1:3])  # regime_lstm_h1, many_to_one_lstm
SESSIONS = pd.bdate_range("2018-01-01", periods=400, name="date")
NOBODY = RunIds(experiment_id="0", parent="a" * 32, children={})
WINDOWS = {model.name: Ref("windows", model.name * 9) for model in DEBUG.models}


pytestmark = pytest.mark.usefixtures("tracked")


def bought(sessions: pd.DatetimeIndex = SESSIONS, tickers: str = "AB") -> dict[str, Ref]:
    """Prices as the step `download_prices` leaves them."""
    refs = {}
    for number, ticker in enumerate(tickers):
        bars = made_up_bars(SESSIONS, number).reindex(sessions, method="ffill")
        refs[ticker] = put("prices", bars)
    return refs


def fits(experiment: Experiment = TWO, ids: RunIds = NOBODY, folds: int = 1) -> int:
    """Note an experiment's fits; return how many are known by then."""
    return len(note_fits.fn(ids, experiment, bought(), WINDOWS, folds).fits)


def asked_of_real_samples(experiment: Experiment) -> Trials:
    """Note the fits of samples as the steps before make them."""
    prices = bought()
    features = {ticker: compute_indicators.fn(ticker, ref) for ticker, ref in prices.items()}
    labels = label_regimes.fn(prices, experiment.labels, experiment.split)
    samples = {
        model.name: make_windows.fn(features, prices, labels, model) for model in experiment.models
    }
    return note_fits.fn(NOBODY, experiment, prices, samples, len(labels))


def path() -> Path:
    return trials.TRIALS.path


def test_every_fold_and_member_is_a_fit_and_every_model_an_attempt():
    found = note_fits.fn(NOBODY, replace(TWO, members=2), bought(), WINDOWS, 3)
    assert len(found.fits) == 2 * 2 * 3
    assert len(found.attempts) == 2
    line = read_lines(TWO.data)[0]
    assert (line.kind, line.model, line.run) == ("fit", "regime_lstm_h1", "a" * 32)
    assert line.until == f"{SESSIONS[-1]:%Y-%m-%d}"


def test_the_same_fits_again_are_the_same_trials():
    assert fits() == fits() == fits(ids=replace_parent("b")) == 2
    assert len(path().read_text().splitlines()) == 2


def replace_parent(letter: str) -> RunIds:
    return RunIds(experiment_id="0", parent=letter * 32, children={})


@pytest.mark.parametrize(
    ("change", "fits", "attempts"),
    [
        ({"seed": 1}, 4, 4),
        ({"training.learning_rate": 1e-2}, 4, 4),
        ({"models.many_to_one_lstm.hidden_size": 5}, 3, 3),
        ({"split.validation_fraction": 0.2}, 4, 4),
        ({"split.test_fraction": 0.25}, 4, 4),
        ({"labels.lookback": 15}, 3, 3),  # other regimes, the same directions
        ({"members": 2}, 4, 4),  # the first member is known; averaging it is another attempt
        ({"compute.workers": 1}, 2, 2),  # how long it takes is no question
        ({"trading.dead_band": 0.2}, 2, 2),  # no fit, but another strategy
        ({"report.bootstrap_draws": 100}, 2, 2),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_is_another_question_adds_and_nothing_else_does(change, fits, attempts):
    assert len(asked_of_real_samples(TWO).fits) == 2
    found = asked_of_real_samples(override(TWO, change))
    assert (len(found.fits), len(found.attempts)) == (fits, attempts)


def test_failed_and_killed_runs_count():
    with pytest.raises(ValueError, match="broken"), tracked_run(TWO) as ids:
        fits(ids=ids)
        raise ValueError("broken")
    with pytest.raises(KeyboardInterrupt), tracked_run(TWO) as ids:
        fits(replace(TWO, seed=1), ids)
        raise KeyboardInterrupt
    assert len(known_trials(TWO.data).fits) == 4
    path().unlink()  # MLflow alone knows them too
    assert len(known_trials(TWO.data).fits) == 4


def test_deleting_runs_lowers_nothing_and_neither_does_deleting_the_file():
    many = replace(TWO, members=300)  # more ids than one tag holds
    with tracked_run(many) as ids:
        fits(many, ids)
    before = known_trials(TWO.data)
    assert len(before.fits) == 600
    for run_id in (ids.parent, *ids.children.values()):
        client().delete_run(run_id)
    assert known_trials(TWO.data) == before
    path().unlink()
    assert known_trials(TWO.data) == before
    assert fits(replace(TWO, seed=1)) == 602


def test_a_deleted_experiment_lowers_nothing():
    with tracked_run(TWO) as ids:
        fits(ids=ids)
    client().delete_experiment(ids.experiment_id)
    path().unlink()
    assert len(known_trials(TWO.data).fits) == 2


def test_a_line_cut_short_by_a_kill_is_left_out_and_the_next_one_stands_alone():
    fits()
    whole = path().read_bytes()
    first = whole.index(b"\n") + 1
    for cut in range(first, len(whole)):
        path().write_bytes(whole[:cut])
        left = 1 if cut < len(whole) - 1 else 2  # only the line's end is missing
        assert len(read_lines(TWO.data)) == left
        trials.note([read_lines(TWO.data)[0].model_copy(update={"id": "new"})])
        assert [line.id for line in read_lines(TWO.data)][left:] == ["new"]


def test_threads_at_once_lose_nothing_and_note_nothing_twice(monkeypatch):
    read_all = trials._all_lines

    def read_slowly() -> list[Line]:
        lines = read_all()
        time.sleep(0.005)  # time enough for another to write in between, were it not locked out
        return lines

    monkeypatch.setattr(trials, "_all_lines", read_slowly)

    def note(number: int) -> None:
        shared = {"kind": "fit", "attempt": "x", "model": "m", "data": "", "until": "", "run": ""}
        shared["markets"] = markets(TWO.data)
        for each in range(10):
            line = Line(id=f"{number}-{each}", noted="", **shared)
            trials.note([line, line.model_copy(update={"id": "shared"})])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(note, range(8)))
    ids = [line.id for line in read_lines(TWO.data)]
    assert len(ids) == len(set(ids)) == 81


NOTE = """
import sys
from rnntrade.config import find_experiment
from tasks.ledger import trials
config = find_experiment("debug").data
shared = dict(kind="fit", attempt="x", model="m", data="", until="", run="", noted="")
shared["markets"] = trials.markets(config)
print("ready", flush=True)
sys.stdin.readline()
for number in range(50):
    trials.note([trials.Line(id=f"{sys.argv[1]}-{number}", **shared)])
"""


def test_processes_at_once_lose_nothing():
    started = [
        subprocess.Popen(
            [sys.executable, "-c", NOTE, name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ,
        )
        for name in "ab"
    ]
    for process in started:
        assert process.stdout.readline() == "ready\n"
    for process in started:
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in started:
        process.communicate(timeout=PATIENCE)
        assert process.returncode == 0
    assert len({line.id for line in read_lines(DEBUG.data)}) == 100


def test_one_more_session_still_counts_what_was_tried_before():
    fits()
    later = replace(TWO, data=replace(TWO.data, end=date(2022, 1, 4), start=date(2018, 1, 1)))
    longer = bought(pd.bdate_range("2018-01-01", periods=401, name="date"))
    newer = {name: Ref("windows", f"newer {name}" * 5) for name in WINDOWS}
    assert len(note_fits.fn(NOBODY, later, longer, newer, 1).fits) == 4


@pytest.mark.parametrize(
    ("other", "same"),
    [
        ({"tickers": ("BBB", "AAA")}, True),  # their order asks nothing new
        ({"calendar": "XLON"}, True),
        ({"tickers": ("AAA",)}, True),  # one of them: what was tried on both was tried on it
        ({"tickers": ("CCC",)}, False),
        ({"source": "yahoo"}, False),
        ({"seed": 1}, False),  # other made-up prices
        ({"process": "n1"}, False),
    ],
)
def test_what_was_tried_on_any_of_the_tickers_counts(other, same):
    fits()
    asked: DataConfig = replace(TWO.data, **other)
    assert len(known_trials(asked).fits) == (2 if same else 0)


def test_a_seed_of_made_up_prices_is_nothing_to_real_ones():
    real = replace(TWO.data, source="yahoo")
    assert markets(replace(real, seed=1, process="n1")) == markets(real)


def test_the_same_ticker_from_another_source_is_the_same_market():
    real = replace(TWO.data, source="yahoo", tickers=("SPY",))
    assert markets(real) == markets(replace(real, source="files", tickers=("spy",)))


def backtested(returns: list[float]) -> Ref:
    days = pd.bdate_range("2020-01-01", periods=len(returns), name="date")
    series, nothing = pd.Series(returns, days), pd.DataFrame(index=days)
    done = Backtest("close", 1.0, series, series, nothing, series, nothing, nothing)
    books = Books(nothing, nothing, nothing, done, done, done, {}, nothing, nothing)
    return put("backtests", books)


def test_what_strategies_earned_is_noted_once_and_its_spread_known():
    first = note_strategies.fn(
        NOBODY, TWO, bought(), {"m": backtested([0.01, 0.03]), "idle": backtested([0.0, 0.0])}
    )
    ratio = 0.02 / np.std([0.01, 0.03], ddof=1)  # a session's, by hand
    assert first.sharpes == pytest.approx([ratio])  # what never traded has none
    assert first.sharpe_variance == 0.0
    assert first.fits == ()
    second = note_strategies.fn(NOBODY, TWO, bought(), {"m": backtested([-0.01, 0.03])})
    worse = 0.01 / np.std([-0.01, 0.03], ddof=1)
    assert sorted(second.sharpes) == pytest.approx([worse, ratio])
    assert second.sharpe_variance == pytest.approx((ratio - worse) ** 2 / 2)
    assert note_strategies.fn(NOBODY, TWO, bought(), {"m": backtested([0.01, 0.03])}) == second


def test_the_risk_free_rate_is_taken_off_before():
    rich = override(TWO, {"backtest.risk_free_rate": 0.0252})
    found = note_strategies.fn(NOBODY, rich, bought(), {"m": backtested([0.01, 0.03])})
    excess = 0.02 - 0.0252 / 252
    assert found.sharpes == pytest.approx([excess / np.std([0.01, 0.03], ddof=1)], rel=1e-3)


def test_the_variance_leaves_out_what_is_not_a_number():
    assert Trials(sharpes=(1.0, float("nan"), 3.0)).sharpe_variance == 2.0
    assert Trials(sharpes=(1.0,)).sharpe_variance == 0.0


@pytest.mark.slow
@pytest.mark.usefixtures("prefect_server")
def test_killed_at_its_first_epoch_a_run_has_noted_every_fit_it_began(home):
    command = [str(Path(sys.executable).with_name("rnntrade")), "run", "debug"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ)
    assert process.stderr is not None
    assert any("epoch 1 of" in line for line in process.stderr)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    noted = known_trials(DEBUG.data)
    assert (len(noted.fits), len(noted.attempts)) == (5, 5)
    assert len(list((home / "artifacts" / "fits").glob("[!.]*"))) < 5  # most were never finished
    path().unlink()
    assert known_trials(DEBUG.data) == noted  # MLflow had been told before, too
