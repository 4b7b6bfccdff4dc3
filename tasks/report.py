"""The run's report, as a task."""

import platform
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version

import pandas as pd
from pydantic import BaseModel

from rnntrade.audit.findings import Finding
from rnntrade.config import OPEN_END, Experiment, ModelConfig
from rnntrade.evaluation.models import ModelEvaluation
from rnntrade.evaluation.strategies import StrategyEvaluation
from rnntrade.fingerprint import fingerprint
from rnntrade.report.contents import (
    AttentionExample,
    AuditSummary,
    ReportContents,
    StrategyContents,
)
from rnntrade.report.page import write_report
from rnntrade.samples.files import load_samples
from rnntrade.samples.scaling import standardise
from rnntrade.samples.windows import gather
from rnntrade.trading.files import load_backtest
from rnntrade.types import Fit
from tasks.artifacts import Ref, data_fingerprint, publish
from tasks.audited import load_audit
from tasks.caching import cached_task
from tasks.comparison import load_comparisons
from tasks.evaluation import load_evaluation
from tasks.tables import Labels, read_predictions, read_prices
from tasks.tracking.runs import commit


class ModelLine(BaseModel):
    """What one model's steps made."""

    model: ModelConfig
    samples: Ref
    fits: list[list[Ref]]  # by fold, then by member
    predictions: Ref
    baselines: Ref | None = None
    evaluation: Ref | None = None
    backtest: Ref | None = None
    strategy: Ref | None = None  # its evaluation
    desk: Ref | None = None  # what is registered


@cached_task("report")
def report(
    experiment: Experiment,
    prices: dict[str, Ref],
    warnings: list[str],
    features: dict[str, Ref],
    labels: Labels,
    lines: dict[str, ModelLine],
    about: dict[str, str],
    audited: Ref,
    together: Ref,
) -> Ref:
    """Draw every figure, fill every table, and bind them into one page."""
    from rnntrade.training.fits import load_fit

    bars = read_prices(prices)
    evaluations = {
        name: load_evaluation(ModelEvaluation, line.evaluation) for name, line in lines.items()
    }
    tables = {
        ticker: pd.read_parquet(ref.folder / "features.parquet") for ticker, ref in features.items()
    }
    contents = ReportContents(
        experiment=experiment,
        provenance=about,
        prices=bars,
        features=tables,
        regimes=pd.read_parquet(labels.ref.folder / f"regimes_{labels.folds - 1}.parquet"),
        fits={
            name: [load_fit(ref.folder) for members in line.fits for ref in members]
            for name, line in lines.items()
        },
        predictions={
            name: read_predictions(line.predictions, line.baselines)
            for name, line in lines.items()
            if line.baselines
        },
        evaluations=evaluations,
        strategies={name: _strategy(line) for name, line in lines.items() if line.strategy},
        attention=_attention(lines, tables),
        findings=warnings,
        audit=_audit(audited),
        comparison={each.question: each for each in load_comparisons(together)},
        holdout=about["final holdout"],
    )
    with publish("report") as out:
        write_report(out.folder, contents)
    return out.ref


def describe(
    experiment: Experiment, prices: Mapping[str, Ref], device: str, holdout: str
) -> dict[str, str]:
    """Where the run's figures come from, in words."""
    packages = ("torch", "pandas", "numpy", "scikit-learn", "arch", "prefect", "mlflow")
    data = experiment.data
    until = "from {} on" if data.end >= OPEN_END else "{} to {}"
    return {
        "source": f"{data.source}, {', '.join(data.tickers)}, {until.format(data.start, data.end)}",
        "data fingerprint": data_fingerprint(prices),
        "experiment fingerprint": fingerprint(asdict(experiment)),
        "final holdout": holdout or "none was set aside",
        "device": device,
        "git commit": commit().get("mlflow.source.git.commit", "not a checkout")
        + (", edited since" if commit().get("git.edited") == "true" else ""),
        "seed": f"{experiment.seed}, {experiment.members} member(s) a model",
        "python": platform.python_version(),
        "packages": ", ".join(f"{name} {version(name)}" for name in packages),
    }


def _audit(audited: Ref) -> AuditSummary:
    about = load_audit(audited)
    return AuditSummary(
        clean=about["clean"],
        comparisons=about["comparisons"],
        findings=[Finding(**each).sentence() for each in about["findings"]],
        warm_up=pd.read_parquet(audited.folder / "warmup.parquet"),
    )


def _strategy(line: ModelLine) -> StrategyContents:
    assert line.backtest is not None
    assert line.strategy is not None
    folder = line.backtest.folder
    return StrategyContents(
        weights=pd.read_parquet(folder / "target.parquet"),
        probability=pd.read_parquet(folder / "probability.parquet"),
        backtest=load_backtest(folder / "strategy"),
        benchmark=load_backtest(folder / "benchmark"),
        evaluation=load_evaluation(StrategyEvaluation, line.strategy),
    )


def _attention(
    lines: Mapping[str, ModelLine], features: Mapping[str, pd.DataFrame]
) -> AttentionExample | None:
    """Where the first network with attention looked in its newest window."""
    from rnntrade.training.fits import load_fit

    for name, line in lines.items():
        told = line.predictions.folder / "attention.parquet"
        if told.is_file():
            samples, fold = load_samples(line.samples.folder, len(line.fits) - 1)
            weights = pd.read_parquet(told)
            ticker = str(weights.index[0])
            newest = fold.fold.test[samples.spans.ticker[fold.fold.test] == ticker][-1:]
            fit: Fit = load_fit(line.fits[-1][0].folder)
            rows = standardise(samples.rows, fit.scaler)
            window = gather(rows, samples.last[newest], samples.lookback)[0]
            sessions = features[ticker].loc[: samples.spans.decision[newest[0]]].index
            return AttentionExample(
                model=name,
                ticker=ticker,
                sessions=pd.DatetimeIndex(sessions[-samples.lookback :]),
                weights=weights.loc[ticker].to_numpy(dtype=float),
                window=window.astype(float),
                names=samples.features,
            )
    return None
