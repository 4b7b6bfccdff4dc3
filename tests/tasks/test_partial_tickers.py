"""Tickers listed late or delisted early: each is used where it exists, and the others go on."""

from dataclasses import replace

import pandas as pd
import pytest

from rnntrade.config import LabelConfig
from rnntrade.errors import DataError
from rnntrade.types import Prices
from tasks.audit import audit
from tasks.data import partly_used
from tasks.steps import label_regimes
from tests.audit.made_run import MadeRun, make_run, small_experiment
from tests.conftest import made_up_bars

SESSIONS = pd.bdate_range("2018-01-01", periods=500, name="date")
TRADED = {  # rows of SESSIONS; the parts begin at 0, 320 and 400
    "WHOLE": slice(0, 500),
    "LATE": slice(410, 500),
    "GONE_TRAINING": slice(0, 200),
    "GONE_VALIDATION": slice(0, 390),
    "GONE_TEST": slice(0, 440),
    "FEW": slice(490, 500),
    "ONE": slice(499, 500),
    "SEALED": slice(500, 500),  # listed in sessions that are sealed
}


def experiment(**labels: object):
    small = small_experiment()
    return replace(
        small,
        data=replace(small.data, tickers=tuple(TRADED)),
        split=replace(small.split, kind="holdout", test_fraction=0.2, validation_fraction=0.2),
        labels=LabelConfig(**labels),
        members=1,
        audit=replace(small.audit, replayed=60),
    )


@pytest.fixture(scope="module")
def bars() -> Prices:
    return Prices.join(
        {
            ticker: made_up_bars(SESSIONS, seed).iloc[rows]
            for seed, (ticker, rows) in enumerate(TRADED.items())
        }
    )


@pytest.fixture(scope="module")
def made(bars, tmp_path_factory) -> MadeRun:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RNNTRADE_HOME", str(tmp_path_factory.mktemp("partial")))
        yield make_run(experiment(), bars)  # in this home until the module ends


def predicted(made: MadeRun, part: str) -> set[str]:
    table = made.models["many_to_one_lstm"].predictions.load().table
    return set(table.loc[table["part"] == part, "ticker"])


def test_a_ticker_is_judged_where_it_exists_by_what_the_others_taught(made):
    assert predicted(made, "test") == {"WHOLE", "LATE", "GONE_TEST"}
    assert predicted(made, "validation") == {"WHOLE", "GONE_VALIDATION", "GONE_TEST"}


def test_the_audit_of_such_a_run_is_clean(made):
    shown = (made.prices, made.features, made.labels, made.models)
    report = audit.fn(made.experiment, *shown).load()
    assert report.merged.findings == ()
    assert report.checks["replay"].compared >= 120


def test_every_ticker_used_in_part_is_a_warning_that_names_it_and_its_bars(made):
    windows = {name: refs.windows for name, refs in made.models.items()}
    found = {w.message.partition(":")[0]: w for w in partly_used(made.prices, made.labels, windows)}
    assert set(found) == set(TRADED) - {"WHOLE", "GONE_TEST"}
    late = found["LATE"]
    assert f"{SESSIONS[410]:%Y-%m-%d}" in late.message
    assert "trains no model in 1 of 1 folds" in late.message
    assert "data.tickers" in late.message
    assert late.until == f"{SESSIONS[499]:%Y-%m-%d}"
    for ticker in ("GONE_TRAINING", "GONE_VALIDATION"):
        assert "is not judged in 1 of 1 folds" in found[ticker].message
        assert "trains no model" not in found[ticker].message
    for ticker in ("FEW", "ONE", "SEALED"):
        assert "left out" in found[ticker].message


@pytest.mark.parametrize("kind", ["rule", "hmm", "jump"])
def test_a_ticker_without_a_training_part_has_no_regime_and_no_thresholds(made, kind):
    asked = experiment(kind=kind)
    labels = label_regimes.fn(made.prices, asked.labels, asked.split)
    regimes = labels[0].load().regimes
    assert regimes["LATE"].isna().all()
    assert regimes["WHOLE"].notna().any()


def test_expanding_thresholds_apply_to_a_late_ticker_once_it_has_a_past_of_its_own(made):
    asked = experiment(thresholds="expanding", min_sessions=30)
    labels = label_regimes.fn(made.prices, asked.labels, asked.split)
    late = labels[0].load().regimes["LATE"]
    assert late.loc[: SESSIONS[410 + 48]].isna().all()
    assert late.loc[SESSIONS[410 + 49] :].notna().all()


def test_where_no_ticker_has_enough_sessions_the_run_is_refused_in_one_line(made):
    asked = experiment()
    few = {"FEW": made.prices["FEW"], "ONE": made.prices["ONE"]}
    with pytest.raises(DataError, match="FEW, fold 0: the training part has no session"):
        label_regimes.fn(few, asked.labels, asked.split)
