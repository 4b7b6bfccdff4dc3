"""Late and revised bars are warnings, not drift; and what all checks come to in a sentence."""

import math
from itertools import permutations

import pandas as pd
import pytest

from rnntrade.data.archive import Revision
from rnntrade.production.health import Check, Health, number
from rnntrade.production.upkeep import freshness, revisions

FRIDAY, MONDAY, TUESDAY = map(pd.Timestamp, ("2024-01-12", "2024-01-15", "2024-01-16"))


def test_a_weekend_and_a_holiday_are_no_missing_sessions():
    due = FRIDAY  # what is over on the holiday of Monday the 15th
    assert freshness({"AAA": FRIDAY}, due, "XNYS").status == "ok"
    late = freshness({"AAA": TUESDAY, "BBB": FRIDAY}, TUESDAY, "XNYS")
    assert (late.status, late.value) == ("warning", 1.0)  # the 15th was Martin Luther King's day
    assert late.sentence == (
        "freshness: BBB ends on 2024-01-12, 1 session is missing up to 2024-01-16"
    )
    assert freshness({"AAA": FRIDAY}, TUESDAY, "XLON").value == 2.0  # London was open


def test_a_ticker_whose_source_fails_is_a_warning_with_its_cause():
    failed = {"BBB": "BBB: rate limited."}
    found = freshness({"AAA": FRIDAY}, FRIDAY, "XNYS", failed)
    assert found.status == "warning"
    assert "BBB: rate limited." in found.sentence
    late = freshness({"AAA": FRIDAY}, TUESDAY, "XNYS", failed)
    assert (late.value, late.status) == (1.0, "warning")
    assert "BBB: rate limited." in late.sentence


def test_every_late_ticker_is_named():
    told = freshness({"AAA": FRIDAY, "BBB": TUESDAY, "CCC": MONDAY}, TUESDAY, "XLON").sentence
    assert told.endswith("AAA ends on 2024-01-12, 2 sessions are missing up to 2024-01-16; late "
                         "are AAA, CCC")  # fmt: skip


def test_revisions_warn_above_one_percent_of_a_ticker():
    few = revisions([Revision("AAA", 1000, 10, "2024"), Revision("BBB", 1000, 0, "2024")])
    assert (few.status, few.value) == ("ok", 0.01)
    assert few.sentence == ("revisions: 10 of 2000 sessions known before, 1.0 % of those of AAA")
    assert revisions([Revision("AAA", 1000, 11, "2024")]).status == "warning"
    unknown = revisions([Revision("AAA", 0, 0, "")])
    assert unknown.status == "unknown"
    assert math.isnan(unknown.value)


FINE = Check("input returns", 0.1, 0.3, "ok", "fine", "stability index")
LATE = Check("freshness", 1990.0, 0.0, "warning", "freshness: late", "sessions")
OLD = Check("age", 2116.0, 378.0, "expired", "age: old", "sessions")
WORSE = Check("hit rate", 0.41, 0.01, "drifted", "hit rate: worse", "of calls right", 0.00012)
BLANK = Check("calibration", math.nan, 0.01, "unknown", "calibration: too few to tell")


def test_warnings_and_age_are_told_and_are_no_drift():
    assert Health((FINE,)).status == "ok"
    assert Health((BLANK,)).status == "unknown"
    told = Health((FINE, LATE, OLD, BLANK))
    assert (told.drifted, told.status) == (False, "expired")
    assert Health((FINE, LATE)).status == "warning"
    assert Health((LATE, OLD, WORSE)).status == "drifted"
    assert Health((OLD,)).sentence == "expired: age: old; no drift in 0 checks"


@pytest.mark.parametrize("checks", list(permutations((FINE, LATE, OLD, BLANK, WORSE), 4)))
def test_the_sentence_begins_with_the_worst_and_counts_only_checks_of_drift(checks):
    health = Health(checks)
    words = {"drifted": "drift in ", "expired": "expired: ", "warning": "warning: "}
    assert health.sentence.startswith(words[health.status])
    looked = len({FINE, WORSE} & set(checks))
    if WORSE in checks:
        assert f"drift in 1 of {looked} check" in health.sentence
    else:
        assert f"no drift in {looked} check" in health.sentence
    assert ("not known: calibration" in health.sentence) == (BLANK in checks)


def test_a_rate_and_its_p_value_stand_in_fields_of_their_own():
    told = WORSE.to_json()
    assert (told["value"], told["unit"], told["p_value"]) == (0.41, "of calls right", 0.00012)
    assert (told["limit"], told["wanted"]) == (0.01, "p ≥ 0.01")
    assert (LATE.wanted, OLD.wanted, FINE.wanted) == ("≤ 0", "≤ 378", "≤ 0.300")
    assert (LATE.to_json()["p_value"], BLANK.to_json()["value"]) == (None, None)


def test_figures_are_written_without_exponents():
    shown = [number(value) for value in (0.0575, 1.2e-7, 0.0, 1.0, 12345.678, math.nan, None)]
    assert shown == ["0.058", "< 0.001", "0.000", "1.000", "12,345.678", "-", "-"]
    assert number(1990.0, "sessions") == "1,990"
