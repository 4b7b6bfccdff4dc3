import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnntrade.config import ProductionConfig
from rnntrade.features.indicators import INDICATORS
from rnntrade.production.drift import Reference, feature_drift, out_of_range, population_stability
from tests.production.inputs import RECENT, TRAINING, columns, inputs

CONFIG = ProductionConfig(drift_sessions=60)
NAMES = ("a", "b")


def described(rows, sessions=None, names=NAMES, config=CONFIG) -> Reference:
    days = np.arange(len(rows)) if sessions is None else sessions
    return Reference.of(rows, names, days, config)


# The index --------------------------------------------------------------------------------------


def test_the_index_by_hand():
    # (0.6 - 0.5) ln(0.6 / 0.5) + (0.4 - 0.5) ln(0.4 / 0.5)
    assert population_stability([0.5, 0.5], [0.6, 0.4]) == pytest.approx(0.0405465, abs=1e-7)
    # an empty bin counts as 0.0001: 0.4999 ln 5000 + 0.5 ln 2
    found = population_stability([0.5, 0.5], [0.0, 1.0])
    assert found == pytest.approx(0.4999 * math.log(5000) + 0.5 * math.log(2))
    assert population_stability([1.0, 0.0], [1.0, 0.0]) == 0.0


SHARES = st.lists(st.floats(0.0, 1.0), min_size=3, max_size=3).filter(lambda each: sum(each) > 0.1)


@given(SHARES, SHARES)
def test_the_index_is_symmetric_and_0_of_equal_shares_alone(first, second):
    own, other = (np.array(each) / sum(each) for each in (first, second))
    found = population_stability(own, other)
    assert found >= 0.0
    assert found == pytest.approx(population_stability(other, own), abs=1e-12)
    assert population_stability(own, own) == 0.0
    assert found > 0.0 or np.allclose(own, other, atol=2e-4)


def test_shares_of_other_bins_are_refused():
    with pytest.raises(ValueError, match="same bins"):
        population_stability([0.5, 0.5], [1.0])


# The reference ----------------------------------------------------------------------------------


def test_a_reference_by_hand():
    rows = np.column_stack([np.arange(1.0, 101.0), np.repeat([0.0, 1.0], 50)])
    reference = described(rows)
    assert reference.edges[0] == pytest.approx([10.9 + 9.9 * step for step in range(9)])
    assert reference.shares[0] == pytest.approx([0.1] * 10)
    assert reference.edges[1] == (0.0, 0.5, 1.0)
    assert reference.shares[1] == (0.5, 0.0, 0.5, 0.0)
    assert (reference.minimum, reference.maximum) == ((1.0, 0.0), (100.0, 1.0))
    assert reference.usual is None  # 100 sessions hold no five stretches of 60


def test_what_is_usual_is_the_largest_index_of_a_stretch_against_the_rest():
    rows = np.random.default_rng(1).normal(size=(330, 2))
    rows[100:160, 1] += 3.0
    shuffled = np.random.default_rng(2).permutation(330)
    reference = described(rows[shuffled], shuffled)
    expected = []
    for place in range(2):
        edges = [-np.inf, *reference.edges[place], np.inf]
        found = []
        for start in range(0, 271, 5):
            inside = np.zeros(330, dtype=bool)
            inside[start : start + 60] = True
            # a bin of numpy's holds its left edge, ours its right one
            counts = [np.histogram(-rows[part, place], np.negative(edges)[::-1])[0] for part in
                      (~inside, inside)]  # fmt: skip
            shares = [each / each.sum() for each in counts]
            found.append(population_stability(*shares, smallest=0.5 / 60))
        expected.append(max(found))
    assert reference.usual == pytest.approx(expected)
    assert expected[1] > 3.0 > expected[0]
    assert (reference.sessions, reference.rows) == (60, 60)


def test_tickers_of_a_session_are_one_session():
    rows = np.random.default_rng(1).normal(size=(400, 2))
    twice = described(np.repeat(rows, 2, axis=0), np.repeat(np.arange(400), 2))
    assert twice.rows == 120
    assert twice.sessions == 60
    # each value twice: the same shares, but an empty bin counts as half as much
    assert np.array(twice.usual) == pytest.approx(described(rows).usual, rel=0.2)


@pytest.mark.parametrize("rows", [np.ones((5, 3)), np.ones(5), np.ones((0, 2)), [[1.0, np.nan]]])
def test_rows_must_be_whole(rows):
    with pytest.raises(ValueError, match="rows"):
        described(np.asarray(rows))


# Drift ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def market() -> tuple[np.ndarray, Reference]:
    values = inputs(seed=3)
    return values, described(values[:TRAINING], names=INDICATORS)


def test_a_market_that_never_changes_is_above_the_plain_limit_and_has_not_drifted(market):
    values, reference = market
    table = feature_drift(reference, values[-RECENT:], CONFIG)
    assert list(table.columns) == ["feature", "psi", "limit", "out_of_range", "drifted"]
    assert tuple(table["feature"]) == INDICATORS
    assert (table["psi"] > CONFIG.drift_psi).any()
    assert not table["drifted"].any()


def test_a_changed_unit_a_shift_and_a_stuck_input_are_found(market):
    values, reference = market
    newest = values[-RECENT:].copy()
    newest[:, 0] *= 100.0
    newest[:, 3] += 3.0 * values[:TRAINING, 3].std()
    newest[:, 10] = newest[0, 10]
    table = feature_drift(reference, newest, CONFIG).set_index("feature")
    assert list(table.index[table["drifted"]]) == ["returns", "sma_20", "rsi"]
    assert table["out_of_range"]["returns"] > 0.5
    assert table["out_of_range"]["rsi"] == 0.0


def test_an_input_that_never_moved_drifts_when_it_does():
    rows = np.column_stack([np.full(400, 7.0), np.random.default_rng(0).normal(size=400)])
    reference = described(rows)
    for value, moved in ((7.0, False), (7.1, True), (6.9, True)):
        newest = np.full((60, 2), (7.0, 0.0))
        newest[:20, 0] = value
        table = feature_drift(reference, newest, CONFIG)
        assert bool(table["drifted"][0]) == moved


def test_values_never_seen_are_drift_where_deciles_do_not_tell(market):
    values, reference = market
    place = INDICATORS.index("sma_50")
    newest = values[-RECENT:].copy()
    newest[:, place] *= 100.0
    row = feature_drift(reference, newest, CONFIG).iloc[place]
    assert row["psi"] < row["limit"]  # stretches of training lay in two deciles, too
    assert row["out_of_range"] > 0.9
    assert row["drifted"]
    newest[: RECENT // 2, place] = np.median(values[:TRAINING, place])
    assert not feature_drift(reference, newest, CONFIG)["drifted"][place]


def test_both_limits_must_be_passed(market):
    values, reference = market
    newest = np.repeat(values[-1:], RECENT, axis=0)
    psi = feature_drift(reference, newest, CONFIG)["psi"]
    strict = ProductionConfig(drift_psi=float(psi.max()) + 0.1)
    table = feature_drift(reference, newest, strict)
    assert (psi > CONFIG.drift_psi).all()
    assert not table["drifted"].any()
    assert (table["limit"] == strict.drift_psi).all()


def test_what_is_not_known_has_not_drifted(market):
    values, reference = market
    few = feature_drift(reference, values[-53:] * 100.0, CONFIG)  # of 60
    assert few["limit"].isna().all()
    assert not few["drifted"].any()
    assert feature_drift(reference, values[-54:] * 100.0, CONFIG)["drifted"].sum() > 10
    short = described(values[:299], names=INDICATORS)
    assert feature_drift(short, values[-RECENT:], CONFIG)["limit"].isna().all()


def test_false_alarms_are_as_rare_as_the_module_says_and_the_plain_limit_s_are_not():
    alarms, plain = [], []
    for seed in range(30):
        values = inputs(seed, after=250)
        reference = described(values[:TRAINING], names=INDICATORS)
        for start in range(TRAINING, TRAINING + 191, 63):
            table = feature_drift(reference, values[start : start + RECENT], CONFIG)
            alarms.append([table["drifted"][columns(number)].any() for number in (1, 3, 20)])
            plain.append((table["psi"] > CONFIG.drift_psi)[columns(3)].any())
    assert np.mean(plain) > 0.95
    assert (np.mean(alarms, axis=0) <= [0.10, 0.13, 0.21]).all()  # 4, 6 and 12 %, and luck


# Range ------------------------------------------------------------------------------------------


def test_what_lies_too_far_outside_by_hand():
    reference = described([[0.0, 5.0], [10.0, 5.0]])
    assert out_of_range(reference, [[20.0, 5.0], [-10.0, 5.0]], margin=1.0) == {}
    assert out_of_range(reference, [[3.0, 5.0], [20.1, 5.0]], margin=1.0) == {"a": 20.1}
    assert out_of_range(reference, [[-10.1, 5.0], [3.0, 5.0]], margin=1.0) == {"a": -10.1}
    assert out_of_range(reference, [[10.1, 5.001]], margin=0.0) == {"a": 10.1, "b": 5.001}
    assert out_of_range(reference, [[-12.0, 5.0], [25.0, 5.0]], margin=1.0) == {"a": 25.0}


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_lies_outside(value):
    found = out_of_range(described([[0.0, 5.0], [10.0, 6.0]]), [[1.0, value]], margin=5.0)
    assert list(found) == ["b"]
    assert not math.isfinite(found["b"])


def test_recent_rows_count_in_no_order(market):
    values, reference = market
    newest = values[-RECENT:]
    pd.testing.assert_frame_equal(
        feature_drift(reference, newest, CONFIG), feature_drift(reference, newest[::-1], CONFIG)
    )
