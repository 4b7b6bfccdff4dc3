"""The audit finds nothing where there is nothing, compares what it says, and replaces honestly."""

from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pytest

from rnntrade.audit.causality import audit_causality
from rnntrade.audit.findings import Change, Probe, kind_of_series
from rnntrade.audit.perturb import PERTURBATIONS, replace_future
from rnntrade.chain import CHAIN
from rnntrade.codec import plain
from rnntrade.config import BacktestConfig, DataConfig, LabelConfig, SplitConfig, TradingConfig
from rnntrade.data.synthetic import generate
from rnntrade.labels.regimes import Regimes, learn_regimes
from rnntrade.samples.splits import boundaries
from rnntrade.types import FIELDS, Prices
from tests.audit.experiments import WALK, experiment

SOME = ("returns", "rsi", "macd_signal", "bb_position")


def generated(sessions: int = 800) -> Prices:
    config = DataConfig(source="synthetic")
    first, last = date(2010, 1, 1), date(2014, 1, 1)
    return Prices.join(
        {
            ticker: generate(ticker, first, last, config).loc["2010":].iloc[:sessions]
            for ticker in ("AAA", "BBB")
        }
    )


@pytest.mark.parametrize(
    ("models", "more"),
    [
        (("direction",), {}),
        (("regime",), {"split": WALK}),
        (("forecast",), {"split": replace(WALK, window="rolling")}),
        (("attention",), {"labels": LabelConfig(thresholds="expanding", min_sessions=120)}),
        (
            ("direction",),
            {
                "labels": LabelConfig(kind="hmm"),
                "trading": TradingConfig(regime_filter="flat"),
            },
        ),
        (
            (),
            {
                "labels": LabelConfig(kind="jump", jump_penalty=2.0),
                "backtest": BacktestConfig(execution="close", slippage_volatility=0.1),
                "trading": TradingConfig(sizing="confidence", long_only=True),
            },
        ),
    ],
    ids=["holdout", "expanding", "rolling", "thresholds", "hmm, filtered", "jump, at the close"],
)
def test_nothing_is_found_where_nothing_leaks(
    models: tuple[str, ...], more: dict[str, object], prices: Prices
) -> None:
    audited = audit_causality(prices, experiment(models, 3, **more), features=SOME)
    assert audited.findings == ()
    assert audited.clean
    everywhere = {"prices", "features", "thresholds", "regimes", "positions", "equity", "rules"}
    assert everywhere <= set(audited.comparisons)
    learned = {"targets", "samples", "split", "scaler", "fit", "epoch", "predictions"}
    assert not models or learned | {"baselines", "end to end"} <= set(audited.comparisons)
    assert all(count > 0 for count in audited.comparisons.values())


def test_nothing_is_found_in_generated_prices_without_long_holes() -> None:
    audited = audit_causality(generated(), experiment(("direction",), 8), features=SOME)
    assert audited.clean, [finding.sentence() for finding in audited.findings]


def test_an_opened_holdout_is_what_is_audited(prices: Prices) -> None:
    """Walk-forward folds tell regimes apart honestly; the holdout's own fold does not."""
    opened = prices.sessions[640]

    def leaky(
        close: pd.Series, config: LabelConfig, training: tuple[pd.Timestamp, pd.Timestamp]
    ) -> Regimes:
        late = training[1] == prices.sessions[prices.sessions < fold.validation][-1]
        until = prices.sessions[-1] if late else training[1]
        return learn_regimes(close, config, (training[0], until))

    chosen = experiment(split=WALK)
    (fold,) = boundaries(prices.sessions, chosen.split, opened)
    assert fold.test == opened
    chain = replace(CHAIN, regimes=leaky)
    ordinary, holdout = (
        audit_causality(prices, chosen, chain, features=("returns",), test_from=day)
        for day in (None, opened)
    )
    assert ordinary.clean
    assert {finding.stage for finding in holdout.findings} == {"thresholds"}
    assert "the test part" in holdout.findings[0].kind
    honest = experiment(("direction",), 8, split=WALK)
    assert audit_causality(prices, honest, features=("returns",), test_from=opened).clean


def test_thresholds_of_the_full_sample_are_found(prices: Prices) -> None:
    leaky = experiment(labels=LabelConfig(thresholds="full_sample"))
    audited = audit_causality(prices, leaky, features=("returns",))
    assert [finding.stage for finding in audited.findings] == ["thresholds"]
    assert "outside training" in audited.findings[0].kind
    assert "the test part" in audited.findings[0].kind


def test_the_same_seed_finds_the_same(prices: Prices) -> None:
    leaky = experiment(labels=LabelConfig(thresholds="full_sample"), seed=3)
    one, two = (audit_causality(prices, leaky, features=("rsi",)) for _ in range(2))
    assert plain(one) == plain(two)


@pytest.mark.parametrize("name", PERTURBATIONS)
@pytest.mark.parametrize("last", [0, 149, 302, 450, 698])
def test_a_replaced_future_leaves_the_past_and_valid_bars(
    name: str, last: int, prices: Prices
) -> None:
    other = replace_future(prices, last, name, np.random.default_rng(0))
    for field in FIELDS:
        before, after = (getattr(each, field).iloc[: last + 1] for each in (prices, other))
        pd.testing.assert_frame_equal(before, after, check_exact=True, check_freq=False)
    values = {field: getattr(other, field).to_numpy() for field in FIELDS}
    there = np.isfinite(values["close"])
    for field in FIELDS:
        np.testing.assert_array_equal(np.isfinite(values[field]), there)
    for field in ("open", "high", "low", "close", "raw_close"):
        assert (values[field][there] > 0.0).all()
    assert (values["high"] >= np.maximum(values["open"], values["close"]))[there].all()
    assert (values["low"] <= np.minimum(values["open"], values["close"]))[there].all()
    assert (values["volume"][there] >= 0.0).all()
    if name == "cut":
        assert len(other.sessions) == last + 1
    elif last < 600:
        assert not prices.close.iloc[last + 1 :].equals(other.close.iloc[last + 1 :])


def test_a_replaced_future_is_what_its_name_says(prices: Prices) -> None:
    def future(name: str) -> pd.Series:
        other = replace_future(prices, 400, name, np.random.default_rng(0))
        return other.close["WHOLE"].iloc[400:]

    true = prices.close["WHOLE"].iloc[400:]
    steps = np.log(true).diff().dropna()
    np.testing.assert_allclose(np.log(future("volatility x10")).diff().dropna(), 10 * steps)
    assert (future("flat") == true.iloc[0]).all()
    np.testing.assert_allclose(future("x1000").iloc[1:], 1000 * true.iloc[1:])
    np.testing.assert_array_equal(future("reversed").iloc[1:], true.iloc[:0:-1])
    assert future("missing").isna().sum() == pytest.approx(150, abs=40)
    assert np.log(future("jitter 1 %") / true).iloc[1:].std() == pytest.approx(0.01, rel=0.2)


def change(reach: int, name: str = "cut", vanished: bool = False, ordinary: bool = True) -> Change:
    probe = Probe(1, pd.Timestamp("2020-01-02"), name)
    return Change("A rsi", probe, "2020-01-01", reach, 400, 1, vanished, ordinary, 1.0, 2.0)


def test_the_kind_follows_from_what_changed() -> None:
    assert kind_of_series([change(2, vanished=True), change(3, vanished=True)]) == (
        "negative shift or centred window, reach 3 sessions"
    )
    assert kind_of_series([change(3), change(390)]) == "whole-sample statistic"
    assert (
        kind_of_series([change(3)], near="smoothed states") == "smoothed states, reach 3 sessions"
    )
    holes = [change(2, vanished=True, ordinary=False)]
    assert kind_of_series(holes) == "fills missing values from the future"


def test_a_split_with_too_few_sessions_is_told(prices: Prices) -> None:
    from rnntrade.errors import DataError

    with pytest.raises(DataError, match="too few"):
        audit_causality(prices, experiment(split=SplitConfig(train_sessions=900)))
