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

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd
from filelock import FileLock
from prefect import task
from prefect.cache_policies import NO_CACHE
from pydantic import BaseModel

from rnntrade.config import DataConfig, Experiment
from rnntrade.evaluation.metrics import sharpe_ratio
from rnntrade.evaluation.trials import Trials
from rnntrade.fingerprint import fingerprint
from rnntrade.storage import explained
from rnntrade.trading.files import load_backtest
from tasks import clock
from tasks.artifacts import Ref, data_fingerprint
from tasks.home import home
from tasks.tables import read_bars
from tasks.tracking.runs import RunIds, recorded_trials, tag_trials


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


def markets(config: DataConfig) -> tuple[str, ...]:
    """Names of what trials are counted on, one a ticker, whoever its prices come from."""
    if config.source == "synthetic":
        return tuple(f"{ticker} {config.process} {config.seed}" for ticker in config.tickers)
    return tuple(ticker.strip().upper() for ticker in config.tickers)


@task(task_run_name="note_fits", cache_policy=NO_CACHE)
def note_fits(
    ids: RunIds, experiment: Experiment, prices: dict[str, Ref], samples: dict[str, Ref], folds: int
) -> Trials:
    """Write down every fit that is about to begin; say what was tried so far, these included."""
    about = _about(ids, experiment.data, prices)
    lines = []
    for model in experiment.models:
        asked = (samples[model.name].digest, model, experiment.training, experiment.seed)
        attempt = fingerprint((*asked, experiment.members, folds))
        lines += [
            Line(
                id=fingerprint(("fit", *asked, fold, member)),
                kind="fit",
                attempt=attempt,
                model=model.name,
                **about,
            )
            for fold in range(folds)
            for member in range(experiment.members)
        ]
    _note(lines)
    for name, run_id in ids.children.items():
        own = [line for line in lines if line.model == name]
        tag_trials(run_id, own[0].markets, own[0].attempt, [line.id for line in own])
    return known_trials(experiment.data)


@task(task_run_name="note_strategies", cache_policy=NO_CACHE)
def note_strategies(
    ids: RunIds, experiment: Experiment, prices: dict[str, Ref], backtests: dict[str, Ref]
) -> Trials:
    """Write down what each strategy earned, before anyone judges it; say what was tried so far."""
    year = experiment.backtest.sessions_per_year
    risk_free = experiment.backtest.risk_free_rate / year
    about = _about(ids, experiment.data, prices)
    lines = []
    for name, ref in backtests.items():
        returns = load_backtest(ref.folder / "strategy").returns
        ratio = sharpe_ratio(returns, risk_free, year) / year**0.5
        lines.append(
            Line(
                id=ref.digest[:16],
                kind="strategy",
                attempt=ref.digest[:16],
                model=name,
                sharpe=ratio if ratio == ratio else None,
                **about,
            )
        )
    _note(lines)
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
    """Return what was tried on any of these tickers.

    A line cut short by a kill is left out: what it noted never began.
    """
    own = set(markets(config))
    return [line for line in _all_lines() if own & set(line.markets)]


def _all_lines() -> list[Line]:
    path = _path()
    if not path.is_file():
        return []
    lines = []
    for text in path.read_text(encoding="utf-8").splitlines():
        try:
            lines.append(Line(**json.loads(text)))
        except ValueError:
            continue
    return lines


def last_session(prices: dict[str, Ref]) -> str:
    """Return the newest session of any ticker, YYYY-MM-DD."""
    return str(max(pd.Timestamp(read_bars(ref).index[-1]) for ref in prices.values()).date())


def _about(ids: RunIds, config: DataConfig, prices: dict[str, Ref]) -> dict[str, Any]:
    """What all lines of a run share."""
    return {
        "markets": markets(config),
        "data": data_fingerprint(prices),
        "until": last_session(prices),
        "run": ids.parent,
        "noted": clock.stamp(),
    }


def _note(lines: Iterable[Line]) -> None:
    """Add what is new, flushed to the disk: it must be there before the fit begins."""
    path = _path()
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock"):
            known = {(line.id, line.markets) for line in _all_lines()}
            append_lines(
                path,
                [each.model_dump_json() for each in lines if (each.id, each.markets) not in known],
            )


def append_lines(path: Path, lines: list[str]) -> None:
    """Add lines, on the disk when this returns; they begin anew after one that a kill cut short."""
    if not lines:
        return
    text = "".join(f"{line}\n" for line in lines)
    with path.open("ab+") as file:
        file.seek(0, os.SEEK_END)
        if file.tell():
            file.seek(-1, os.SEEK_END)
            text = text if file.read(1) == b"\n" else f"\n{text}"
        file.write(text.encode())
        file.flush()
        os.fsync(file.fileno())


def _path() -> Path:
    return home() / "trials" / "trials.jsonl"
