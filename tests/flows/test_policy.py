"""A policy lived through day by day is the walk-forward backtest, row for row."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from flows.policy import backtest_policy
from flows.run import run
from rnntrade.config import find_experiment, override
from rnntrade.errors import ConfigError
from tasks.refs import read_manifest
from tests.homes import lean

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_server")]

DEBUG = find_experiment("debug")
EXPERIMENT = override(
    replace(DEBUG, models=DEBUG.models[2:3]),  # the one whose policy is asked for
    {
        "split.kind": "walk_forward",
        "split.train_sessions": "500",
        "split.test_sessions": "129",
        "trading.dead_band": "0",
        "trading.sizing": "confidence",  # a new size every day
        "trading.regime_filter": "half",
        "members": "2",
        "audit.replayed": "2",
    },
)


@pytest.fixture(scope="module")
def lived(prefect_server, tmp_path_factory):
    """The rows of two policies, and the backtests of the walk-forward run."""
    home = tmp_path_factory.mktemp("policy")
    with pytest.MonkeyPatch.context() as patch, lean():
        patch.setenv("RNNTRADE_HOME", str(home))
        rows = backtest_policy(EXPERIMENT, ["every_129", "never"])
        summary = run(EXPERIMENT)
        refs = read_manifest(home / "artifacts" / "runs" / f"{summary.mlflow_run}.json")
        books = [ref.folder for ref in refs if ref.step == "backtests"]
        yield rows, books


def table(folder: Path, name: str) -> pd.DataFrame:
    return pd.read_parquet(folder / f"{name}.parquet")


def test_the_simulated_history_equals_the_walk_forward_backtest_row_for_row(lived):
    rows, books = lived
    mine = table(Path(rows[0].folder), "probability")
    (book,) = books
    pd.testing.assert_frame_equal(
        mine, table(book, "probability"), check_exact=True, check_names=False
    )
    assert len(mine) == 757 - 500
    pd.testing.assert_frame_equal(
        table(Path(rows[0].folder), "target"),
        table(book, "target"),
        check_exact=True,
        check_names=False,
    )
    assert table(book, "target").nunique().min() > 100
    assert (rows[0].retrainings, rows[0].replaced) == (2, 2)


def test_never_follows_the_first_model_to_the_end(lived):
    rows, _ = lived
    every, never = (table(Path(row.folder), "probability") for row in rows)
    assert rows[1].retrainings == 1
    assert np.array_equal(every.iloc[:129].to_numpy(), never.iloc[:129].to_numpy(), equal_nan=True)
    assert (every.iloc[129:] != never.iloc[129:]).to_numpy().mean() > 0.9
    assert rows[0].difference == 0.0
    assert rows[1].difference is not None


@pytest.mark.soak
def test_through_the_gate_a_first_model_stays_unless_something_is_better(prefect_server, home):
    gated = override(EXPERIMENT, {"members": "1", "production.evaluation_sessions": "63"})
    with lean():
        (row,) = backtest_policy(gated, ["every_126"], gate=True)
    assert row.retrainings == 3
    assert 1 <= row.replaced <= 3
    events = pd.read_parquet(Path(row.folder) / "retrainings.parquet")
    assert events["replaced"].iloc[0]
    assert row.replaced == events["replaced"].sum()


def test_an_unknown_policy_is_told(prefect_server, home):
    with pytest.raises(ConfigError, match="no retraining policy 'weekly'"):
        backtest_policy(EXPERIMENT, ["weekly"])
