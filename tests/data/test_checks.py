from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnntrade.data.bars import from_quotes
from rnntrade.data.checks import Finding, check, leave_out, raise_errors
from rnntrade.data.sessions import expected_sessions
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


@settings(deadline=None)  # a busy machine is no failure
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


# the file as a whole


PRICES = ["open", "high", "low", "close", "raw_close"]


def on(days: pd.DatetimeIndex, seed: int = 0) -> pd.DataFrame:
    """Random bars on these days."""
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.02, len(days))))
    bars = {name: close for name in ("open", "close", "raw_close")}
    bars |= {"high": close * 1.01, "low": close * 0.99, "volume": np.full(len(days), 1e6)}
    return pd.DataFrame(bars, index=days.as_unit("ns").rename("date"))


def errors(bars: pd.DataFrame, calendar: str = "XNYS") -> dict[str, tuple[str, ...]]:
    """Names and sessions of the errors."""
    first, last = bars.index[0].date(), bars.index[-1].date()
    findings = check(bars, "X", calendar, first, last)
    return {each.check: each.sessions for each in findings if each.severity == "error"}


def message(bars: pd.DataFrame, calendar: str = "XNYS") -> str:
    findings = check(bars, "X", calendar, bars.index[0].date(), bars.index[-1].date())
    with pytest.raises(DataError) as caught:
        raise_errors(findings)
    return str(caught.value)


SESSIONS = expected_sessions("XNYS", date(2018, 1, 1), date(2022, 1, 1))
EVERY_DAY = pd.date_range("2020-01-01", "2021-12-31", unit="ns")


@pytest.mark.parametrize(
    ("days", "looks"),
    [
        (SESSIONS[SESSIONS.day_of_week == 4], "weekly"),
        (pd.date_range("2018-01-07", "2020-01-01", freq="W"), "weekly"),
        (pd.date_range("2018-01-31", "2020-01-01", freq="ME"), "monthly"),
        (pd.date_range("2015-01-31", "2020-01-01", freq="QE"), "quarterly"),
        (SESSIONS[SESSIONS.day_of_week.isin([0, 2, 4])], "2 days apart"),
        (SESSIONS[:400:2], "2 days apart"),
        (SESSIONS[:250:5].append(SESSIONS[250:]), "weekly"),  # daily from some day on
    ],
)
def test_bars_that_are_not_daily_are_refused_by_their_rhythm(days: pd.DatetimeIndex, looks: str):
    assert errors(on(days)) == {"sparse": ()}
    assert f"bars are {looks}" in message(on(days))


@pytest.mark.parametrize(
    "days",
    [
        SESSIONS[np.random.default_rng(0).random(len(SESSIONS)) < 0.6],  # thinly traded
        SESSIONS[:300].append(SESSIONS[450:]),  # a trading halt of seven months
        SESSIONS[:12],  # just listed
        SESSIONS.delete(range(7, len(SESSIONS), 50)),  # one in fifty missing
        pd.bdate_range("2018-01-01", periods=700),  # weekdays, holidays or not: currencies
        SESSIONS.union(pd.to_datetime(["2019-07-04", "2020-02-01", "2021-01-18"])),  # three extra
    ],
)
def test_files_that_deviate_a_little_are_not_refused(days: pd.DatetimeIndex):
    assert errors(on(days)) == {}


@pytest.mark.parametrize(
    ("own", "configured", "cure"),
    [
        ("24/7", "XNYS", "24/7"),
        ("XNYS", "24/7", "XNYS"),
        ("XLON", "XNYS", "XLON"),
        ("XETR", "XNYS", "XETR"),
        ("XTKS", "XNYS", "XTKS"),
        ("XTSE", "XNYS", "XTSE"),
        ("CMES", "XNYS", "CMES"),
        ("XNYS", "XTKS", "XNYS"),
        ("XTAE", "XNYS", "XTAE"),
    ],
)
def test_dates_of_another_calendar_are_refused_with_its_name(own: str, configured: str, cure: str):
    bars = on(expected_sessions(own, date(2019, 1, 1), date(2021, 1, 1)))
    assert list(errors(bars, configured)) == ["calendar"]
    assert f"they fit {cure}: set data.calendar" in message(bars, configured)


@pytest.mark.parametrize(("calendar", "add"), [("XETR", -1), ("XTKS", -1), ("XNYS", 1)])
def test_dates_shifted_by_a_day_are_refused_with_their_direction(calendar: str, add: int):
    days = expected_sessions(calendar, date(2019, 1, 1), date(2020, 1, 1))
    bars = on(days + pd.Timedelta(days=add))
    assert list(errors(bars, calendar)) == ["calendar"]
    early = "one day early" if add < 0 else "one day late"
    assert f"{early}: a day {'later' if add < 0 else 'earlier'}" in message(bars, calendar)
    assert calendar in message(bars, "24/7")


def test_dates_a_day_early_in_summer_only_are_refused():
    days = expected_sessions("XLON", date(2019, 1, 1), date(2020, 1, 1))
    summer = (days > "2019-03-31") & (days <= "2019-10-27")
    bars = on(days.where(~summer, days - pd.Timedelta(days=1)))
    for configured in ("XLON", "XNYS"):
        assert "one day early in summer: a day later they fit XLON" in message(bars, configured)


def test_one_year_of_wrong_dates_among_ten_is_refused():
    days = expected_sessions("XNYS", date(2010, 1, 1), date(2020, 1, 1))
    wrong = days.year == 2014
    bars = on(days.where(~wrong, days - pd.Timedelta(days=1)).unique())
    (sessions,) = errors(bars).values()
    assert {day[:4] for day in sessions} == {"2014"}


def filled(first: str, last: str) -> pd.DataFrame:
    """Bars on every day; those without a session repeat the bar before."""
    sessions = expected_sessions("XNYS", pd.Timestamp(first).date(), pd.Timestamp(last).date())
    return on(sessions).reindex(pd.date_range(first, sessions[-1], name="date"), method="ffill")[1:]


def test_filled_weekends_are_left_out_and_counted():
    bars = filled("2019-01-01", "2019-03-01").dropna()
    kept = leave_out(bars, "XNYS", every=False)
    expected = expected_sessions("XNYS", date(2019, 1, 2), date(2019, 3, 1))
    assert list(kept.index) == list(expected)
    gone = bars.index.difference(kept.index)
    (finding,) = check(kept, "X", "XNYS", date(2019, 1, 2), date(2019, 3, 1), gone)
    assert (finding.severity, finding.check) == ("warning", "left_out")
    assert len(finding.sessions) == len(gone) == 18


def test_filled_weekends_are_refused_where_the_calendar_trades_on_them():
    bars = filled("2019-01-01", "2019-03-01").dropna()
    assert "filled" in errors(bars, "24/7")


def test_real_bars_at_weekends_are_not_left_out_unless_dates_are_known():
    bars = on(EVERY_DAY)
    assert len(leave_out(bars, "XNYS", every=False)) == len(bars)
    kept = leave_out(bars, "XNYS", every=True)
    assert len(kept) == len(expected_sessions("XNYS", date(2020, 1, 1), date(2022, 1, 1)))
    gone = bars.index.difference(kept.index)
    findings = check(kept, "X", "XNYS", date(2020, 1, 1), date(2022, 1, 1), gone)
    assert [each.check for each in findings] == ["left_out"]


@pytest.mark.parametrize("factor", [100.0, 0.01, 10.0, 0.1, 1000.0])
@pytest.mark.parametrize("days", [1, 2, 15])
def test_prices_that_leap_and_come_straight_back_are_refused(factor: float, days: int):
    bars = on(SESSIONS[:200])
    rows = bars.index[50 : 50 + days]
    bars.loc[rows, PRICES] *= factor
    assert errors(bars) == {"spike": tuple(str(day.date()) for day in rows)}


@pytest.mark.parametrize("factor", [100.0, 0.01, 1000.0, 1e-6])
@pytest.mark.parametrize("row", [1, 100, 199])
def test_a_change_of_unit_that_stays_is_refused(factor: float, row: int):
    bars = on(SESSIONS[:200])
    bars.iloc[row:, [bars.columns.get_loc(name) for name in PRICES]] *= factor
    assert errors(bars) == {"unit": (str(bars.index[row].date()),)}


@pytest.mark.parametrize("factor", [2.35, 0.3, 0.1, 10.0, 0.02])
def test_a_move_that_stays_is_only_a_warning(factor: float):
    bars = on(SESSIONS[:200])
    bars.loc[bars.index[100] :, PRICES] *= factor
    assert errors(bars) == {}
    start, end = bars.index[0].date(), bars.index[-1].date()
    assert "jump" in [each.check for each in check(bars, "X", "XNYS", start, end)]


def test_a_fall_to_a_hundredth_with_heavy_trading_is_a_crash():
    bars = on(SESSIONS[:200])
    bars.loc[bars.index[100] :, PRICES] *= 0.01
    bars.loc[bars.index[100], "volume"] *= 40
    assert errors(bars) == {}


def test_a_price_of_a_few_ticks_may_leap_between_them():
    bars = on(SESSIONS[:200])
    prices = np.array([1, 1, 6, 1, 1, 2, 1, 12, 1, 1] * 20) * 1e-4
    bars = bars.assign(**dict.fromkeys(PRICES, prices))
    assert errors(bars) == {}
