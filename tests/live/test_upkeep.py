"""Late and revised bars are warnings, not drift; and what all checks come to in a sentence."""

import math

import pandas as pd

from rnntrade.data.revisions import Revision
from rnntrade.live.health import Check, Health
from rnntrade.live.upkeep import freshness, revisions

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


def test_warnings_and_age_are_told_and_are_no_drift():
    fine = Check("input returns", 0.1, 0.3, "ok", "fine")
    late = Check("freshness", 2.0, 0.0, "warning", "freshness: late")
    old = Check("age", 400.0, 378.0, "expired", "age: old")
    worse = Check("hit rate", 0.001, 0.01, "drifted", "hit rate: worse")
    blank = Check("calibration", math.nan, 0.01, "unknown", "calibration: too few to tell")

    assert Health((fine,)).status == "ok"
    assert Health((blank,)).status == "unknown"
    told = Health((fine, late, old, blank))
    assert (told.drifted, told.expired, told.status) == (False, True, "expired")
    assert told.sentence == (
        "no drift in 3 checks; freshness: late; age: old; not known: calibration"
    )
    assert Health((fine, late)).status == "warning"
    assert Health((late, old, worse)).status == "drifted"
    assert [each.wanted for each in (fine, worse)] == ["≤ 0.3", "≥ 0.01"]
