"""The run's report, as a task."""

import platform
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version
from itertools import chain
from typing import TYPE_CHECKING

import pandas as pd

from rnntrade.audit.findings import AuditReport
from rnntrade.config import OPEN_END, Experiment
from rnntrade.evaluation.compare import Comparison
from rnntrade.fingerprint import fingerprint
from rnntrade.report.contents import AttentionExample, ReportContents, StrategyContents
from rnntrade.samples.windows import gather, standardise
from tasks.caching import step
from tasks.refs import ModelRefs, Ref, Tables, data_fingerprint, load_all, publish, read_prices
from tasks.tracking.runs import commit

if TYPE_CHECKING:
    from rnntrade.labels.regimes import Labels


@step("report", of=__name__)
def report(
    experiment: Experiment,
    prices: Tables,
    warnings: list[str],
    features: Tables,
    labels: "list[Ref[Labels]]",
    models: dict[str, ModelRefs],
    about: dict[str, str],
    audited: Ref[AuditReport],
    compared: dict[str, Ref[Comparison]],
) -> Ref[None]:
    """Draw every figure, fill every table, and bind them into one page."""
    from rnntrade.report.page import write_report

    tables = load_all(features)
    contents = ReportContents(
        experiment=experiment,
        provenance=about,
        prices=read_prices(prices),
        features=tables,
        regimes=labels[-1].load().regimes,
        fits={name: load_all([*chain.from_iterable(refs.fits)]) for name, refs in models.items()},
        predictions={n: refs.load_predictions() for n, refs in models.items() if refs.baselines},
        evaluations={n: refs.evaluation.load() for n, refs in models.items() if refs.evaluation},
        strategies={
            name: StrategyContents(refs.books.load(), refs.strategy.load())
            for name, refs in models.items()
            if refs.books and refs.strategy
        },
        attention=_attention(models, tables),
        findings=warnings,
        audit=audited.load(),
        comparison=load_all(compared),
        holdout=about["final holdout"],
    )
    with publish("report") as out:
        write_report(out.folder, contents)
    return out.ref


def describe(experiment: Experiment, prices: Tables, device: str, holdout: str) -> dict[str, str]:
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
        "git commit": commit(", edited since", none="not a checkout"),
        "seed": f"{experiment.seed}, {experiment.members} member(s) a model",
        "python": platform.python_version(),
        "packages": ", ".join(f"{name} {version(name)}" for name in packages),
    }


def _attention(
    models: Mapping[str, ModelRefs], features: Mapping[str, pd.DataFrame]
) -> AttentionExample | None:
    for name, refs in models.items():
        weights = refs.predictions.load().attention
        if weights is not None:
            samples, targets = refs.windows.load().fold(len(refs.fits) - 1)
            ticker, test = str(weights.index[0]), targets.fold.test
            newest = test[samples.spans.ticker[test] == ticker][-1:]
            rows = standardise(samples.rows, refs.fits[-1][0].load().scaler)
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
