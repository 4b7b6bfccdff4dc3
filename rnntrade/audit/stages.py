"""The stages of the chain as the audit sees them: what goes in, and when what comes out is known.

An output is a table whose index says from which session on a row may be known, under the stage and
series that a finding names.  Whatever is dated up to a session must not move when what goes in is
replaced after it.  Outputs come in the order in which they follow from each other.

A label is dated by the session on which its span says that it ends; what a fit learns by the first
decision after the part that teaches it, on which its labels may end; a filled order by the session
after its decision, where it is filled at the next open.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from functools import partial
from itertools import chain, count
from types import MappingProxyType

import numpy as np
import pandas as pd

from rnntrade.audit.findings import Change, Judge, Probe, kind_of_series
from rnntrade.audit.line import NEWEST, Line
from rnntrade.audit.perturb import WAYS
from rnntrade.audit.reference import FREE, charging
from rnntrade.errors import DataError
from rnntrade.types import FIELDS, Prices, Samples, turbulent_classes

Outputs = Iterator[tuple[tuple[str, str], pd.DataFrame]]  # stage and series, rows by session

LONG = 100  # sessions that a ticker has traded: every feature is long defined
HALTS = 3  # of each ticker, looked into ...
LISTED = 4  # ... of so many tickers
COSTLY = ("x1000", "reversed")
ROUNDING = 1e-12  # a fill rounds the sum that it moves


@dataclass(frozen=True)
class Stage:
    """What the audit needs to know of a part of the chain."""

    replaced: tuple[str, ...]  # steps of the line that are given another future
    outputs: Callable[[Line], Outputs]
    probes: Callable[[Line], Iterable[Probe]]
    kept: tuple[str, ...] = ()  # steps behind them that stay as they are
    judges: Mapping[str, Judge] = field(default_factory=lambda: MappingProxyType({}))
    holes: bool = False  # whether a change in a hole is told from one where the ticker traded
    tolerance: float = 0.0


# Where the future is replaced.


def everywhere(line: Line, first: int = 0, beside: int = 1) -> Iterator[Probe]:
    """At special sessions by a cut and `beside` other ways, and at random ones in one.

    The others take turns, so that neighbours see all seven; and so do tickers, since these stages
    are the same functions of one ticker's bars.  At its own holes and listing it is that ticker.
    """
    tickers, others, turns = line["given"].tickers, WAYS[1:], count()
    total = len(line.sessions) - 1
    rng = np.random.default_rng([line.experiment.seed, total])
    drawn = rng.choice(total, min(line.experiment.audit.sessions, total), replace=False)
    chosen = [
        (last, way, own)
        for turn, (last, own) in enumerate(special(line).items())
        for way in ("cut", *(others[(turn * beside + n) % len(others)] for n in range(beside)))
    ]
    chosen += [(last, WAYS[turn % len(WAYS)], "") for turn, last in enumerate(sorted(drawn))]
    for last, way, own in chosen:
        ticker = own or tickers[next(turns) % len(tickers)]
        listed = line["given"].close[ticker].iloc[: last + 1].notna().any()
        if last >= first and (listed or way != "cut"):
            yield line.probe(int(last), way, ticker)


def special(line: Line) -> dict[int, str]:
    """Positions of the sessions where leaks like to sit, and whose they are ("": anybody's).

    The first and the last fold's first validation and test session and their neighbours, the first
    and the last rows, the last session before a hole and one in it, the eve of a listing and a
    month later.
    """
    total = len(line.sessions)
    chosen = dict.fromkeys((0, 30, 60, total - 2), "")
    for ticker in line["given"].tickers[:LISTED]:
        there = np.flatnonzero(line["given"].close[ticker].notna())
        if not len(there):  # listed in sealed sessions
            continue
        holes = np.flatnonzero(np.diff(there) > 1)[:HALTS]
        near = [position for hole in holes for position in (there[hole], there[hole] + 1)]
        chosen |= {int(day): ticker for day in (there[0] - 1, there[0] + 20, *near)}
    for fold in (line.folds[0], line.folds[-1]):
        for day in map(line.position, (fold.validation, fold.test)):
            chosen |= dict.fromkeys((day - 1, day, day + 1), "")
    return {last: chosen[last] for last in sorted(chosen) if 0 <= last < total - 1}


def few(first: int, end: int, wanted: int) -> list[int]:
    """Positions of first <= position < end: both ends and what lies evenly between."""
    return sorted({int(position) for position in np.linspace(first, end - 1, wanted)})


def _from_eve(line: Line) -> Iterator[Probe]:
    """From the eve of validation on; where a model of states is fitted, at few sessions."""
    first = line.position(line.fold.validation) - 1
    if line.experiment.labels.kind == "rule":
        yield from everywhere(line, first, beside=2)
        return
    tickers, turns = line["given"].tickers, count()
    edges = [first, line.position(line.fold.test)]
    inside = few(first + 1, len(line.sessions) - 1, 3)
    for probe in spread(line, sorted({*edges, *inside}), ("cut", *COSTLY), turns=3):
        yield replace(probe, ticker=tickers[next(turns) % len(tickers)])


def spread(
    line: Line, positions: Iterable[int], ways: Sequence[str], turns: int = 1, wait: int = 0
) -> Iterator[Probe]:
    """At each position in the next `turns` of the ways."""
    for turn, last in enumerate(positions):
        for offset in range(turns):
            yield line.probe(last, ways[(turn * turns + offset) % len(ways)], wait=wait)


def _sampled(line: Line) -> Iterator[Probe]:
    """From the first decision on."""
    total = len(line.sessions)
    first = line.position(pd.Timestamp(line["samples"][0].spans.decision.min()))
    positions = few(max(total // 4, first), total - 1, 4)
    return spread(line, positions, ("cut", "x1000", "cut", "reversed"), turns=2)


def _parts(line: Line) -> Iterator[Probe]:
    """After the first decision of the validation part, and of the test part."""
    validation, test = map(line.position, (line.fold.validation, line.fold.test))
    return spread(line, (validation, test, test), ("x1000", *COSTLY), wait=1)


def _in_test(line: Line, wanted: int, ways: Sequence[str], turns: int = 1) -> Iterator[Probe]:
    """Inside the test part, as far as fits see it; a single one in its middle."""
    first = line.position(line.fold.test)
    end = min(first + NEWEST["test"], len(line.sessions)) - 1
    positions = few(first + (wanted == 1) * (end - first) // 2, end, wanted)
    return spread(line, positions, ways, turns)


def _traded(
    line: Line, wanted: int, ways: Sequence[str] = WAYS, turns: int = 1, wait: int = 0
) -> Iterator[Probe]:
    """All over the sessions that have a decision."""
    first = line.position(line["predictions"].table["decision"].min())
    return spread(line, few(first + 1, len(line.sessions) - 2, wanted), ways, turns, wait)


def wait_of(line: Line) -> int:
    """Sessions from a decision to the first number that it may move."""
    return int(line.experiment.backtest.execution == "next_open")


# What comes out.


def _prices(line: Line) -> Outputs:
    prices: Prices = line["prices"]
    for ticker in prices.tickers:
        fields_of = {name: getattr(prices, name)[ticker] for name in FIELDS}
        yield ("prices", ticker), pd.DataFrame(fields_of)


def _features(line: Line) -> Outputs:
    for ticker, table in line["features"].items():
        yield ("features", ticker), table


def _regimes(line: Line) -> Outputs:
    """Thresholds are known on the eve of validation, and so is no regime before."""
    eve = line.sessions[line.position(line.fold.validation) - 1]
    try:
        labels = line["labels"]
    except DataError:  # of a ticker whose own future was all that it could learn from
        return
    for ticker, learned in labels.thresholds.items():
        name = f"fold {line.fold.number} {ticker}"
        yield ("thresholds", name), _at(eve, asdict(learned))
        yield ("regimes", name), labels.regimes[ticker].dropna().to_frame("regime")


def _samples(line: Line) -> Outputs:
    samples: Samples = line["samples"][0]
    spans, name = samples.spans, line.name
    for ticker in np.unique(spans.ticker):
        rows = np.flatnonzero(spans.ticker == ticker)
        ends = rows[~np.isnat(spans.label_end[rows])]
        label = pd.DataFrame(samples.target[ends], pd.DatetimeIndex(spans.label_end[ends]))
        yield ("samples", f"{name} {ticker} label"), label
        start = spans.feature_start[rows].astype("int64").astype(float)
        decision = pd.DatetimeIndex(spans.decision[rows])
        yield ("samples", f"{name} {ticker} span"), pd.DataFrame({"start": start}, decision)
        rows = rows[samples.last[rows] < len(samples.rows)]
        window = pd.DataFrame(samples.rows[samples.last[rows]], decision[: len(rows)])
        yield ("samples", f"{name} {ticker} window"), window


def _split(line: Line) -> Outputs:
    samples, parts = line["samples"]
    for part in ("training", "validation"):
        rows = getattr(parts.fold, part)
        values = np.hstack([samples.rows[samples.last[rows]], samples.target[rows]])
        for ticker in np.unique(samples.spans.ticker):
            own = samples.spans.ticker[rows] == ticker
            index = pd.DatetimeIndex(samples.spans.label_end[rows[own]])
            yield ("split", f"{line.name} {part} {ticker}"), pd.DataFrame(values[own], index)


def _fit(line: Line) -> Outputs:
    fit, name = line["fit"], line.name
    after_training, after_validation = line.fold.validation, line.fold.test
    for part in fields(fit.scaler):
        learned = np.atleast_1d(getattr(fit.scaler, part.name))
        series = f"{name} {part.name.replace('_', ' ')}"
        yield ("scaler", series), pd.DataFrame([learned], [after_training])
    first = {"first loss": fit.history[0].training_loss}
    yield ("fit", name), _at(after_training, first)
    losses = {f"validation loss {e.number}": e.validation_loss for e in fit.history}
    yield ("epoch", name), _at(after_validation, {**losses, "epoch": fit.best})
    weights = np.concatenate([weight.ravel() for weight in fit.weights.values()])
    yield ("fit", f"{name} weight"), pd.DataFrame([weights], [after_validation])
    yield ("temperature", name), _at(after_validation, {"temperature": fit.temperature})


def _answers(line: Line, stage: str = "predictions") -> Outputs:
    table = line["predictions"].table if stage == "predictions" else line[stage]
    columns = [name for name in table.columns if name.startswith(("p_", "r_"))]
    for (source, ticker), own in table.groupby(["source", "ticker"]):
        series = f"fold {line.fold.number} {source} {ticker}"
        yield (stage, series), own.set_index("decision")[columns]


def _rules(line: Line) -> Outputs:
    for rule in line["rules"].values():
        numbers = {k: hash(v) if isinstance(v, str) else v for k, v in asdict(rule).items()}
        yield ("tuning", line.name), _at(line.fold.test, numbers)


def _positions(line: Line) -> Outputs:
    """Decided, and then reduced by what the regimes are."""
    predictions, rule = line["predictions"].table, line.experiment.trading
    decide = partial(line.chain.stitched_positions, predictions, line["prices"], {0: rule})
    yield ("positions", ""), line.chain.allocate(decide()[1])
    if rule.regime_filter != "off":
        turbulent = turbulent_classes(line.experiment.labels)
        filtered = line.chain.allocate(decide(line["regimes"], turbulent)[1])
        yield ("positions", "filtered"), filtered


def _fills(line: Line) -> Outputs:
    """Money without costs: at the next open a decision is in no number of its own session.

    Filled at the close it is in that session's weights, but not in its equity: a position earns
    what comes after it was taken.
    """
    free = charging(FREE, line.experiment.backtest)
    book = line.chain.backtest(line["weights"], line["prices"], free)
    yield ("equity", ""), pd.DataFrame({"equity": book.equity, "returns": book.returns})
    if wait_of(line):
        yield ("weights", ""), book.weights


def _books(line: Line) -> Outputs:
    """A strategy's money, and what stands beside it.

    Positions at other times are left out: they are rotated by the whole length, on purpose.
    """
    books, year = line["books"], line.experiment.backtest.sessions_per_year
    book = books.strategy
    yield ("equity", ""), pd.DataFrame({"equity": book.equity, "returns": book.returns})
    yield ("costs", ""), book.costs.add_prefix("cost of ").assign(turnover=book.turnover)
    yield ("weights", ""), book.weights.add_prefix("weight of ")
    yield ("cost cases", ""), books.cost_cases.set_axis(map(str, books.cost_cases), axis=1)
    yield ("members", ""), books.members
    other = pd.DataFrame({"equity": books.other.equity})
    if wait_of(line):  # what is filled at the close is replaced with the session's decision
        other = other.iloc[:-1].set_axis(other.index[1:])
    yield ("other execution", ""), other
    yield ("benchmark", ""), pd.DataFrame({"equity": books.benchmark.equity})
    sessions = pd.DatetimeIndex(books.probability.index)
    for rule, table in line.chain.rule_positions(line["prices"], sessions, year).items():
        yield ("rules", rule), table


def _everything(line: Line) -> Outputs:
    """From other prices to every number that a run would write."""
    outputs = [_features(line), _regimes(line), _fit(line), _answers(line)]
    if line.asked.traded:
        outputs += [_rules(line), iter([(("target", ""), line["books"].target)]), _books(line)]
    for (stage, series), table in chain.from_iterable(outputs):
        yield ("end to end", f"{stage} {series}".strip()), table


def _at(session: pd.Timestamp, numbers: Mapping[str, object]) -> pd.DataFrame:
    """(1, n) numbers that are known on one session."""
    return pd.DataFrame([list(numbers.values())], [session], list(numbers), dtype=float)


# What a change is called.


SAMPLE_KINDS = {
    "label": "label ends later than its span says",
    "window": "window reaches past its decision",
    "span": "span depends on later sessions",
}


def _kind_of_position(changes: Sequence[Change]) -> str:
    if changes[0].series.startswith("filtered "):
        return f"regime filter: {kind_of_series(changes, near='reads later sessions')}"
    return kind_of_series(changes)


def _into(words: str) -> Judge:
    """The latest part that is known: replacing the test part alone tells it from validation."""
    return lambda changes: f"{words} {min(change.probe.part for change in changes)}"


_later = partial(kind_of_series, near="reads later sessions")
JUDGES: Mapping[str, Judge] = {
    "prices": partial(kind_of_series, whole="prices adjusted with later information"),
    "features": kind_of_series,
    "thresholds": _into("threshold learned outside training: it knows"),
    "regimes": partial(kind_of_series, near="smoothed states"),
    "samples": lambda changes: SAMPLE_KINDS[changes[0].series.split()[-2]],
    "split": lambda changes: "what trains or chooses the epoch depends on later sessions",
    "scaler": _into("scaler sees beyond the training part:"),
    "fit": _into("weights learned from"),
    "epoch": _into("epoch chosen on"),
    "temperature": _into("temperature learned on"),
    "predictions": _later,
    "baselines": partial(kind_of_series, whole="baseline fitted beyond its training part"),
    "tuning": lambda changes: "dead band or rule tuned on the test part",
    "positions": _kind_of_position,
    **dict.fromkeys(("equity", "costs", "weights", "cost cases", "members"), _later),
    **dict.fromkeys(("other execution", "benchmark", "rules"), _later),
    "end to end": kind_of_series,
}
FILLED = {
    "equity": lambda changes: "off-by-one return: a position earns the session it was decided on",
    "weights": lambda changes: "filled at the price that was decided on, next_open was promised",
}

# The table: groups of stages, each judged only when those before it in its group are clean.

SAMPLED = ("features", "targets")  # what goes into samples
PRICES = (Stage(("given",), _prices, everywhere, holes=True),)
FEATURES = (Stage(("prices",), _features, everywhere, holes=True),)
REGIMES = (Stage(("prices",), _regimes, _from_eve, holes=True),)
SAMPLES = Stage(SAMPLED, _samples, _sampled)
LEARNED = (
    Stage(SAMPLED, _split, _parts),
    Stage(SAMPLED, _fit, _parts),
    Stage(
        SAMPLED,
        _answers,
        partial(_in_test, wanted=2, ways=("cut", "x1000", "cut", "reversed"), turns=2),
        ("fit",),
    ),
)
TUNED = Stage(
    ("prices", "predictions"),
    _rules,  # after the first test decision
    lambda line: spread(line, [line.position(line.fold.test)], WAYS, turns=len(WAYS), wait=1),
)
BASELINES = Stage(
    SAMPLED, partial(_answers, stage="baselines"), partial(_in_test, wanted=1, ways=("x1000",))
)
TRADING = (
    Stage(("predictions", "regimes"), _positions, lambda line: _traded(line, 8, turns=4)),
    Stage(
        ("weights",),
        _fills,
        lambda line: _traded(line, 4, ("x1000",), wait=1),
        judges=FILLED,
        tolerance=ROUNDING,
    ),
    Stage(
        ("prices", "predictions", "regimes"),
        _books,
        lambda line: _traded(line, 4, wait=wait_of(line)),
    ),
)
WHOLE = (
    Stage(
        ("given",),
        _everything,
        partial(_in_test, wanted=3, ways=("cut", "missing", "x1000")),
    ),
)
