"""The rules by hand: what passes, what fails, what fails everything."""

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binom

from rnntrade.controls.markets import CONTROLS, majority
from rnntrade.controls.rules import (
    CAPTURED,
    ControlResult,
    insert,
    judge,
    judge_fit,
    most_rejected,
)
from rnntrade.data.synthetic import Best, best_accuracy
from rnntrade.errors import ConfigError

COIN = best_accuracy("n1")
NAMES = tuple(CONTROLS)
RIGHT = {"P1": 1770, "P2": 1890, "P3": 1980}  # of 3,000: 0.59, 0.63, 0.66


def fits(name: str, *right: int) -> list[ControlResult]:
    best = best_accuracy(CONTROLS[name].process or "n1")
    return [judge_fit(name, seed, each, 3000, best, 10) for seed, each in enumerate(right)]


def sound(**changed: list[ControlResult]) -> list[ControlResult]:
    """A library that finds what is there and nothing else, but for the controls given."""
    every = {name: fits(name, *[RIGHT.get(name, 1500)] * 5) for name in NAMES} | changed
    return [fit for each in every.values() for fit in each]


def test_a_sound_library_passes():
    report = judge(sound(), NAMES)
    assert report.passed
    assert report.reasons == ()
    assert all(row.passed for row in report.rows)
    assert (report.rejected, report.allowed, report.tests) == (0, 3, 20)


def test_an_edge_counts_from_its_share_on():
    below, at = fits("P1", 1679, 1680)  # 0.56 is 0.6 of the possible 0.10
    assert (below.verdict, at.verdict) == ("missed", "found")
    assert at.captured == pytest.approx(0.6)
    assert at.p_value == pytest.approx(binom.sf(1679, 3000, 0.5))


def test_a_large_share_that_may_be_luck_does_not_count():
    (fit,) = [judge_fit("P1", 0, 16, 25, best_accuracy("p1"), 1)]
    assert fit.captured == pytest.approx(1.4)
    assert fit.p_value > 0.1
    assert fit.verdict == "missed"


def test_one_seed_of_five_may_miss_and_two_may_not():
    one = judge(sound(P2=fits("P2", 1890, 1890, 1500, 1890, 1890)), NAMES)
    two = judge(sound(P2=fits("P2", 1890, 1500, 1500, 1890, 1890)), NAMES)
    assert one.passed
    assert not two.passed
    assert two.reasons == ("P2: its edge was found on 3 of 5 seeds, 4 are needed.",)


@pytest.mark.parametrize("name", ["P1", "P3", "N2"])
def test_one_fit_above_the_ceiling_fails_everything(name: str):
    best = best_accuracy(CONTROLS[name].process or "n1")
    ceiling = best.accuracy + 3 * best.deviation(3000)
    at, above = int(np.floor(ceiling * 3000)), int(np.floor(ceiling * 3000)) + 1
    usual = RIGHT.get(name, 1500)
    fine, leaky = (fits(name, usual, usual, usual, usual, each) for each in (at, above))
    assert fine[-1].verdict != "leak"
    assert leaky[-1].verdict == "leak"
    report = judge(sound(**{name: leaky}), NAMES)
    assert not report.passed
    assert report.reasons[0].startswith(f"{name}, seed 4: accuracy")
    assert "a leak" in report.reasons[0]
    assert {row.control for row in report.rows if not row.passed} == {name}


def test_three_of_twenty_n_tests_may_be_rejected_and_four_may_not():
    lucky = 1550  # p = 0.035 against 0.5
    three = judge(sound(N1=fits("N1", lucky, lucky, lucky, 1500, 1500)), NAMES)
    four = judge(sound(N1=fits("N1", lucky, lucky, lucky, lucky, 1500)), NAMES)
    assert three.passed
    assert three.rejected == 3
    assert not four.passed
    assert four.reasons == ("4 of 20 N tests found an edge where there is none; 3 may by chance.",)


def test_the_bound_is_exceeded_by_chance_in_at_most_five_percent():
    for tests in range(1, 60):
        most = most_rejected(tests)
        assert binom.sf(most, tests, 0.05) <= 0.05 + 1e-12 < binom.sf(most - 1, tests, 0.05)
    assert binom.sf(3, 20, 0.05) == pytest.approx(0.016, abs=5e-4)  # as the rules say


def test_a_drift_is_no_edge():
    up = (np.random.default_rng(0).random(1400) < 0.6).astype(float)
    best = majority(up)
    right = int(up.sum())  # of a network that always says up
    assert judge_fit("N3", 0, right, 1400, best, 1).verdict == "quiet"
    assert judge_fit("N3", 0, right, 1400, COIN, 1).verdict == "leak"  # had we forgotten it
    assert majority(1.0 - up).accuracy == pytest.approx(best.accuracy)


def test_what_was_not_run_is_not_passed():
    report = judge([fit for fit in sound() if fit.control != "N4"], NAMES)
    assert not report.passed
    assert report.reasons == ("N4 was not run.",)
    assert not report.rows[-1].passed
    assert "not run" in report.table


def test_the_test_parts_are_long_enough_for_the_rules():
    """The figures of docs/controls.md: what a fit with this true accuracy would show."""
    for name, true, chance in (("P1", 0.60, 1e-5), ("P1", 0.58, 0.02), ("P2", 0.6125, 2e-5)):
        control = CONTROLS[name]
        best = best_accuracy(control.process or "n1").accuracy
        needed = int(np.ceil((0.5 + CAPTURED[name] * (best - 0.5)) * control.test - 1e-9))
        assert judge_fit(name, 0, needed, control.test, best_accuracy(control.process or "n1"), 1)
        assert binom.cdf(needed - 1, control.test, true) < chance
    highest = int((0.5 + 3 * COIN.deviation(3000)) * 3000)
    assert binom.sf(highest, 3000, 0.5425) > 0.95  # a leak worth 0.0425 is caught


def test_the_ceiling_counts_the_error_of_a_simulated_best():
    exact = judge_fit("P3", 0, 1500, 3000, Best(0.69, 0.0, 0.33), 1)
    simulated = judge_fit("P3", 0, 1500, 3000, Best(0.69, 0.01, 0.33), 1)
    assert exact.ceiling < simulated.ceiling


def test_the_table_goes_into_its_place_in_the_page(tmp_path: Path):
    page = tmp_path / "page.md"
    page.write_text("above\n<!-- fast -->\nold\n<!-- end fast -->\nbelow\n")
    report = judge(sound(N1=fits("N1", 1550, 1500, 1500, 1500, 1800)), NAMES)
    insert(page, "fast", report.table)
    text = page.read_text()
    assert text.startswith("above\n<!-- fast -->\n| control |")
    assert text.endswith("\n<!-- end fast -->\nbelow\n")
    assert "old" not in text
    assert "0.517* 0.500 0.500 0.500 0.600!" in text
    assert "FAILED: N1, seed 4: accuracy 0.6000" in text
    insert(page, "fast", report.table)
    assert page.read_text() == text
    with pytest.raises(ConfigError, match="no lines"):
        insert(page, "full", "")
    with pytest.raises(ConfigError, match="not there"):
        insert(tmp_path / "absent.md", "fast", "")
