"""How often this data was asked before: every fit, finished, failed or aborted.

Two records that survive each other.  `trials/trials.jsonl` in the home folder is only ever added
to, before a fit begins, so that neither a kill nor deleting a run lowers the count; the tags of the
runs in MLflow hold the same ids, so that losing the file does not either.  What is the same fit,
down to its seed and the bytes of its samples, is one trial however often it runs.

`rnntrade diagnose` leaves no run in MLflow: its fits are in the file alone.  What an audit trains
is not noted, since nobody judges it.

What was tried on any of its tickers counts, whatever the source and the first and last day: else
one more session, or one ticker less, would make every earlier trial forgotten.
"""

from itertools import chain
from typing import Any

import pandas as pd
from pydantic import BaseModel

from rnntrade.config import DataConfig, Experiment
from rnntrade.evaluation.metrics import sharpe_ratio
from rnntrade.evaluation.verdict import Trials
from rnntrade.fingerprint import fingerprint
from rnntrade.types import Books, Windows
from tasks import clock
from tasks.ledger import Ledger, markets
from tasks.plain import task
from tasks.refs import Ref, Tables, data_fingerprint
from tasks.tracking.runs import RunIds, recorded_trials, tag_trials

TRIALS = Ledger("trials")


class Line(BaseModel):
    """One line of the file."""

    id: str
    kind: str  # "fit" or "strategy"
    attempt: str  # which model with which settings
    model: str
    markets: tuple[str, ...]  # whose prices
    data: str  # fingerprint of them
    until: str  # last session of them
    sharpe: float | None = None  # of a strategy, per session
    run: str  # parent run in MLflow
    noted: str  # when, UTC


@task("note_fits")
def note_fits(
    ids: RunIds,
    experiment: Experiment,
    prices: Tables,
    windows: dict[str, Ref[Windows]],
    folds: int,
) -> Trials:
    """Write down every fit that is about to begin; say what was tried so far, these included."""
    shared = _shared(ids, experiment.data, prices)
    lines: dict[str, list[Line]] = {}
    for model in experiment.models:
        question = (windows[model.name].digest, model, experiment.training, experiment.seed)
        own = {"kind": "fit", "model": model.name, **shared}
        own["attempt"] = fingerprint((*question, experiment.members, folds))
        lines[model.name] = [
            Line(id=fingerprint(("fit", *question, fold, member)), **own)
            for fold in range(folds)
            for member in range(experiment.members)
        ]
    note([*chain.from_iterable(lines.values())])
    for name, run_id in ids.children.items():
        first, fits = lines[name][0], [line.id for line in lines[name]]
        tag_trials(run_id, first.markets, first.attempt, fits)
    return known_trials(experiment.data)


@task("note_strategies")
def note_strategies(
    ids: RunIds, experiment: Experiment, prices: Tables, backtests: dict[str, Ref[Books]]
) -> Trials:
    """Write down what each strategy earned, before anyone judges it; say what was tried so far."""
    year = experiment.backtest.sessions_per_year
    risk_free = experiment.backtest.risk_free_rate / year
    shared = _shared(ids, experiment.data, prices)
    lines = []
    for name, ref in backtests.items():
        returns = ref.load().strategy.returns
        ratio = sharpe_ratio(returns, risk_free, year) / year**0.5
        own = {"kind": "strategy", "model": name, "sharpe": ratio if ratio == ratio else None}
        lines.append(Line(id=ref.digest[:16], attempt=ref.digest[:16], **own, **shared))
    note(lines)
    return known_trials(experiment.data)


def known_trials(config: DataConfig) -> Trials:
    """All that was ever tried on this data, from the file and from MLflow."""
    lines = read_lines(config)
    fits, attempts = recorded_trials(markets(config))
    fits |= {line.id for line in lines if line.kind == "fit"}
    attempts |= {line.attempt for line in lines if line.kind == "fit"}
    strategies = {line.id: line.sharpe for line in lines if line.kind == "strategy"}
    return Trials(
        fits=tuple(sorted(fits)),
        attempts=tuple(sorted(attempts)),
        strategies=tuple(sorted(strategies)),
        sharpes=tuple(r for _, r in sorted(strategies.items()) if r is not None),
    )


def read_lines(config: DataConfig) -> list[Line]:
    """Return what was tried on any of these tickers."""
    own = set(markets(config))
    return [line for line in _all_lines() if own & set(line.markets)]


def _all_lines() -> list[Line]:
    return TRIALS.read(Line.model_validate)


def last_session(prices: Tables) -> str:
    """Return the newest session of any ticker, YYYY-MM-DD."""
    return str(max(pd.Timestamp(ref.load().index[-1]) for ref in prices.values()).date())


def _shared(ids: RunIds, config: DataConfig, prices: Tables) -> dict[str, Any]:
    return {
        "markets": markets(config),
        "data": data_fingerprint(prices),
        "until": last_session(prices),
        "run": ids.parent,
        "noted": clock.stamp(),
    }


def note(lines: list[Line]) -> None:
    """Add what is new."""
    with TRIALS.locked():
        known = {(line.id, line.markets) for line in _all_lines()}
        new = [line for line in lines if (line.id, line.markets) not in known]
        TRIALS.add([line.model_dump(mode="json") for line in new])
