import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnntrade.data.sessions import expected_sessions
from rnntrade.errors import ConfigError
from rnntrade.production.policy import POLICIES, due, sessions_between

SESSIONS = expected_sessions(
    "XNYS", pd.Timestamp(2022, 1, 3).date(), pd.Timestamp(2024, 1, 1).date()
)


def followed(policy: str, sessions: pd.DatetimeIndex = SESSIONS) -> list[str]:
    """The sessions on which somebody who asks every evening retrains."""
    trained, retrained = 0, []
    for place in range(1, len(sessions)):
        if due(policy, sessions[place], sessions[trained], elapsed=place - trained):
            retrained.append(f"{sessions[place]:%Y-%m-%d}")
            trained = place
    return retrained


def test_monthly_retrains_on_the_first_session_of_each_month():
    after = SESSIONS[SESSIONS >= "2022-02-01"]
    firsts = after.to_series().groupby([after.year, after.month]).first()
    assert followed("monthly") == [f"{day:%Y-%m-%d}" for day in firsts]
    assert followed("monthly")[:4] == ["2022-02-01", "2022-03-01", "2022-04-01", "2022-05-02"]


def test_quarterly_retrains_on_the_first_session_of_each_quarter():
    assert followed("quarterly") == [
        *("2022-04-01", "2022-07-01", "2022-10-03"),
        *("2023-01-03", "2023-04-03", "2023-07-03", "2023-10-02"),
    ]


def test_every_n_steps_like_a_walk_forward():
    assert followed("every_63") == [f"{day:%Y-%m-%d}" for day in SESSIONS[63::63]]
    assert followed("every_1") == [f"{day:%Y-%m-%d}" for day in SESSIONS[1:]]


def test_never_is_never_whatever_happens():
    assert followed("never") == []
    late = due("never", SESSIONS[-1], SESSIONS[0], 500, drifted=True, expired=True)
    assert late == ""


def test_what_an_outage_missed_is_caught_up_once():
    thinned = SESSIONS[[0, 3, 130, 131, 140]]  # nobody asked for half a year
    assert followed("monthly", thinned) == [f"{SESSIONS[130]:%Y-%m-%d}"]
    assert followed("quarterly", thinned) == [f"{SESSIONS[130]:%Y-%m-%d}"]


def test_the_same_month_of_another_year_is_a_later_one():
    assert due("monthly", pd.Timestamp("2024-03-01"), pd.Timestamp("2023-03-31"))
    assert not due("monthly", pd.Timestamp("2023-03-31"), pd.Timestamp("2023-03-01"))


def test_drift_counts_under_on_drift_alone():
    now, trained = pd.Timestamp("2023-03-20"), pd.Timestamp("2023-03-01")
    told = {
        policy: due(policy, now, trained, 13, drifted=True) for policy in (*POLICIES, "every_63")
    }
    assert told.pop("on_drift") == "drift was found on 2023-03-20"
    assert set(told.values()) == {""}
    assert due("on_drift", now, trained, 13) == ""


@pytest.mark.parametrize("policy", ["monthly", "quarterly", "on_drift", "every_63"])
def test_an_expired_champion_is_replaced(policy):
    told = due(policy, pd.Timestamp("2023-03-20"), pd.Timestamp("2023-03-01"), 13, expired=True)
    assert told == "the champion, trained on data until 2023-03-01, has expired"


def test_reasons_are_sentences_with_their_dates():
    now, trained = pd.Timestamp("2023-04-03"), pd.Timestamp("2022-12-30")
    assert due("monthly", now, trained) == "2023-04-03 lies in a later month than 2022-12-30"
    assert due("quarterly", now, trained) == "2023-04-03 lies in a later quarter than 2022-12-30"
    told = due("every_63", now, trained, 64)
    assert told == "64 sessions have passed since 2022-12-30, 63 are the limit"


@given(st.sampled_from([*POLICIES, "every_1"]), st.integers(0, 100), st.booleans(), st.booleans())
def test_what_was_trained_on_this_session_is_not_trained_again(policy, back, drifted, expired):
    now = pd.Timestamp("2023-04-03")
    assert due(policy, now, now + pd.Timedelta(days=back), 100, drifted, expired) == ""


@pytest.mark.parametrize("policy", ["every_0", "every_", "every_-3", "every_6.3", "weekly", ""])
def test_a_policy_that_there_is_not_is_refused(policy):
    with pytest.raises(ConfigError, match="every_N"):
        sessions_between(policy)


def test_a_near_name_is_offered():
    with pytest.raises(
        ConfigError, match=r"no retraining policy 'montly'\.  Did you mean 'monthly'\?"
    ):
        due("montly", SESSIONS[1], SESSIONS[0])
