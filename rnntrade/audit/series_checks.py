"""Causality of what is computed session by session: prices, features, regimes, targets.

Each stage is fed with prices that are clean up to t and replaced after it, so a leak in the stage
before it cannot show here.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import count

import numpy as np
import pandas as pd

from rnntrade.audit.evidence import Change, Evidence, kind_of_series
from rnntrade.audit.findings import Audited, Finding, merge
from rnntrade.audit.perturb import replace_future
from rnntrade.audit.setting import Setting
from rnntrade.config import ModelConfig
from rnntrade.features.sets import FEATURES
from rnntrade.labels.regimes import Labels
from rnntrade.objectives.lookup import objective_of
from rnntrade.types import FIELDS, Boundary

COSTLY = ("cut", "x1000", "reversed")  # for stages that fit something
TURNING = ("flat", "x1000", "cut")  # make rises of falls, and falls of rises
ASKED = 10  # sessions at which targets are looked at


def audit_prices(setting: Setting) -> Audited:
    """What is done to the prices before anything else."""
    evidence = Evidence("prices")
    for last, name, _ in setting.probes():
        other = replace_future(setting.given, last, name, setting.rng(last, name))
        changed, probe = setting.chain.prices(other), setting.probe(last, name)
        whole = all(setting.ordinary(ticker, last) for ticker in setting.given.tickers)
        for field in FIELDS:
            evidence.compare(
                field, getattr(setting.prices, field), getattr(changed, field), probe, whole
            )
    return evidence.audited(partial(kind_of_series, whole="prices adjusted with later information"))


def audit_features(setting: Setting, names: tuple[str, ...] = tuple(FEATURES)) -> Audited:
    """Every feature of every ticker, row by row."""
    evidence = Evidence("features")
    clean = setting.chain.compute_features(setting.prices, names)
    for last, name, ticker in setting.probes():
        bars = setting.replaced(last, name).bars(ticker)
        if len(bars):
            again, probe = setting.chain.features(bars, names), setting.probe(last, name)
            ordinary = setting.ordinary(ticker, last)
            evidence.compare(ticker, clean[ticker], again, probe, ordinary)
    return evidence.audited(kind_of_series)


def audit_regimes(setting: Setting, labels: Sequence[Labels]) -> Audited:
    """Thresholds and regimes of the audited folds: known from the eve of validation on.

    A regime that moved because a threshold did is the threshold's leak, and told once.
    """
    evidence, learned = Evidence("regimes"), Evidence("thresholds")
    for clean in labels:
        fold = clean.boundary
        span = (fold.training, _eve(setting, fold))
        for last, name, ticker in _from_eve(setting, fold):
            close = setting.replaced(last, name).bars(ticker)["close"]
            probe, series = setting.probe(last, name), f"fold {fold.number} {ticker}"
            regimes, after, *_ = setting.chain.regimes(close, setting.experiment.labels, span)
            before = clean.thresholds[ticker]
            same = learned.compare_numbers(
                series,
                np.array([before.median, before.upper]),
                np.array([after.median, after.upper]),
                span[1],
                probe,
            )
            if same:
                evidence.compare(
                    series,
                    clean.regimes[ticker].to_frame("regime"),
                    regimes.to_frame("regime"),
                    probe,
                    setting.ordinary(ticker, last),
                )
    tests = {f"fold {each.boundary.number}": each.boundary.test for each in labels}
    return merge(
        [
            learned.audited(partial(_kind_of_threshold, tests=tests)),
            evidence.audited(partial(kind_of_series, near="smoothed states")),
        ]
    )


def audit_targets(setting: Setting, labels: Labels, model: ModelConfig) -> Audited:
    """How far the model's target looks ahead, measured: exactly its horizon, no less and no more.

    A row that changes when everything after t is replaced looks at least to t + 1; over many t the
    furthest such look is the target's own.  A ticker without a single known target is passed over.
    """
    looks: dict[str, tuple[int, str, str]] = {}
    compared = 0
    objective = objective_of(model, labels.classes)
    for ticker in setting.prices.tickers:
        close = setting.prices.bars(ticker)["close"]
        regimes = labels.regimes[ticker].reindex(close.index)
        clean = setting.chain.target(objective, close, regimes).to_numpy(float)
        rows = setting.few(len(close) // 8, len(close) - 1, ASKED)
        last = [
            row + 1 - model.horizon for row in rows if 0 <= row + 1 - model.horizon < len(close)
        ]
        if not np.isfinite(clean[last]).any():  # of a ticker listed too late to have a label
            continue
        furthest, when, probe = 0, f"{close.index[0]:%Y-%m-%d}", ""
        for row in rows:
            for name in TURNING:
                other_close = _other_close(close, row, name)
                other_regimes = _other_regimes(regimes, row, name)
                other = setting.chain.target(objective, other_close, other_regimes)
                again = other.to_numpy(float)[: row + 1]
                old = clean[: row + 1]
                changed = ((old != again) & ~(np.isnan(old) & np.isnan(again))).any(axis=1)
                compared += old.size
                if changed.any() and row + 1 - int(changed.argmax()) > furthest:
                    furthest = row + 1 - int(changed.argmax())
                    when = f"{close.index[int(changed.argmax())]:%Y-%m-%d}"
                    probe = f"{name} after {close.index[row]:%Y-%m-%d}"
        looks[ticker] = (furthest, when, probe)
    findings = [
        Finding(
            "causality",
            "targets",
            f"{model.task} {ticker} (horizon {model.horizon})",
            when,
            _kind_of_target(furthest, model.horizon, len(setting.prices.sessions)),
            f"{probe}: changed {furthest} sessions before" if probe else "no future changed it",
        )
        for ticker, (furthest, when, probe) in looks.items()
        if furthest != model.horizon
    ]
    return Audited({"targets": compared}, tuple(findings))


def _kind_of_target(furthest: int, horizon: int, sessions: int) -> str:
    promised = f"looks {furthest} sessions ahead, horizon {horizon}"
    if furthest == 0:
        return f"label does not look ahead: it is known at the decision ({promised})"
    if furthest > sessions // 10 > horizon:
        return f"label uses a whole-sample statistic ({promised})"
    if furthest > horizon:
        return f"label ends later than its span says ({promised})"
    return f"label ends before its horizon ({promised})"


def _kind_of_threshold(changes: Sequence[Change], tests: dict[str, pd.Timestamp]) -> str:
    through = {
        change.probe.session >= next(t for name, t in tests.items() if _is_of(change, name))
        for change in changes
    }
    where = "the test part" if True in through else "the validation part"
    return f"threshold learned outside training: it knows {where}"


def _is_of(change: Change, fold: str) -> bool:
    return change.series.startswith(f"{fold} ")


def _from_eve(setting: Setting, fold: Boundary) -> Iterator[tuple[int, str, str]]:
    """Probes that a fold's regimes must survive: cheap regimes many, statistical ones few."""
    first = setting.position(fold.validation) - 1
    if setting.experiment.labels.kind == "rule":
        yield from (each for each in setting.probes() if each[0] >= first)
        return
    tickers, turns = setting.prices.tickers, count()
    edges = [first, setting.position(fold.test)]
    inside = setting.few(first + 1, len(setting.prices.sessions) - 1, 3)
    for last in sorted({*edges, *inside}):
        for name in COSTLY:
            yield last, name, tickers[next(turns) % len(tickers)]


def _eve(setting: Setting, fold: Boundary) -> pd.Timestamp:
    return setting.prices.sessions[setting.position(fold.validation) - 1]


def _other_close(close: pd.Series, row: int, name: str) -> pd.Series:
    """Closes of one ticker, replaced after a row."""
    future, past = close.iloc[row + 1 :], float(close.iloc[row])
    ways: Mapping[str, Callable[[], pd.Series]] = {
        "flat": lambda: future * 0.0 + past,
        "x1000": lambda: future * 1000.0,
        "cut": lambda: future * np.nan,
    }
    return pd.Series(pd.concat([close.iloc[: row + 1], ways[name]()]))


def _other_regimes(regimes: pd.Series, row: int, name: str) -> pd.Series:
    """Regimes after a row are all others; cut, they are missing."""
    future = regimes.iloc[row + 1 :]
    other = future * np.nan if name == "cut" else (future + 1.0) % 4.0
    return pd.Series(pd.concat([regimes.iloc[: row + 1], other]))
