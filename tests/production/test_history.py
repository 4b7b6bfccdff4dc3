"""A policy lived through: what is retrained when, with desks that were made before."""

import pandas as pd
import pytest

from rnntrade.production import policy as policies
from rnntrade.production.health import Check, Health
from rnntrade.production.policy import live_through


@pytest.fixture
def lived(made, monkeypatch):
    """Sessions on which a policy retrained, in a market that always drifts."""
    wild = Health((Check("input x", 9.0, 0.3, "drifted", "x moved"),))
    monkeypatch.setattr(policies, "monitor", lambda reference, observed, config: wild)

    def of(policy: str) -> pd.DataFrame:
        sessions = made.target.index[:80]
        return live_through(policy, made.prices, sessions, lambda *_: made.desk).retrainings

    return of, list(made.target.index[:80])


def test_lasting_drift_retrains_once_its_window_is_all_new_and_not_every_evening(lived, made):
    of, sessions = lived
    wait = made.desk.experiment.production.drift_sessions
    assert of("on_drift")["session"].to_list() == sessions[::wait]


def test_drift_is_nothing_to_other_policies(lived):
    of, sessions = lived
    assert of("never")["session"].to_list() == sessions[:1]
    assert of("every_30")["session"].to_list() == sessions[::30]


def test_the_decisions_are_the_desks_own(made):
    lived = live_through("never", made.prices, made.target.index, lambda *_: made.desk)
    pd.testing.assert_frame_equal(
        lived.target, made.target, check_exact=True, check_names=False, check_freq=False
    )
