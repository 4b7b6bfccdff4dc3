"""The causality audit: replace the future, and see that no number of the past moves.

One loop over the chain's table (`stages.py`): for every stage, everything after a session t is
replaced in seven ways (`perturb.py`), and every number that the stage dates t or before must come
out bit-identical; labels must look ahead exactly their horizon.  Cheap stages are probed at special
sessions (fold boundaries and their neighbours, first and last rows, holes, listings) and at
`audit.sessions` random ones.  Costly stages are probed at the boundaries of the last fold, and of
the first for one model a question, or at a few sessions, with networks of four hidden units on the
newest sessions of each part.  Fold dates come from the calendar alone and are held fixed.

A stage is fed with what is clean up to t, so a leak is found where it arises.  A model is judged
from its target to its predictions, until something leaks; so are the books; and the chain end to
end only when every stage is clean.  The engine's prices of fills are the oracles', and the served
model is `replay.py`'s.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from rnntrade.audit.findings import Audited, Evidence, Finding, merge
from rnntrade.audit.line import Line
from rnntrade.audit.stages import (
    BASELINES,
    FEATURES,
    JUDGES,
    LEARNED,
    LONG,
    PRICES,
    REGIMES,
    SAMPLES,
    TRADING,
    TUNED,
    WHOLE,
    Stage,
    few,
    spread,
)
from rnntrade.chain import Chain, chain_of
from rnntrade.config import Experiment
from rnntrade.features.indicators import FEATURES as EVERY_FEATURE
from rnntrade.types import Boundary, Fold, Predictions, Prices, Spans

SMALL = {"hidden_size": 4, "num_layers": 1, "dropout": 0.0, "max_epochs": 2}
BRISK = {"learning_rate": 1e-2, "batch_size": 128}  # so that two epochs differ, in a few steps
ASKED = 8  # sessions at which targets are looked at
TURNING = ("cut", "flat", "cut", "x1000")  # make rises of falls, and falls of rises
GROUPS = ("prices", "features", "regimes", "models", "trading")
TRADED, RULED = 100, 400  # newest sessions of a made-up strategy; of the prices for rules beside it


def audit_causality(
    prices: Prices,
    experiment: Experiment,
    chain: Chain | None = None,
    features: tuple[str, ...] = tuple(EVERY_FEATURE),
    test_from: pd.Timestamp | None = None,
    groups: tuple[str, ...] = GROUPS,
) -> Audited:
    """Hunt for numbers that knew their future.

    prices      all that the experiment would see
    experiment  its labels, split, models, trading and backtest; networks are made tiny
    chain       the steps, the library's own unless replaced
    features    which ones; the models' inputs are sampled from the same functions anyway
    test_from   first session of an opened holdout, whose one fold is then audited
    groups      of stages; the chain as a whole is audited only after all of them
    returns     comparisons by stage, and a finding for each kind of leak in each stage
    errors      DataError when the prices are too few for the experiment
    """
    small = tuple(replace(model, **SMALL) for model in experiment.models)  # type: ignore[arg-type] # names of fields
    training = replace(experiment.training, **BRISK)  # type: ignore[arg-type] # names of fields
    cases = replace(experiment.report, cost_cases=experiment.report.cost_cases[:1])
    experiment = replace(experiment, models=small, training=training, report=cases, members=1)
    chain = chain or chain_of(experiment.backtest.sessions_per_year)
    known = chain.prices(prices)
    folds = chain.boundaries(known.sessions, experiment.split, test_from)
    lines = [
        Line(chain, experiment, known.sessions, folds, fold, {"given": prices, "prices": known})
        for fold in dict.fromkeys((folds[0], folds[-1]))
    ]
    last = replace(lines[-1], features=features)
    checks: Mapping[str, Callable[[], Iterable[Audited]]] = {
        "prices": lambda: [audit_group(PRICES, last)],
        "features": lambda: [audit_group(FEATURES, last)],
        "regimes": lambda: [audit_group(REGIMES, line) for line in lines],
        "models": lambda: audit_models(lines),
        "trading": lambda: [audit_group(TRADING, traded(last))],
    }
    audited = merge(part for group in groups for part in checks[group]())
    if not (audited.clean and experiment.models and groups == GROUPS):
        return audited
    models = [last.of(model) for model in experiment.models]
    whole = next((line for line in models if line.asked.traded), models[0])
    return merge([audited, audit_group(WHOLE, whole)])


def audit_group(stages: Iterable[Stage], line: Line) -> Audited:
    """Stages that follow from each other, until something is found."""
    parts: list[Audited] = []
    for stage in stages:
        parts.append(audit_stage(stage, line))
        if parts[-1].findings:
            break
    return merge(parts)


def audit_stage(stage: Stage, line: Line) -> Audited:
    """Replace the future of what goes into a stage, and compare what comes out."""
    evidence, clean, given = Evidence(), dict(stage.outputs(line)), line["given"].close
    for probe in stage.probes(line):
        again = dict(stage.outputs(line.other(probe, stage.replaced, stage.kept)))
        past = given[[probe.ticker] if probe.ticker else given.columns].iloc[: probe.position + 1]
        traded_long = past.iloc[-1].notna() & (past.notna().sum() > LONG)  # nothing needs filling
        ordinary = not stage.holes or bool(traded_long.all())
        moved = ""
        for (name, series), before in clean.items():
            if moved not in ("", name):
                break  # it follows from what has moved
            if probe.ticker and (name, series) not in again:
                continue
            after = again.get((name, series), before.iloc[:0])  # no window any more, for one
            if not evidence.compare(name, series, before, after, probe, ordinary, stage.tolerance):
                moved = name
    return evidence.audited(dict.fromkeys(name for name, _ in clean), {**JUDGES, **stage.judges})


def audit_models(lines: Sequence[Line]) -> Iterator[Audited]:
    """All that is learned, model by model and fold by fold, each as far as it is clean."""
    asked: dict[tuple[str, int], Audited] = {}  # targets, by question
    seen: set[str] = set()  # tasks of which every fold and the baselines were audited
    for model in lines[-1].experiment.models:
        newest, question = lines[-1].of(model), (model.task, model.horizon)
        if question not in asked:
            asked[question] = audit_targets(newest)
            yield asked[question]
        if asked[question].findings:
            continue
        found = [audit_group((SAMPLES,), newest), audit_split(newest)]
        groups: list[tuple[Line, tuple[Stage, ...]]] = [(newest, LEARNED)]
        groups += [(newest, (TUNED,))] if newest.asked.traded else []
        if model.task not in seen:
            groups += [(newest, (BASELINES,)), *((line.of(model), LEARNED) for line in lines[:-1])]
        for line, stages in groups:
            if any(audited.findings for audited in found):
                break
            found.append(audit_group(stages, line))
        seen.add(model.task)
        yield merge(found)


def audit_targets(line: Line) -> Audited:
    """How far the model's target looks ahead, measured: exactly its horizon, no less and no more.

    A row that changes when everything after t is replaced looks at least to t + 1; over many t the
    furthest such look is the target's own.  A ticker without a single known target is passed over.
    """
    assert line.model is not None
    evidence, horizon, model = Evidence(), line.model.horizon, line.model
    total, ends = len(line.sessions), set()
    for probe in spread(line, few(total // 8, total - 1, ASKED), TURNING, turns=2):
        again = line.other(probe, ("prices", "labels"), ())["targets"]
        for ticker, table in line["targets"].items():
            edge = table.loc[: probe.session].iloc[-horizon:].iloc[:1]
            if np.isfinite(edge.to_numpy(float)).any():
                ends.add(ticker)
            evidence.compare("targets", ticker, table, again[ticker], probe)
    findings = []
    for ticker in sorted(ends):
        own = [c for c in evidence.changes.get("targets", ()) if c.series.split()[0] == ticker]
        furthest = max(own, key=lambda change: change.reach, default=None)
        reach = furthest.reach if furthest else 0
        if reach != horizon:
            series = f"{model.task} {ticker} (horizon {horizon})"
            when = furthest.session if furthest else f"{line.sessions[0]:%Y-%m-%d}"
            detail = furthest.sentence() if furthest else "no future changed it"
            kind = _kind_of_target(reach, horizon, total)
            findings.append(Finding("causality", "targets", series, when, kind, detail))
    return Audited(dict(evidence.compared), tuple(findings))


def audit_split(line: Line) -> Audited:
    """Of no fold of the run a label is known later than the first decision of the next part."""
    spans = line["samples"][0].spans
    parts = []
    for fold in line.folds:
        name = f"fold {fold.number} {line.model.name if line.model else ''}"
        parts.append(audit_spans(spans, line.chain.assign(spans, fold), fold, name))
    return merge(parts)


def audit_spans(spans: Spans, fold: Fold, boundary: Boundary, name: str) -> Audited:
    """One fold's samples: the plainest trespass of each part.

    Windows end at their decision, labels begin after it, and test decisions are of the test part.
    """
    validation, test = (np.datetime64(day) for day in (boundary.validation, boundary.test))
    outside = spans.decision < test
    if boundary.end is not None:
        outside |= spans.decision >= np.datetime64(boundary.end)
    order = (spans.feature_start > spans.decision) | (spans.label_start <= spans.decision)
    rules = [("test", fold.test, outside, "test decision outside the test part")]
    order |= spans.label_end < spans.label_start
    rules.append(("", np.arange(len(spans)), order, "span out of order"))
    for part, rows, later in (
        ("training", fold.training, {"test": test, "validation": validation}),
        ("validation", fold.validation, {"test": test}),
    ):
        come, overlap = f"{part} samples come from the", f"label of a {part} sample overlaps the"
        for other, first in later.items():
            rules.append((part, rows, spans.decision >= first, f"{come} {other} part"))
        for other, first in later.items():
            rules.append((part, rows, ~(spans.label_end <= first), f"{overlap} {other} part"))
    findings: dict[str, Finding] = {}
    for part, rows, wrong, kind in rules:
        strangers = rows[wrong[rows]]
        if len(strangers) and part not in findings:
            row = strangers[np.argmin(spans.decision[strangers])]
            day, end = (
                np.datetime_as_string(d[row], "D") for d in (spans.decision, spans.label_end)
            )
            detail = f"{len(strangers)} samples, the first with a label until {end}"
            series = f"{name} {part}, {spans.ticker[row]}"
            findings[part] = Finding("causality", "split", series, str(day), kind, detail)
    return Audited({"split": len(spans)}, tuple(findings.values()))


def traded(line: Line) -> Line:
    """A strategy of made-up probabilities, regimes and weights on the newest sessions.

    Two members, with no decision now and then: the books must be causal for any.
    """
    prices = line["prices"].on(slice(-RULED, None))
    sessions = prices.sessions[-TRADED:]
    rng = np.random.default_rng([line.experiment.seed, len(sessions)])
    there = prices.close.loc[sessions].notna()
    shape = there.shape
    tables = []
    for member in range(2):
        chance = there.where(there & (rng.random(shape) > 0.05)) * rng.random(shape)
        long = chance.rename_axis("decision").reset_index()
        table = long.melt("decision", var_name="ticker", value_name="p_up").dropna()
        tables.append(table.assign(member=member))
    members = pd.concat(tables, ignore_index=True).assign(part="test", fold=0, truth=np.nan)
    members = members.assign(label_end=pd.NaT)
    table = members.groupby(["part", "fold", "ticker", "decision"], as_index=False)["p_up"].mean()
    regimes = pd.DataFrame(rng.integers(0, 4, shape).astype(float), sessions, there.columns)
    sides = rng.choice([-1.0, 0.0, 1.0, np.nan], shape, p=[0.3, 0.1, 0.5, 0.1])
    drawn = {
        "predictions": Predictions(table.assign(truth=np.nan, label_end=pd.NaT), members),
        "regimes": regimes.mask(rng.random(shape) < 0.05),
        "weights": pd.DataFrame(sides / shape[1], sessions, there.columns),
    }
    values = {"given": prices, "prices": prices, **drawn}
    return replace(line, sessions=prices.sessions, values=values)


def _kind_of_target(furthest: int, horizon: int, sessions: int) -> str:
    measured = f"looks {furthest} sessions ahead, horizon {horizon}"
    if furthest == 0:
        return f"label does not look ahead: it is known at the decision ({measured})"
    if furthest > sessions // 10 > horizon:
        return f"label uses a whole-sample statistic ({measured})"
    if furthest > horizon:
        return f"label ends later than its span says ({measured})"
    return f"label ends before its horizon ({measured})"
