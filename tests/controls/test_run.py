"""The library under control: the small network passes, a leak and a sluggard do not."""

from dataclasses import replace

import pandas as pd
import pytest

from rnntrade.controls.markets import CONTROLS
from rnntrade.controls.run import VERSIONS, run_control, run_controls
from rnntrade.features.indicators import ticker_features

pytestmark = pytest.mark.filterwarnings("ignore:Series.values returning")  # exchange_calendars' own
MODEL, TRAINING = VERSIONS["fast"]
BRIEF = replace(MODEL, max_epochs=3)


def next_return(bars: pd.DataFrame, names: tuple[str, ...]) -> pd.DataFrame:
    """The target itself, under the name of a feature."""
    return ticker_features(bars, names).shift(-1)


def centred_mean(bars: pd.DataFrame, names: tuple[str, ...]) -> pd.DataFrame:
    """A smoother window that looks a single session ahead."""
    return ticker_features(bars, names).rolling(3, center=True).mean()


@pytest.mark.soak
def test_the_small_network_passes_all_controls():
    report = run_controls("fast", workers=1)
    assert report.passed, report.table
    assert [row.control for row in report.rows] == list(CONTROLS)
    assert all(len(row.results) == 5 for row in report.rows)


@pytest.mark.parametrize("leak", [next_return, centred_mean])
@pytest.mark.parametrize("name", ["P1", "N1", "N4"])
def test_a_network_that_reads_the_target_breaks_the_ceiling(name: str, leak):
    result = run_control(name, BRIEF, TRAINING, 0, features=leak)
    assert result.verdict == "leak"
    assert result.accuracy > result.ceiling > result.best


def test_a_network_that_learns_nothing_misses_the_edge():
    sluggish = replace(TRAINING, learning_rate=1e-12)
    result = run_control("P1", replace(MODEL, max_epochs=1), sluggish, 0)
    assert result.verdict == "missed"
    assert result.captured is not None
    assert result.captured < 0.3


def test_a_real_drift_does_not_trip():
    result = run_control("N4", BRIEF, TRAINING, 4)
    assert result.best > 0.55  # so often up; 0.54 would break the ceiling of a coin
    assert result.verdict == "quiet"


@pytest.mark.soak
def test_the_number_of_processes_changes_no_figure():
    alone, beside = (
        run_controls("fast", workers, names=("P1", "N3"), seeds=(0,)) for workers in (1, 2)
    )
    assert alone == beside
    assert all(row.passed for row in alone.rows if row.results), (
        alone.table
    )  # the others did not run
