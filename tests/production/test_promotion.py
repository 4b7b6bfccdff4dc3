import json
import math
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import t, ttest_1samp

from rnntrade.config import ProductionConfig
from rnntrade.evaluation.metrics import max_drawdown
from rnntrade.production.promotion import Candidate, judge, lower_bound
from tests.production.rounds import Kind, rounds

CONFIG = ProductionConfig(bootstrap_draws=200)
SESSIONS = pd.bdate_range("2024-01-01", periods=126)
NOISE = np.random.default_rng(0).normal(0.0, 0.002, 126)


def strategy(name: str, returns, costs=None, sessions=SESSIONS) -> Candidate:
    """A strategy; `costs` (T,) a bp that it paid, the same for every session by default."""
    scores = pd.Series(np.asarray(returns, dtype=float), sessions)
    paid = pd.Series(np.ones(len(scores)) if costs is None else costs, sessions) / 1e4
    cases = {bps: scores - (bps - 5.0) * paid * 0.1 for bps in (0.0, 5.0, 10.0)}
    return Candidate(name, scores, traded=True, cases=cases)


def model(name: str, losses, horizon: int = 1) -> Candidate:
    return Candidate(name, -pd.Series(losses, SESSIONS), traded=False, horizon=horizon)


WEAK = strategy("old", NOISE)
STRONG = strategy("new", np.abs(NOISE) + 0.001)


# Rule by rule -----------------------------------------------------------------------------------


def test_a_clearly_better_strategy_is_promoted_and_told_why():
    decision = judge(STRONG, WEAK, True, CONFIG)
    assert decision.promoted
    gain = 252 * float((STRONG.scores - WEAK.scores).mean())
    assert decision.figures["difference_a_year"] == pytest.approx(gain)
    assert decision.figures["margin_a_year"] == 0.01
    assert 0.01 < decision.figures["lower_bound_a_year"] < gain
    assert decision.figures["p_value"] < 0.05
    assert decision.figures["sessions"] == 126
    assert decision.figures["max_drawdown_challenger"] == 0.0
    assert decision.figures["max_drawdown_champion"] == max_drawdown(WEAK.scores) < 0.0
    for bps in (0, 5, 10):
        assert decision.figures[f"difference_a_year_at_{bps}_bps"] == pytest.approx(gain)
    low = 100 * decision.figures["lower_bound_a_year"]
    assert decision.reasons == (
        f"it earned {100 * gain:+.1f} % a year against old, with 95 % confidence at least "
        f"{low:+.1f} %, where more than +1.0 % is wanted, over 126 sessions",
        "in no cost case it earned less, and its largest fall was no deeper",
    )


def test_an_audit_that_found_something_forbids_it_alone():
    decision = judge(STRONG, WEAK, False, CONFIG)
    assert not decision.promoted
    assert decision.reasons == ("the leak audit of its run is not clean",)


def test_the_first_clean_version_is_promoted_untested():
    decision = judge(WEAK, None, True, CONFIG)
    assert decision.promoted
    assert decision.reasons == ("first champion: there was none to beat",)
    assert decision.figures == {}
    leaking = judge(WEAK, None, False, CONFIG)
    assert not leaking.promoted
    assert leaking.reasons == ("the leak audit of its run is not clean",)


def test_the_same_scores_leave_nothing_to_choose():
    for candidate in (WEAK, model("same", NOISE**2)):
        decision = judge(replace(candidate, name="copy"), candidate, True, CONFIG)
        assert not decision.promoted
        told = "the same scores in all 126 sessions: nothing to choose between"
        assert decision.reasons == (told,)


def test_a_gain_that_may_be_luck_is_refused_with_its_figures():
    decision = judge(strategy("new", np.roll(NOISE, 1) + 1e-4), WEAK, True, CONFIG)
    figures = decision.figures  # better in mean, costs and drawdown
    assert figures["difference_a_year"] == pytest.approx(0.0252)
    assert figures["max_drawdown_challenger"] > figures["max_drawdown_champion"]
    assert not decision.promoted
    assert len(decision.reasons) == 1
    assert decision.reasons[0].startswith("it earned +2.5 % a year against old, with 95 %")
    assert figures["lower_bound_a_year"] < 0.0
    assert figures["p_value"] > 0.05


def test_the_margin_is_a_year_s():
    constant = strategy("new", NOISE + 0.02 / 252)  # 2 % a year more in every session
    assert judge(constant, WEAK, True, CONFIG).promoted
    assert not judge(constant, WEAK, True, replace(CONFIG, promotion_margin=0.0201)).promoted
    assert judge(constant, WEAK, True, replace(CONFIG, promotion_margin=0.0199)).promoted


def test_one_cost_case_in_which_it_earns_less_is_enough_to_refuse():
    # 10 bp of costs take 0.5 bp a session and unit traded more than the 5 bp of the scores
    trader = strategy("new", np.abs(NOISE) + 0.001, costs=np.full(126, 100.0))
    decision = judge(trader, WEAK, True, CONFIG)
    assert not decision.promoted
    assert len(decision.reasons) == 1
    assert decision.figures["difference_a_year_at_5_bps"] > 0.0
    lost = decision.figures["difference_a_year_at_10_bps"]
    assert lost < 0.0
    assert decision.reasons == (
        f"at costs of 10 bp it earned {-100 * lost:.1f} % a year less than old",
    )


def test_a_deeper_fall_is_refused_an_equal_one_is_not():
    quiet = strategy("old", np.full(126, -1e-5))
    fall = np.full(126, 0.004) + NOISE
    fall[60] = -0.05
    decision = judge(strategy("new", fall), quiet, True, CONFIG)
    assert not decision.promoted
    assert decision.reasons == ("its largest fall was 5.0 %, that of old 0.1 %",)
    same = np.full(126, 0.001)
    same[60] = -0.05
    assert judge(strategy("new", fall), strategy("old", same), True, CONFIG).promoted


def test_every_rule_that_failed_is_told():
    worse = strategy("new", NOISE - 0.001)
    decision = judge(worse, WEAK, False, CONFIG)
    kinds = ["audit", "confidence", "costs of 0 bp", "costs of 5 bp", "costs of 10 bp", "fall"]
    assert len(decision.reasons) == len(kinds)
    for word, reason in zip(kinds, decision.reasons, strict=True):
        assert word in reason


def test_models_that_are_not_traded_are_judged_by_losses_alone():
    losses = 0.25 + NOISE
    decision = judge(model("new", losses - 0.01), model("old", losses), True, CONFIG)
    assert decision.promoted
    assert decision.figures["difference"] == pytest.approx(0.01)
    assert decision.figures["lower_bound"] == pytest.approx(0.01)
    assert decision.figures["margin"] == 0.0  # a gain of 1 % a year means nothing here
    assert decision.reasons == (
        "its mean loss is -0.01 from that of old, with 95 % confidence at most -0.01, "
        "where less than 0 is wanted, over 126 sessions",
    )
    assert not judge(model("new", losses + 0.01), model("old", losses), True, CONFIG).promoted


# Sessions ---------------------------------------------------------------------------------------


def test_only_common_sessions_are_compared():
    early = strategy("old", np.append(np.full(40, 0.5), NOISE), None, shifted(-40, 166))
    decision = judge(STRONG, early, True, CONFIG)
    assert decision == judge(STRONG, WEAK, True, CONFIG)


def shifted(days: int, length: int) -> pd.DatetimeIndex:
    return pd.bdate_range(SESSIONS[0] + days * pd.offsets.BDay(), periods=length)


@pytest.mark.parametrize(("common", "enough"), [(0, False), (19, False), (20, True)])
def test_too_few_common_sessions_decide_nothing(common, enough):
    late = strategy("old", NOISE - 0.01, None, shifted(126 - common, 126))
    decision = judge(STRONG, late, True, CONFIG)
    assert decision.promoted == enough
    if not enough:
        (reason,) = decision.reasons
        assert re.findall(r"\d+", reason) == [str(common), "20"]
        assert decision.figures == {"sessions": common}


def test_long_labels_need_more_sessions():
    better, worse = (
        Candidate(name, -pd.Series(loss, SESSIONS[:80]), traded=False, horizon=20)
        for name, loss in (("new", np.zeros(80)), ("old", np.ones(80)))
    )
    decision = judge(better, worse, True, CONFIG)
    (reason,) = decision.reasons
    assert re.findall(r"\d+", reason) == ["80", "81"]
    assert judge(model("new", NOISE * 0, 20), model("old", NOISE**0, 20), True, CONFIG).promoted


@pytest.mark.parametrize(
    "other",
    [
        model("old", NOISE**2),
        replace(WEAK, cases={0.0: WEAK.scores}),
        replace(WEAK, horizon=5),
    ],
)
def test_what_is_not_scored_alike_is_not_compared(other):
    with pytest.raises(ValueError, match="not scored alike"):
        judge(STRONG, other, True, CONFIG)


def test_candidates_are_whole():
    with pytest.raises(ValueError, match="every session needs a score"):
        strategy("new", np.where(np.arange(126) == 3, np.nan, NOISE))
    with pytest.raises(ValueError, match="every session needs a score"):
        replace(WEAK, cases={0.0: WEAK.scores.iloc[1:]})
    with pytest.raises(ValueError, match="ascending"):
        Candidate("new", WEAK.scores[::-1], traded=False)
    with pytest.raises(ValueError, match="by cost case"):
        Candidate("new", WEAK.scores, traded=True)


# Properties -------------------------------------------------------------------------------------

SMALL = st.lists(
    st.tuples(*(st.floats(-0.05, 0.05, allow_subnormal=False) for _ in range(2))),
    min_size=20,
    max_size=40,
)


@settings(max_examples=40, deadline=None)
@given(SMALL)
def test_no_two_beat_each_other(pairs):
    own, other = np.array(pairs).T
    first, second = (
        strategy(name, returns, None, SESSIONS[: len(pairs)])
        for name, returns in (("a", own), ("b", other))
    )
    there, back = judge(first, second, True, CONFIG), judge(second, first, True, CONFIG)
    assert not (there.promoted and back.promoted)
    assert there == judge(first, second, True, CONFIG)  # the same to the last bit
    for decision in (there, back):
        json.dumps(dict(decision.figures), allow_nan=False)
        if (low := decision.figures.get("lower_bound_a_year")) is not None:
            assert low <= decision.figures["difference_a_year"] + 1e-12
            assert (low > 0.01) == (decision.figures["p_value"] < 0.05) or math.isclose(low, 0.01)
        assert decision.promoted or decision.reasons


@settings(max_examples=40, deadline=None)
@given(SMALL, st.floats(0.001, 0.05))
def test_earning_more_in_every_session_never_costs_a_promotion(pairs, more):
    own, other = np.array(pairs).T
    sessions = SESSIONS[: len(pairs)]
    champion = strategy("old", other, None, sessions)
    before = judge(strategy("new", own, None, sessions), champion, True, CONFIG)
    after = judge(strategy("new", own + more, None, sessions), champion, True, CONFIG)
    assert after.promoted or not before.promoted


# The bound, and what it lets through -------------------------------------------------------------


def test_the_bound_of_independent_normal_differences_is_near_student_s():
    difference = np.random.default_rng(5).normal(0.1, 1.0, 400)
    config = ProductionConfig(bootstrap_draws=4000)
    bound, p_value = lower_bound(difference, 0.0, 1, config)
    reference = ttest_1samp(difference, 0.0, alternative="greater")
    assert p_value == pytest.approx(reference.pvalue, abs=0.006)
    low = reference.confidence_interval(0.95).low
    assert bound == pytest.approx(low, abs=0.004)


def test_the_bound_of_blocks_agrees_with_the_exact_variance_of_the_stationary_bootstrap():
    difference = np.convolve(np.random.default_rng(6).normal(size=130), np.ones(5), "valid")
    n, block, m = len(difference), 10, 12.6
    centred = difference - difference.mean()
    lags = np.arange(1, n)
    circular = np.array([centred @ np.roll(centred, lag) for lag in lags]) / n
    kept = (1.0 - lags / n) * (1.0 - 1.0 / block) ** lags  # Politis and Romano (1994), lemma 1
    deviation = math.sqrt((centred.var() + 2.0 * kept @ circular) / n * m / (m - 2.0))
    config = ProductionConfig(bootstrap_draws=10_000, promotion_confidence=0.9)
    bound, p_value = lower_bound(difference, -1.0, block, config)
    assert bound == pytest.approx(difference.mean() - t.ppf(0.9, m - 1.0) * deviation, abs=0.02)
    assert p_value == pytest.approx(
        t.sf((difference.mean() + 1.0) / deviation, m - 1.0), rel=0.05, abs=1e-4
    )
    assert deviation > 0.3  # so that 0.02 tells something


def test_noise_is_promoted_no_more_often_than_stated_and_a_better_one_mostly():
    def promoted(kind: Kind) -> float:
        judged = [judge(a, b, True, CONFIG).promoted for a, b in rounds(kind, 200, seed=7)]
        return float(np.mean(judged))

    allowed = 0.05 + 3.0 * math.sqrt(0.05 * 0.95 / 200)
    assert promoted(Kind(overlap=0.5)) <= allowed
    assert promoted(Kind(horizon=20)) <= allowed  # 15 % with percentile intervals
    assert promoted(Kind(edge=0.8)) > 0.75
