"""Every mistake that a user can make: one clear line, an exit code, nothing damaged."""

import logging
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from flows.cli import app
from tasks.home import artifacts_folder

pytestmark = pytest.mark.usefixtures("prefect_server")
OHLC = ("open", "high", "low", "close")
SHAPE = ("--start", "2018-01-01", "--end", "2020-12-31")


@pytest.fixture
def folder(tmp_path, prices, tracked) -> Path:
    """One good file, that each test spoils in its own way."""
    place = tmp_path / "prices"
    place.mkdir()
    prices.bars("WHOLE").drop(columns="raw_close").to_csv(place / "GOOD.csv")
    return place


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    """The runner swaps standard error, which Prefect's handler then writes to after its end."""
    monkeypatch.setattr(logging, "raiseExceptions", False)


def told(*arguments: str) -> tuple[int, str]:
    """Exit code and the error line of a command, which must not show a traceback."""
    result = CliRunner().invoke(app, list(arguments))
    lines = [line for line in result.stderr.splitlines() if line.startswith(("error:", "Usage"))]
    assert result.exit_code != 0, result.output
    assert "Traceback" not in result.stderr
    assert isinstance(result.exception, SystemExit)
    return result.exit_code, lines[-1] if lines else result.output


def spoil(folder: Path, change) -> tuple[int, str]:
    table = pd.read_csv(folder / "GOOD.csv")
    change(table).to_csv(folder / "BAD.csv", index=False)
    return told("run", "debug", "--folder", str(folder), "--tickers", "GOOD,BAD", *SHAPE)


def with_value(column: str, row: int, value: float):
    def change(table: pd.DataFrame) -> pd.DataFrame:
        table.loc[row, column] = value
        return table

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: pd.concat([t, t.iloc[[5]]]), ["BAD", "2018-01-08", "more than one bar"]),
        (with_value("close", 10, -1.0), ["BAD", "2018-01-15", "above 0"]),
        (with_value("close", 10, np.nan), ["BAD", "close", "2018-01-15"]),
        (
            lambda t: t.assign(open=5.0, high=5.0, low=5.0, close=5.0),
            ["BAD", r"5 in all \d+ sessions"],
        ),
        (lambda t: t.drop(columns="close"), ["BAD.csv", "close"]),
        (with_value("volume", 3, -5.0), ["BAD", "volume"]),
    ],
    ids=["duplicate", "negative", "nan", "constant", "columns", "volume"],
)
def test_wrong_prices_are_told_by_ticker_cause_and_cure(folder, change, words):
    import re

    _, line = spoil(folder, change)
    for word in words:
        assert re.search(word, line), line
    assert "GOOD" not in line.replace("GOOD.csv", "") or "2020" in line


def test_a_file_that_is_not_parquet_is_told(folder):
    (folder / "BAD.parquet").write_text("not at all")
    _, line = told("run", "debug", "--folder", str(folder), "--tickers", "BAD", *SHAPE)
    assert "BAD.parquet" in line
    assert "Parquet" in line


def test_an_unknown_ticker_is_told_with_what_there_is(folder):
    _, line = told("run", "debug", "--folder", str(folder), "--tickers", "GOOF", *SHAPE)
    assert "GOOF" in line
    assert "GOOD" in line


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--start", "2020-01-01", "--end", "2019-01-01"), ("2020-01-01", "2019-01-01")),
        (("--start", "2030-01-01", "--end", "2031-01-01"), ("GOOD",)),
        (("--start", "2018-01-01", "--end", "2018-02-01"), ("session",)),
        (("--start", "yesterday"), ("data.start", "yesterday")),
    ],
    ids=["backwards", "empty", "short", "no date"],
)
def test_a_wrong_range_is_told(folder, arguments, words):
    _, line = told("run", "debug", "--folder", str(folder), "--tickers", "GOOD", *arguments)
    for word in words:
        assert word in line


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("run", "quik"), "Did you mean 'quick'"),
        (("run", "quick", "--set", "training.patiense=1"), "Did you mean 'patience'"),
        (("run", "quick", "--set", "training.patience"), "has no value"),
        (("run", "debug", "--device", "cuda"), "cuda"),
        (("run", "debug", "--spent"), "--open-holdout --spent"),
        (("run", "debug", "--source", "files"), "--folder"),
        (("run", "debug", "--source", "sample", "--tickers", "SPY"), "^GSPC"),
        (("run", "debug", "--set", "data.calendar=NYSEE"), "NYSEE"),
        (("run", "debug", "--set", "models.*.inputs=rsii"), "Did you mean 'rsi'"),
    ],
)
def test_a_wrong_choice_is_told_with_its_cure(tracked, arguments, words):
    _, line = told(*arguments)
    assert words in line


def test_a_bad_ticker_stores_nothing_and_leaves_the_good_ones(folder):
    spoil(folder, with_value("close", 10, -1.0))
    files = Path(os.environ["RNNTRADE_HOME"]).rglob("bars.parquet")
    stored = {path.parent.name for path in files}
    assert "ticker=BAD" not in stored
    assert not list(artifacts_folder().rglob(".*.tmp"))


def test_the_command_shows_one_line_and_no_traceback(folder):
    table = pd.read_csv(folder / "GOOD.csv")
    with_value("close", 10, -1.0)(table).to_csv(folder / "BAD.csv", index=False)
    command = [str(Path(sys.executable).with_name("rnntrade")), "run", "debug"]
    done = subprocess.run(
        [*command, "--folder", str(folder), "--tickers", "GOOD,BAD", *SHAPE],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "error: BAD: unusable prices" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_no_write_permission_is_told(folder, tmp_path, monkeypatch):
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    # root may write everywhere but where nobody may: among the kernel's own files
    place = Path("/sys/kernel") if os.geteuid() == 0 else locked
    monkeypatch.setenv("RNNTRADE_HOME", str(place / "rnntrade"))
    _, line = told("run", "debug", "--folder", str(folder), "--tickers", "GOOD", *SHAPE)
    assert "permi" in line
    assert "RNNTRADE_HOME" in line


def test_a_home_that_is_a_file_is_told(folder, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("RNNTRADE_HOME", str(tmp_path / "file"))
    _, line = told("run", "debug", "--folder", str(folder), "--tickers", "GOOD", *SHAPE)
    assert "RNNTRADE_HOME" in line
