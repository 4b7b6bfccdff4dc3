from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnntrade.data.bars import from_quotes
from rnntrade.data.checks import Finding, check, raise_errors
from rnntrade.errors import DataError
from tests.data.conftest import share

pytestmark = pytest.mark.filterwarnings("ignore:Series.values returning")  # exchange_calendars' own
START, END = date(2024, 1, 1), date(2024, 3, 1)


@pytest.fixture
def bars() -> pd.DataFrame:
    """Faultless bars of the 41 sessions in January and February 2024."""
    quotes = share("2024-01-01", "2024-03-01").quotes
    return from_quotes(quotes.rename(columns=lambda name: name.lower().replace(" ", "_")))


def found(bars: pd.DataFrame) -> list[tuple[str, str, tuple[str, ...]]]:
    return [
        (finding.severity, finding.check, finding.sessions)
        for finding in check(bars, "SPY", "XNYS", START, END)
    ]


def test_faultless_bars_have_no_findings(bars: pd.DataFrame):
    assert found(bars) == []


@pytest.mark.parametrize(
    ("column", "value", "expected"),
    [
        ("open", np.nan, ["missing_number"]),
        ("close", np.inf, ["missing_number", "high"]),
        ("volume", np.nan, ["missing_number"]),
        ("volume", -1.0, ["volume"]),
        ("raw_close", 0.0, ["price"]),
        ("low", -5.0, ["price"]),
        ("high", 50.0, ["high", "low"]),
        ("low", 500.0, ["high", "low"]),
    ],
)
def test_a_wrong_number_is_an_error_of_its_session(
    bars: pd.DataFrame, column: str, value: float, expected: list[str]
):
    bars.loc["2024-01-10", column] = value
    errors = [entry for entry in found(bars) if entry[0] == "error"]
    assert errors == [("error", name, ("2024-01-10",)) for name in expected]


def test_rounding_of_a_hundredth_of_a_percent_is_forgiven_and_no_more(bars: pd.DataFrame):
    day = pd.Timestamp("2024-01-10")
    top = bars.loc[day, ["open", "close"]].max()
    bars.loc[day, "high"] = top * (1 - 0.9e-4)
    assert found(bars) == []
    bars.loc[day, "high"] = top * (1 - 1.1e-4)
    assert found(bars) == [("error", "high", ("2024-01-10",))]


def test_a_volume_of_nought_is_allowed(bars: pd.DataFrame):
    bars["volume"] = 0.0
    assert found(bars) == []


def test_double_and_disordered_dates_are_errors(bars: pd.DataFrame):
    double = pd.concat([bars, bars.loc[["2024-01-10"]]]).sort_index()
    assert found(double) == [("error", "dates", ("2024-01-10",))]
    disorder = pd.concat([bars[5:], bars[:5]])
    assert found(disorder) == [("error", "dates", ("2024-01-02",))]
    clock = bars.set_axis(bars.index + pd.Timedelta(hours=16))
    assert found(clock)[0][:2] == ("error", "dates")
    zoned = bars.set_axis(bars.index.tz_localize("UTC"))
    assert found(zoned) == [("error", "dates", ())]


def test_missing_and_extra_sessions_are_listed(bars: pd.DataFrame):
    moved = bars.rename(index={pd.Timestamp("2024-01-12"): pd.Timestamp("2024-01-13")})
    assert found(moved) == [
        ("warning", "missing_session", ("2024-01-12",)),
        ("warning", "extra_session", ("2024-01-13",)),
    ]


def test_bars_that_begin_late_or_end_early_say_how_much_is_missing(bars: pd.DataFrame):
    assert found(bars[3:-2]) == [
        ("warning", "late_start", ("2024-01-02", "2024-01-04")),
        ("warning", "early_end", ("2024-02-28", "2024-02-29")),
    ]
    late, _ = check(bars[3:-2], "SPY", "XNYS", START, END)
    assert "begin on 2024-01-05; 3 sessions of XNYS" in late.message


def test_a_jump_is_flagged_on_its_day(bars: pd.DataFrame):
    bars.loc["2024-02-01":, ["open", "high", "low", "close"]] *= 0.5
    assert found(bars) == [("warning", "jump", ("2024-02-01",))]


def test_five_sessions_without_a_change_are_stale_and_four_are_not(bars: pd.DataFrame):
    prices = ["open", "high", "low", "close", "raw_close"]
    bars.iloc[11:15, [0, 1, 2, 3, 5]] = bars.iloc[10][prices].to_numpy()
    assert found(bars) == []
    bars.iloc[15, [0, 1, 2, 3, 5]] = bars.iloc[10][prices].to_numpy()
    assert found(bars) == [("warning", "stale", (str(bars.index[15].date()),))]


def test_prices_that_never_change_are_an_error(bars: pd.DataFrame):
    bars[["open", "high", "low", "close", "raw_close"]] = 7.0
    with pytest.raises(DataError, match="SPY: unusable prices: the close is 7 in all 41 sessions"):
        raise_errors(check(bars, "SPY", "XNYS", START, END))


def test_a_message_names_five_sessions_and_counts_the_rest(bars: pd.DataFrame):
    bars.loc[:"2024-01-11", "volume"] = -1.0
    (finding,) = check(bars, "SPY", "XNYS", START, END)
    assert finding.message == (
        "SPY: a negative volume on 2024-01-02, 2024-01-03, 2024-01-04, 2024-01-05, 2024-01-08 "
        "and 3 more."
    )
    assert len(finding.sessions) == 8


def test_one_error_tells_all_errors_of_a_ticker_and_no_warning(bars: pd.DataFrame):
    bars.loc["2024-01-10", ["volume", "raw_close"]] = -1.0
    bars = bars.drop(pd.Timestamp("2024-01-12"))
    with pytest.raises(DataError) as caught:
        raise_errors(check(bars, "SPY", "XNYS", START, END))
    text = str(caught.value)
    assert text.startswith("SPY: ")
    assert "not above 0 on 2024-01-10; a negative volume on 2024-01-10" in text
    assert "2024-01-12" not in text


def test_warnings_alone_raise_nothing():
    raise_errors([])
    raise_errors([Finding("warning", "jump", "SPY", "the close moves", ())])


@given(
    session=st.integers(0, 40),
    column=st.sampled_from(["open", "high", "low", "close", "volume", "raw_close"]),
    value=st.sampled_from([np.nan, np.inf, -np.inf, -1.0]),
)
def test_no_bad_number_slips_through(session: int, column: str, value: float):
    quotes = share("2024-01-01", "2024-03-01").quotes
    bars = from_quotes(quotes.rename(columns=lambda name: name.lower().replace(" ", "_")))
    bars.iloc[session, bars.columns.get_loc(column)] = value
    day = str(bars.index[session].date())
    errors = [entry for entry in check(bars, "X", "XNYS", START, END) if entry.severity == "error"]
    assert errors
    assert all(error.sessions == (day,) for error in errors)
