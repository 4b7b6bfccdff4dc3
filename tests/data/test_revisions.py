"""What counts as revised, by hand; and which vintage is the one before."""

import logging
from datetime import UTC, date, datetime
from pathlib import Path

import pandas as pd
import pytest

from rnntrade.config import DataConfig
from rnntrade.data import archive
from rnntrade.data.archive import last_revision, revised_sessions
from rnntrade.data.store import update
from tests.conftest import made_up_bars

DAYS = pd.DatetimeIndex(["2024-01-02", "2024-01-03", "2024-01-04", "2024-01-05", "2024-01-08"])
NOW = datetime(2024, 1, 20, tzinfo=UTC)


@pytest.fixture
def bars() -> pd.DataFrame:
    return made_up_bars(DAYS, seed=1)


def revised(before: pd.DataFrame, after: pd.DataFrame) -> list[str]:
    changed = revised_sessions(before, after)
    return [f"{day:%m-%d}" for day in changed.index[changed]]


def test_a_dividend_that_scales_the_whole_history_is_no_revision(bars):
    scaled = bars.copy()
    scaled[["open", "high", "low", "close"]] *= 0.9871
    assert revised(bars, scaled) == []


def test_a_new_close_changes_two_returns_and_a_new_high_one_session(bars):
    closed, higher = bars.copy(), bars.copy()
    closed.loc["2024-01-03", ["open", "high", "low", "close"]] *= 1.001
    assert revised(bars, closed) == ["01-03", "01-04"]
    higher.loc["2024-01-04", "high"] *= 1.001
    assert revised(bars, higher) == ["01-04"]


def test_what_is_rounding_or_is_not_in_both_is_no_revision(bars):
    rounded = bars.round(4)
    assert revised(bars, rounded) == []
    assert len(revised_sessions(bars.iloc[:3], bars.iloc[1:])) == 2


def test_the_current_bars_are_held_against_those_fetched_last_before(bars, tmp_path, caplog):
    vendor, root = tmp_path / "vendor", tmp_path / "data"
    vendor.mkdir()
    config = DataConfig(
        source="files",
        tickers=("AAA",),
        start=date(2024, 1, 1),
        end=date(2024, 2, 1),
        folder=str(vendor),
    )

    def send(table: pd.DataFrame, day: int) -> None:
        table.to_csv(vendor / "AAA.csv")
        update(root, config, "AAA", NOW.replace(day=day))

    def found(until: str) -> tuple[int, int, str]:
        told = last_revision(root, "files", "AAA", pd.Timestamp(until))
        return told.sessions, told.revised, told.since[:10]

    send(bars.iloc[:4], 20)
    assert found("2024-01-08") == (0, 0, "")
    changed = bars.copy()
    changed.loc["2024-01-04", "low"] *= 0.99
    send(changed, 21)
    assert found("2024-01-08") == (4, 1, "2024-01-20")
    assert found("2024-01-03") == (2, 0, "2024-01-20")
    send(bars.iloc[:4], 22)  # as it was: that vintage has its first date, and is the current one
    assert found("2024-01-08") == (4, 1, "2024-01-21")

    for path in Path(archive.folder(root, "files", "AAA") / "vintages").glob("*.parquet"):
        path.write_bytes(b"no longer Parquet")
    with caplog.at_level(logging.WARNING, "rnntrade.data"):
        assert found("2024-01-08") == (0, 0, "")
    assert "is damaged" in caplog.text
