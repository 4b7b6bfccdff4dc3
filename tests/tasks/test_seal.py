"""The final holdout: no step sees it, it is opened once, and whoever looks is written down."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from flows.cli import app
from flows.run import run
from rnntrade.codec import load
from rnntrade.config import Experiment, find_experiment, override
from rnntrade.errors import SealError
from rnntrade.types import Predictions
from tasks.ledger.seal import Holdout, seal
from tasks.ledger.trials import note_fits
from tasks.refs import Ref, put
from tasks.steps import compute_indicators, fit_baselines, label_regimes, make_windows
from tasks.tracking.runs import RunIds, client
from tests.conftest import made_up_bars
from tests.homes import lean

DEBUG = find_experiment("debug")
SEALED = override(replace(DEBUG, models=DEBUG.models[:1]), {"split.sealed_sessions": 60})
OPEN_TO_ALL = override(SEALED, {"split.sealed_sessions": 0})
SESSIONS = pd.bdate_range("2018-01-01", periods=500, name="date")
FIRST = f"{SESSIONS[-60]:%Y-%m-%d}"


def by(letter: str) -> RunIds:
    return RunIds(experiment_id="0", parent=letter * 32, children={})


def bought(count: int = 500, spoil: bool = False) -> dict[str, Ref]:
    """Prices of two tickers, one of which did not trade on some of the sealed sessions."""
    refs = {}
    for number, ticker in enumerate("AB"):
        bars = made_up_bars(pd.bdate_range("2018-01-01", periods=600, name="date"), number)
        bars = bars.iloc[:count]
        if spoil:
            bars.loc[bars.index >= FIRST] *= 7.0
        if ticker == "B":
            bars = bars.drop(bars.index[460:463])
        refs[ticker] = put("prices", bars)
    return refs


def asked(
    experiment: Experiment = SEALED,
    *,
    run: str = "a",
    prices: dict[str, Ref] | None = None,
    opening: bool = False,
    spent: bool = False,
) -> Holdout:
    return seal.fn(by(run), experiment, prices or bought(), opening, spent)


def stepped(holdout: Holdout, experiment: Experiment) -> tuple[dict[str, Ref], list[Ref], Ref, Ref]:
    """Everything up to the predictions (of baselines: they see what networks see)."""
    model = experiment.models[0]
    features = {t: compute_indicators.fn(t, ref) for t, ref in holdout.prices.items()}
    split = (experiment.labels, experiment.split, holdout.test_from)
    labels = label_regimes.fn(holdout.prices, *split)
    windows = make_windows.fn(features, holdout.prices, labels, model)
    return (
        features,
        labels,
        windows,
        fit_baselines.fn("x", windows, model.task, model.horizon, 0),
    )


def noted(experiment: Experiment, run: str, prices: dict[str, Ref]) -> None:
    """Leave the trace of a run that has trained on these prices."""
    windows = {model.name: Ref("windows", run * 64) for model in experiment.models}
    note_fits.fn(by(run), experiment, prices, windows, 1)


def path(home: Path) -> Path:
    return home / "seals" / "seals.jsonl"


def events(home: Path) -> list[str]:
    return [json.loads(line)["event"] for line in path(home).read_text().splitlines()]


def test_sealed_sessions_reach_no_step(home):
    holdout = asked()
    assert (holdout.state, holdout.test_from) == ("sealed", "")
    assert FIRST in holdout.note
    features, labels, windows, predictions = stepped(holdout, SEALED)
    first = pd.Timestamp(FIRST)
    for ticker, ref in holdout.prices.items():
        expected = bought()[ticker]
        pd.testing.assert_frame_equal(ref.load(), expected.load()[: first - pd.Timedelta(days=1)])
        assert features[ticker].load().index[-1] < first
    assert labels[0].load().regimes.index[-1] < first
    samples, _ = windows.load().fold(0)
    assert max(samples.spans.decision) < np.datetime64(first)
    assert np.nanmax(samples.spans.label_end) < np.datetime64(first)
    table = predictions.load()
    assert table[["decision", "label_end"]].max().max() < first


def test_whatever_the_sealed_prices_are_every_step_gives_the_same_bytes(home):
    whole, spoilt = asked(), asked(prices=bought(spoil=True))
    assert whole.prices == spoilt.prices
    assert stepped(whole, SEALED) == stepped(spoilt, SEALED)


def test_without_a_seal_nothing_is_cut_off_and_nothing_written(home):
    prices = bought()
    assert asked(OPEN_TO_ALL, prices=prices) == Holdout(prices=prices)
    assert not path(home).exists()


def test_the_first_sealed_session_is_fixed_for_good(home):
    asked()
    for sessions, count in ((60, 600), (20, 500), (200, 500), (1, 500)):
        changed = override(SEALED, {"split.sealed_sessions": sessions})
        holdout = asked(changed, prices=bought(count))
        newest = max(ref.load().index[-1] for ref in holdout.prices.values())
        assert newest == SESSIONS[-61]
    assert events(home) == ["sealed"]


def test_runs_that_seal_at_once_agree_on_the_session(home):
    def bought_with(volume: float) -> dict[str, Ref]:
        return {"A": put("prices", bought()["A"].load().assign(volume=volume))}

    different = [bought_with(volume) for volume in (1.0, 2.0, 3.0, 4.0)]

    def last(number: int) -> pd.Timestamp:
        sealed = override(SEALED, {"split.sealed_sessions": 40 + number})
        return asked(sealed, prices=different[number]).prices["A"].load().index[-1]

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(last, range(4)))) == 1
    assert events(home) == ["sealed"]


def test_more_sessions_than_there_are_cannot_be_sealed(home):
    with pytest.raises(SealError, match="is 500, and there are only 500 sessions"):
        asked(override(SEALED, {"split.sealed_sessions": 500}))


def test_opened_the_test_part_is_the_sealed_sessions_and_nothing_else(home):
    asked()
    holdout = asked(opening=True)
    assert (holdout.state, holdout.test_from) == ("opened", FIRST)
    assert holdout.prices == bought()
    _, labels, windows, predictions = stepped(holdout, SEALED)
    assert len(labels) == 1
    samples, each = windows.load().fold(0)
    for ticker, ref in holdout.prices.items():
        judged = samples.spans[each.fold.test]
        sealed = ref.load().loc[FIRST:].index
        assert list(judged.decision[judged.ticker == ticker]) == list(sealed.to_numpy())
    learned = samples.spans[np.concatenate([each.fold.training, each.fold.validation])]
    assert max(learned.decision) < np.datetime64(FIRST)
    assert max(learned.label_end) <= np.datetime64(FIRST)  # known at the first decision judged
    table = predictions.load()
    assert set(table[table["decision"] >= FIRST]["part"]) == {"test"}
    assert set(table[table["decision"] < FIRST]["part"]) == {"validation"}


def test_another_look_is_refused_and_the_message_says_who_looked(home):
    asked(run="a", opening=True)
    other = override(SEALED, {"seed": 1})
    with pytest.raises(SealError, match=r"is spent: it was opened on \d{4}-\d\d-\d\d by run aaaa"):
        asked(other, run="b", opening=True)
    assert events(home) == ["sealed", "opened"]  # the refused one has seen nothing
    assert asked(other, run="b").state == "sealed"  # and may go on with the seal


def test_another_look_at_other_sessions_of_it_is_refused_too(home):
    asked(opening=True)
    with pytest.raises(SealError, match="is spent"):
        asked(prices=bought(501), opening=True)


def test_with_spent_it_opens_again_stamped_with_every_reason(home):
    asked(run="a", opening=True)
    again = asked(override(SEALED, {"seed": 1}), run="b", opening=True, spent=True)
    assert (again.state, again.test_from) == ("spent", FIRST)
    assert "by run aaaaaaaa" in again.note
    third = asked(override(SEALED, {"seed": 2}), run="c", opening=True, spent=True)
    assert "by run aaaaaaaa" in third.note
    assert "by run bbbbbbbb" in third.note


def test_the_very_same_run_may_look_again_whatever_others_did_later(home):
    asked(run="a", opening=True)
    faster = override(SEALED, {"compute.workers": 1})
    assert asked(run="b", opening=True).state == "opened"
    assert asked(faster, run="c", opening=True).state == "opened"
    other = override(SEALED, {"seed": 1})
    assert asked(other, run="d", opening=True, spent=True).state == "spent"
    assert asked(run="e", opening=True, spent=True).state == "opened"  # its answer came before
    assert asked(other, run="f", opening=True, spent=True).state == "spent"  # its answer, after


def test_a_run_without_the_seal_spends_it(tracked):
    asked()
    noted(OPEN_TO_ALL, "b", bought())
    with pytest.raises(SealError, match=r"run bbbbbbbb used these sessions on .* without the seal"):
        asked(run="c", opening=True)
    assert asked(run="c", opening=True, spent=True).state == "spent"


def test_runs_that_keep_the_seal_or_end_before_it_spend_nothing(tracked):
    noted(SEALED, "b", asked().prices)
    noted(OPEN_TO_ALL, "c", bought(440))
    assert asked(run="d", opening=True).state == "opened"


def test_what_an_opened_run_trained_is_no_look_by_stealth(tracked):
    noted(SEALED, "a", asked(run="a", opening=True).prices)
    assert asked(run="b", opening=True).state == "opened"


def test_opening_what_was_never_sealed_is_an_error(home):
    with pytest.raises(SealError, match="has no sealed holdout"):
        asked(OPEN_TO_ALL, opening=True)


def test_prices_that_end_before_the_seal_open_nothing_and_use_nothing_up(home):
    asked()
    with pytest.raises(SealError, match=f"begins on {FIRST}, and the prices end on"):
        asked(prices=bought(440), opening=True)
    assert events(home) == ["sealed"]
    assert asked(opening=True).state == "opened"


def test_a_line_cut_short_by_a_kill_is_left_out_and_the_next_one_stands_alone(home):
    prices = bought()
    asked(prices=prices, opening=True)
    whole = path(home).read_bytes()
    first = whole.index(b"\n") + 1
    for cut in range(first, len(whole) - 1, 5):
        path(home).write_bytes(whole[:cut])
        again = asked(override(SEALED, {"seed": 1}), run="b", prices=prices, opening=True)
        assert again.state == "opened"  # the killed one had not looked yet
        with pytest.raises(SealError, match="by run bbbbbbbb"):
            asked(prices=prices, opening=True)
    for cut in range(0, first - 1, 5):  # the seal itself was being written
        path(home).write_bytes(whole[:cut])
        assert asked(prices=prices).note.startswith(f"Sessions from {FIRST} on")
        assert asked(prices=prices, opening=True).state == "opened"


def test_other_data_have_a_seal_of_their_own(home):
    asked(opening=True)
    elsewhere = replace(SEALED, data=replace(SEALED.data, seed=1))
    assert asked(elsewhere, run="b", opening=True).state == "opened"
    assert events(home).count("sealed") == 2


def test_one_of_the_tickers_alone_is_sealed_too_and_spends_the_seal_of_all(home):
    asked()
    first, *_ = SEALED.data.tickers
    alone = replace(SEALED, data=replace(SEALED.data, tickers=(first,)))
    one = bought()
    assert asked(alone, run="b", prices=one).sealed_from == FIRST
    assert asked(alone, run="c", prices=one, opening=True).state == "opened"
    with pytest.raises(SealError, match=r"opened on .* by run c"):
        asked(run="d", opening=True)


@pytest.mark.slow
@pytest.mark.usefixtures("prefect_server")
def test_a_run_opens_once_and_judges_on_nothing_but_the_sealed_sessions(tracked):
    with lean():
        run_id = run(SEALED, open_holdout=True).mlflow_run
    assert client().get_run(run_id).data.tags["holdout"] == "opened"
    sealed = json.loads(path(tracked).read_text().splitlines()[0])["first"]
    for each in (tracked / "artifacts" / "predictions").iterdir():
        table = load(Predictions, each).table
        judged = table[table["part"] == "test"]["decision"]
        assert judged.min() == pd.Timestamp(sealed)
        assert judged.nunique() == 60
        assert table[table["part"] == "validation"]["decision"].max() < pd.Timestamp(sealed)

    again = ("run", "debug", "--json", "--open-holdout", "--set", "split.sealed_sessions=60")
    done = CliRunner().invoke(app, again)
    assert (done.exit_code, done.stdout) == (1, "")
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert f"from {sealed} on is spent" in line
    assert f"by run {run_id[:8]}" in line
    assert "Traceback" not in done.stderr
