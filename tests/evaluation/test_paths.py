import math

import numpy as np
import pandas as pd
import pytest

from rnntrade.evaluation.paths import overfitting, path_ratios, stitch
from rnntrade.samples.combinatorial import choices, first_sessions, group_of, paths

DAYS = pd.bdate_range("2020-01-01", periods=12)


def predictions_of(groups: int, test_groups: int) -> pd.DataFrame:
    """Every fold's test part; the probability names the fold, so that a path can be read off it."""
    first = first_sessions(DAYS, groups)
    group = group_of(DAYS.to_numpy().astype("datetime64[ns]"), first)
    rows = [
        pd.DataFrame(
            {
                "fold": number,
                "ticker": ticker,
                "decision": DAYS[np.isin(group, chosen)],
                "p_up": number / 100 + offset,
            }
        )
        for number, chosen in enumerate(choices(groups, test_groups))
        for ticker, offset in (("A", 0.0), ("B", 0.5))
    ]
    return pd.concat(rows, ignore_index=True)


def test_paths_are_stitched_by_hand():
    """Three groups of four sessions, two judged: folds 0 (0, 1), 1 (0, 2), 2 (1, 2)."""
    table = predictions_of(3, 2)
    found = stitch(table, paths(3, 2), first_sessions(DAYS, 3))
    assert len(found) == 2
    assert found[0]["A"].tolist() == [0.0] * 8 + [0.01] * 4
    assert found[1]["A"].tolist() == [0.01] * 4 + [0.02] * 8
    assert found[1]["B"].tolist() == [0.51] * 4 + [0.52] * 8
    assert all(path.index.equals(pd.DatetimeIndex(DAYS, name="decision")) for path in found)


def test_every_prediction_is_on_exactly_one_path():
    table = predictions_of(6, 3)
    found = stitch(table, paths(6, 3), first_sessions(DAYS, 6))
    used = pd.concat(path.melt(ignore_index=False) for path in found)["value"].to_numpy()
    np.testing.assert_array_equal(np.sort(used), np.sort(table["p_up"].to_numpy()))


def test_a_ticker_without_a_decision_is_missing_there_only():
    table = predictions_of(3, 2)
    late = table[~((table["ticker"] == "B") & (table["decision"] < DAYS[6]))]
    found = stitch(late, paths(3, 2), first_sessions(DAYS, 3))
    for path in found:
        assert path["B"].isna().tolist() == [True] * 6 + [False] * 6
        assert path["A"].notna().all()


def test_a_path_with_a_hole_is_told():
    table = predictions_of(3, 2)
    with pytest.raises(ValueError, match="8 of 12 decisions"):
        stitch(table[table["fold"] != 1], paths(3, 2), first_sessions(DAYS, 3))


def test_ratios_by_hand():
    found = path_ratios([0.1, 0.3, -0.2, math.nan, 0.5], hold=0.3)
    assert (found.paths, found.undefined) == (5, 1)
    assert (found.lowest, found.highest) == (-0.2, 0.5)
    assert found.median == pytest.approx(0.2)
    assert found.lower_quartile == pytest.approx(0.025)  # 0.25 × 3 = 0.75 of the way to 0.1
    assert found.upper_quartile == pytest.approx(0.35)
    assert found.share_below == pytest.approx(2 / 5)  # equal is not below, nor is undefined


def test_nothing_ever_held_leaves_figures_undefined():
    found = path_ratios([math.nan, math.nan], hold=0.4)
    assert found.undefined == 2
    assert math.isnan(found.median)
    assert found.share_below == 0.0
    assert math.isnan(path_ratios([0.1], hold=math.nan).share_below)


def configurations(sessions: int, count: int, edge: float, seed: int) -> pd.DataFrame:
    """Noise, and one of them with an edge a session, in deviations."""
    noise = np.random.default_rng(seed).standard_normal((sessions, count)) * 0.01
    noise[:, 2] += edge * 0.01
    return pd.DataFrame(noise, index=pd.bdate_range("2010-01-01", periods=sessions))


def test_a_true_edge_is_not_overfitting_and_noise_is_inside_its_band():
    real = overfitting(configurations(1000, 8, 0.3, seed=1), draws=20)
    assert real.probability < 0.01
    assert real.probability < real.low
    assert (real.configurations, real.sessions) == (8, 1000)
    noise = [overfitting(configurations(300, 5, 0.0, seed), draws=20) for seed in range(4)]
    # each is inside 95 % of the time, so fewer than three of four are 1 % of the time
    assert sum(each.low <= each.probability <= each.high for each in noise) >= 3


def test_sessions_that_one_configuration_misses_are_left_out():
    table = configurations(200, 4, 0.0, seed=3)
    table.iloc[:10, 1] = np.nan
    assert overfitting(table, draws=2) == overfitting(table.iloc[10:], draws=2)


def test_too_little_to_tell_is_undefined():
    flat = configurations(200, 4, 0.0, seed=3) * np.array([0.0, 0.0, 1.0, 0.0])
    for table in (flat, configurations(31, 3, 0.0, seed=0), pd.DataFrame()):
        found = overfitting(table, draws=2)
        assert math.isnan(found.probability)
        assert found.configurations == table.shape[1]
