import numpy as np
import pandas as pd
import pytest

from rnntrade.chain import CHAIN
from rnntrade.config import LabelConfig, TradingConfig
from rnntrade.labels.regimes import Labels
from rnntrade.trading.positions import regime_filter
from rnntrade.types import Boundary, regime_names, turbulent_classes

NAN = float("nan")
SESSIONS = pd.bdate_range("2020-01-01", periods=6, name="date")


def frame(*values: float) -> pd.DataFrame:
    return pd.DataFrame({"AAA": values}, index=SESSIONS[: len(values)])


def filtered(position: pd.DataFrame, regime: pd.DataFrame, mode: str = "flat") -> list[float]:
    return regime_filter(position, regime, mode, {0, 3})["AAA"].tolist()


def same(found: list[float], expected: list[float]) -> bool:
    return np.array_equal(found, expected, equal_nan=True)


def test_a_turbulent_regime_cuts_what_is_decided_in_it():
    position, regime = frame(1, -1, 0.4, -0.4, 0, 1), frame(2, 0, 1, 3, 3, 2)
    assert filtered(position, regime) == [1, 0, 0.4, 0, 0, 1]
    assert filtered(position, regime, "half") == [1, -0.5, 0.4, -0.2, 0, 1]
    assert filtered(position, regime, "off") == position["AAA"].tolist()
    assert not np.signbit(filtered(position, regime)).any()


def test_a_turn_acts_on_a_session_without_a_new_decision():
    position, regime = frame(1, NAN, NAN, NAN, NAN, NAN), frame(2, 2, 3, 3, 1, 1)
    assert same(filtered(position, regime), [1, NAN, 0, NAN, 1, NAN])
    assert same(filtered(position, regime, "half"), [1, NAN, 0.5, NAN, 1, NAN])


def test_a_decision_made_while_it_was_flat_is_the_one_taken_up_again():
    position, regime = frame(1, NAN, -0.5, NAN, NAN, NAN), frame(2, 3, 3, 3, 1, 1)
    assert same(filtered(position, regime), [1, 0, 0, NAN, -0.5, NAN])


def test_before_a_first_decision_there_is_nothing_to_cut():
    position, regime = frame(NAN, NAN, 1, NAN), frame(3, 1, 3, 3)
    assert same(filtered(position, regime), [NAN, NAN, 0, NAN])


def test_an_unknown_regime_is_the_last_known_one_and_none_before_any():
    position, regime = frame(1, 1, 1, 1, 1, 1), frame(NAN, 3, NAN, NAN, 2, NAN)
    assert filtered(position, regime) == [1, 0, 0, 0, 1, 1]


def test_tickers_are_filtered_apart():
    position = pd.DataFrame(1.0, SESSIONS, ["AAA", "BBB"])
    regime = pd.DataFrame({"AAA": 3.0, "BBB": 2.0}, SESSIONS)
    found = regime_filter(position, regime, "flat", {3})
    pd.testing.assert_frame_equal(
        found, pd.DataFrame({"AAA": 0.0, "BBB": 1.0}, SESSIONS), check_exact=True
    )


@pytest.mark.parametrize("mode", ["half", "flat"])
def test_later_regimes_and_decisions_change_no_earlier_row(mode):
    generator = np.random.default_rng(3)
    sessions = pd.bdate_range("2020-01-01", periods=200)
    position = pd.DataFrame(generator.choice([NAN, -1, 0, 1], (200, 3)), sessions)
    regime = pd.DataFrame(generator.choice([NAN, 0, 1, 2, 3], (200, 3)), sessions)
    whole = regime_filter(position, regime, mode, {0, 3})
    for t in (0, 1, 77, 198):
        for later in (NAN, 3.0, 1.0):
            other_regime, other_position = regime.copy(), position.copy()
            other_regime.iloc[t + 1 :], other_position.iloc[t + 1 :] = later, later
            other = regime_filter(other_position, other_regime, mode, {0, 3})
            pd.testing.assert_frame_equal(
                other.iloc[: t + 1], whole.iloc[: t + 1], check_exact=True
            )


def test_what_is_held_is_always_the_standing_decision_times_the_share():
    generator = np.random.default_rng(4)
    sessions = pd.bdate_range("2020-01-01", periods=300)
    position = pd.DataFrame(generator.choice([NAN, NAN, -1, 0.3, 1], (300, 2)), sessions)
    regime = pd.DataFrame(generator.choice([0.0, 1.0, 2.0, 3.0], (300, 2)), sessions)
    held = regime_filter(position, regime, "half", {3}).ffill()
    standing = position.ffill()
    expected = standing.where(regime != 3.0, standing / 2.0)
    pd.testing.assert_frame_equal(held, expected)


def test_frames_of_other_sessions_are_refused():
    with pytest.raises(ValueError, match="share sessions"):
        regime_filter(frame(1, 1), frame(1, 1, 1), "flat", {3})


def test_each_test_part_has_the_regimes_of_its_own_fold():
    starts = (SESSIONS[1], SESSIONS[3], SESSIONS[4])
    labels = [
        Labels(Boundary(number, *[test] * 3, None), frame(*[float(number)] * 6), {}, {}, ())
        for number, test in enumerate(starts)
    ]
    stitched = CHAIN.stitch(labels, TradingConfig(regime_filter="half"))
    assert stitched["AAA"].tolist() == [0, 0, 1, 2, 2]
    assert stitched.index.equals(SESSIONS[1:])


def test_the_most_volatile_state_is_the_turbulent_class_by_name():
    for kind, states in (("rule", 2), ("hmm", 2), ("hmm", 3), ("jump", 2), ("jump", 3)):
        labels = LabelConfig(kind=kind, states=states)
        names = {regime_names(labels)[code] for code in turbulent_classes(labels)}
        assert names == ({"Bear", "High volatility"} if kind == "rule" else {"Turbulent"})
        assert len(set(regime_names(labels))) == 4
