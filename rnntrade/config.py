"""Every setting of an experiment, in frozen sections, and the files that experiments come from."""

import json
import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, fields, is_dataclass, replace
from datetime import date
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic.dataclasses import dataclass

from rnntrade.errors import ConfigError

STRICT = ConfigDict(extra="forbid")
SESSIONS_PER_YEAR = 252  # of a stock exchange, where the calendar's own number is not known
OPEN_END = date(2100, 1, 1)  # of prices: as many sessions as there are
LONGEST_NAME = 60  # characters of an experiment's, model's or ticker's: it becomes part of paths
Fraction = Annotated[float, Field(gt=0, lt=1)]
Task = Literal["regime", "direction", "return", "forecast"]


def _name(name: str) -> str:
    """Return a name that may be part of a path on every system; ValueError otherwise."""
    if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
        raise ValueError(f"{name!r} is no name; use letters without accents, digits, _ and -")
    if len(name) > LONGEST_NAME:
        raise ValueError(f"a name of {len(name)} characters; use at most {LONGEST_NAME}")
    if re.fullmatch(r"con|prn|aux|nul|(com|lpt)[0-9]", name.lower()):
        raise ValueError(f"{name!r} is a device on Windows; use another name")
    return name


Name = Annotated[str, AfterValidator(_name)]


@dataclass(frozen=True, config=STRICT)
class DataConfig:
    """Which prices."""

    source: Literal["yahoo", "sample", "synthetic", "files"] = "yahoo"
    tickers: tuple[str, ...] = ("SPY", "QQQ", "IWM")
    start: date = date(2015, 1, 1)
    end: date = date(2024, 1, 1)  # the first day left out
    folder: str = ""  # of the user's own files, for source "files"
    calendar: str = "XNYS"  # whose sessions are expected
    sessions_per_year: NonNegativeInt = 0  # in every annual figure; 0: of the calendar
    seed: NonNegativeInt = 0  # of source "synthetic"
    process: Literal["regimes", "p1", "p2", "p3", "n1", "n2"] = "regimes"  # of source "synthetic"

    @field_validator("tickers")
    @classmethod
    def _name_each_once(cls, tickers: tuple[str, ...]) -> tuple[str, ...]:
        if not tickers:
            raise ValueError("there is no ticker; name at least one")
        if not all(ticker.strip() for ticker in tickers):
            raise ValueError("a ticker is empty; leave it out")
        if odd := [each for each in tickers if len(each) > LONGEST_NAME or not each.isprintable()]:
            raise ValueError(f"{odd[0][:LONGEST_NAME]!r} is no ticker: too long, or unprintable")
        if twice := _repeated(tickers):
            raise ValueError(f"more than once: {twice}; name each ticker once")
        return tickers

    @model_validator(mode="after")
    def _end_after_start(self) -> Self:
        if self.end <= self.start:
            raise ValueError(
                f"end {self.end} is not after start {self.start}; the end is the first day left out"
            )
        return self


@dataclass(frozen=True, config=STRICT)
class LabelConfig:
    """How regimes are told apart."""

    kind: Literal["rule", "hmm", "jump"] = "rule"
    states: Annotated[int, Field(ge=2, le=3)] = 2  # of the statistical kinds, by volatility
    jump_penalty: NonNegativeFloat = 50.0  # of the jump model: what a change of state costs
    lookback: PositiveInt = 20
    bear_return: float = -0.02  # sum of the last 20 returns, below
    bull_return: float = 0.02  # above
    thresholds: Literal["training", "expanding", "full_sample"] = "training"
    min_sessions: PositiveInt = 252  # of the past, before expanding thresholds say anything
    sessions_per_year: PositiveInt = SESSIONS_PER_YEAR  # set data.sessions_per_year instead

    @model_validator(mode="after")
    def _states_learn_from_training(self) -> Self:
        if self.kind != "rule" and self.thresholds != "training":
            raise ValueError(
                f"thresholds is {self.thresholds}, but kind {self.kind} learns its states from "
                "the training part alone; set labels.thresholds to training"
            )
        return self


@dataclass(frozen=True, config=STRICT)
class SplitConfig:
    """Which decisions train, choose the epoch, and judge.  Purges follow from the spans."""

    kind: Literal["holdout", "walk_forward", "latest"] = "walk_forward"
    test_fraction: Fraction = 0.2  # of the sessions, the last ones; holdout
    validation_fraction: Fraction = 0.15  # of what comes before the test part, its end
    window: Literal["expanding", "rolling"] = "expanding"
    train_sessions: PositiveInt = 1260  # before the first test part (rolling: always); walk-forward
    test_sessions: PositiveInt = 252  # and the step; walk-forward.  The newest ones; latest
    sealed_sessions: NonNegativeInt = 0  # the last ones, kept from every run until opened, once


@dataclass(frozen=True, config=STRICT)
class ModelConfig:
    """One network, and what it is asked."""

    name: Name
    architecture: Literal["regime_lstm", "many_to_one_lstm", "seq2seq_lstm", "attention_bilstm"]
    task: Task
    inputs: tuple[str, ...]
    lookback: PositiveInt  # sessions in a window
    horizon: PositiveInt  # sessions ahead
    hidden_size: PositiveInt = 64
    num_layers: PositiveInt = 2
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.2
    class_weights: bool = False  # weigh classes by inverse frequency; regime only
    max_epochs: PositiveInt = 50

    @model_validator(mode="after")
    def _one_session_ahead(self) -> Self:
        if self.task in {"direction", "return"} and self.horizon != 1:
            raise ValueError(
                f"horizon is {self.horizon}, but task {self.task} asks about the next session; "
                "set horizon to 1"
            )
        return self


@dataclass(frozen=True, config=STRICT)
class TrainingConfig:
    """How the weights are found."""

    learning_rate: PositiveFloat = 1e-3
    batch_size: PositiveInt = 64
    gradient_norm: PositiveFloat = 1.0  # clipped there
    schedule_factor: Fraction = 0.5  # of the learning rate, when validation loss stalls ...
    schedule_patience: PositiveInt = 5  # ... for this many epochs
    patience: PositiveInt = 10  # epochs without a better validation loss before stopping


@dataclass(frozen=True, config=STRICT)
class ComputeConfig:
    """Where fits are found; it changes how long they take, not what they are asked."""

    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    workers: Annotated[int, Field(ge=0)] = 0  # fits side by side on CPU; 0: one per core


@dataclass(frozen=True, config=STRICT)
class TradingConfig:
    """How probabilities become positions."""

    dead_band: Annotated[float, Field(ge=0, lt=1)] = 0.1  # long above 0.5 + half of it, short below
    sizing: Literal["sign", "confidence"] = "sign"
    long_only: bool = False
    regime_filter: Literal["off", "half", "flat"] = "off"  # in Bear and High volatility, as known


@dataclass(frozen=True, config=STRICT)
class BacktestConfig:
    """How positions become money.  Rates are annual; bps are of traded value."""

    execution: Literal["next_open", "close"] = "next_open"
    initial_capital: PositiveFloat = 100_000.0
    commission_bps: NonNegativeFloat = 5.0
    half_spread_bps: NonNegativeFloat = 5.0
    slippage_bps: NonNegativeFloat = 0.0
    slippage_volatility: NonNegativeFloat = 0.0  # share of a session's deviation of returns
    slippage_impact: NonNegativeFloat = 0.0  # times that deviation × sqrt(share of volume)
    borrow_rate: NonNegativeFloat = 0.0  # on shorts
    financing_rate: NonNegativeFloat = 0.0  # on borrowed cash
    cash_rate: float = 0.0  # on idle cash
    risk_free_rate: float = 0.0  # in Sharpe ratios
    sessions_per_year: PositiveInt = SESSIONS_PER_YEAR  # set data.sessions_per_year instead


@dataclass(frozen=True, config=STRICT)
class ReportConfig:
    """What decides the verdict."""

    bootstrap_draws: PositiveInt = 2000
    confidence: Fraction = 0.95
    cost_cases: tuple[NonNegativeFloat, ...] = (0.0, 2.0, 5.0, 10.0)  # bps of traded value, in all


@dataclass(frozen=True, config=STRICT)
class AuditConfig:
    """How hard leaks are looked for."""

    sessions: PositiveInt = 50  # random ones, after which the future is replaced
    replayed: PositiveInt = 60  # last sessions, decided again one day at a time


@dataclass(frozen=True, config=STRICT)
class ProductionConfig:
    """When a model replaces the one that is followed, and when that one is followed no longer."""

    evaluation_sessions: PositiveInt = 126  # the newest, on which a retraining is judged
    promotion_confidence: Fraction = 0.95  # one-sided, of the paired bootstrap
    promotion_margin: NonNegativeFloat = 0.01  # net return a year that it must be better by
    bootstrap_draws: PositiveInt = 2000
    expires_after: PositiveInt = 378  # sessions after the last one that a model has learned from
    drift_sessions: PositiveInt = 60  # the newest, in which drift is looked for
    drift_psi: PositiveFloat = 0.25  # population stability index of an input, above which it drifts
    drift_p_value: Fraction = 0.01  # of decayed hits or calibration, below which it drifts
    range_margin: NonNegativeFloat = 1.0  # spans of the training part that an input may lie outside


@dataclass(frozen=True, config=STRICT)
class Experiment:
    """One complete, reproducible run."""

    name: Name
    description: str = ""
    data: DataConfig = DataConfig()
    labels: LabelConfig = LabelConfig()
    split: SplitConfig = SplitConfig()
    models: tuple[ModelConfig, ...] = ()
    training: TrainingConfig = TrainingConfig()
    seed: NonNegativeInt = 0  # of everything that is drawn
    members: PositiveInt = 1  # fits per model and fold, their predictions averaged
    compute: ComputeConfig = ComputeConfig()
    trading: TradingConfig = TradingConfig()
    backtest: BacktestConfig = BacktestConfig()
    report: ReportConfig = ReportConfig()
    audit: AuditConfig = AuditConfig()
    production: ProductionConfig = ProductionConfig()

    @field_validator("models")
    @classmethod
    def _name_models_apart(cls, models: tuple[ModelConfig, ...]) -> tuple[ModelConfig, ...]:
        if twice := _repeated(model.name for model in models):
            raise ValueError(f"more than one is named {twice}; give each its own name")
        return models

    @model_validator(mode="after")
    def _one_year_for_all(self) -> Self:
        """Labels and money use the sessions per year of the data, once these are settled."""
        if year := self.data.sessions_per_year:
            for section in ("labels", "backtest"):
                value = replace(getattr(self, section), sessions_per_year=year)
                object.__setattr__(self, section, value)
        return self


def _repeated(names: Iterable[str]) -> str:
    """Return the names that occur more than once, for a message."""
    return ", ".join(repr(name) for name, count in Counter(names).items() if count > 1)


FOLDER = Path(__file__).parent / "experiments"  # of those that we run by name
EXPERIMENTS = tuple(sorted(file.stem for file in FOLDER.glob("*.toml")))


def find_experiment(name: str) -> Experiment:
    """Read the experiment of that name, or the file of that path (NAME.toml).

    A file may name a `base`, another experiment or file beside it, whose values hold where it has
    none of its own.  [[models]] replaces the models of the base, starting from those of the same
    name; [models.NAME] or [models."*"] changes some or all of them.
    errors  ConfigError with file, key and cure
    """
    if name.endswith(".toml"):
        return _read(Path(name))
    if name not in EXPERIMENTS:
        raise ConfigError(f"no experiment {name!r}.{_hint(name, EXPERIMENTS)}")
    return _read(FOLDER / f"{name}.toml")


def override(experiment: Experiment, changes: Mapping[str, object]) -> Experiment:
    """Return the experiment with fields replaced: {"training.seed": "3", "models.*.dropout": 0.1}.

    A path names a section and a field; in `models` the model's name (or * for all) comes between.
    Values may be strings, which are read as the field's type.  ConfigError names what is wrong.
    """
    return _changed(asdict(experiment), {tuple(path.split(".")): changes[path] for path in changes})


def as_toml(experiment: Experiment) -> str:
    """Write an experiment as a file with every default, each beside its explanation.

    Its name is left out: that of a file is the file's.
    """
    sections = {field.name: getattr(experiment, field.name) for field in fields(experiment)}
    parts = [_section("", experiment)]
    for name, section in sections.items():
        if name == "models":
            parts += [_section("[[models]]", model) for model in section]
        elif is_dataclass(section):
            parts.append(_section(f"[{name}]", section))
    return "\n\n".join(parts) + "\n"


def _section(head: str, section: Any) -> str:
    """The plain fields of a section, but for those that follow from others."""
    kind, lines = type(section).__name__, [head] if head else []
    for name in (field.name for field in fields(section)):
        value, note = getattr(section, name), _explanations().get((kind, name), "")
        derived = {"Experiment": "name", "DataConfig": ""}.get(kind, "sessions_per_year")
        if not (name in ("models", derived) or is_dataclass(value)):
            lines.append(f"{name} = {_value(value)}" + (f"  # {note}" if note else ""))
    return "\n".join(lines)


def _value(value: object) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, str | bool):
        return json.dumps(value, ensure_ascii=False)
    return value.isoformat() if isinstance(value, date) else repr(value)


@cache
def _explanations() -> dict[tuple[str, str], str]:
    """The comment beside each field above, by class and field."""
    notes, kind = {}, ""
    for line in Path(__file__).read_text(encoding="utf-8").splitlines():
        if found := re.match(r"class (\w+)", line):
            kind = found[1]
        elif found := re.match(r"    (\w+): [^#]+  # (.+)", line):
            notes[kind, found[1]] = found[2]
    return notes


def _read(file: Path, *heirs: Path) -> Experiment:
    if file in heirs:
        raise ConfigError("the bases name each other; remove one `base`.")
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
        base = str(content.pop("base", ""))
        parent = Experiment(name="base")
        if base.endswith(".toml"):
            parent = _read(file.parent / base, file, *heirs)
        elif base:
            parent = find_experiment(base)
        tree = asdict(parent) | {"name": file.stem}
        models = content.get("models")
        if isinstance(models, list) and all(isinstance(model, dict) for model in models):
            inherited = {model["name"]: model for model in tree["models"]}
            tree["models"] = [inherited.get(model.get("name"), {}) | model for model in models]
            del content["models"]
        return _changed(tree, dict(_leaves(content)))
    except OSError as error:
        raise ConfigError(f"cannot read {file}: {error.strerror}.  Check the path.") from error
    except (ValueError, ConfigError) as error:
        raise ConfigError(f"{file}: {str(error).removesuffix('.')}.") from error


def _leaves(table: Mapping[str, Any], *path: str) -> Iterator[tuple[tuple[str, ...], object]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _leaves(value, *path, key)
        else:
            yield (*path, key), value


def _changed(tree: dict[str, Any], changes: Mapping[tuple[str, ...], object]) -> Experiment:
    for path, value in changes.items():
        whole = ".".join(path)
        if whole in {"labels.sessions_per_year", "backtest.sessions_per_year"}:
            raise ConfigError(f"{whole} follows from data.sessions_per_year: set that instead.")
        _assign(tree, path, value, whole)
    try:
        return TypeAdapter(Experiment).validate_python(tree)
    except ValidationError as error:
        raise ConfigError(_sentence(error, tree)) from error


def _sentence(error: ValidationError, tree: dict[str, Any]) -> str:
    """Return the first mistake; our own validators name the value themselves."""
    first = min(
        error.errors(), key=lambda mistake: mistake["type"] != "unexpected_keyword_argument"
    )
    place = [str(part) for part in first["loc"]]
    if place[0] == "models" and len(place) > 1:
        model = tree["models"][int(place[1])]
        place[1] = str(model.get("name", place[1])) if isinstance(model, dict) else place[1]
    where = ".".join(place)
    if first["type"] == "value_error":
        return f"{where}: {first['ctx']['error']}."
    if first["type"] == "unexpected_keyword_argument":
        known = [field.name for field in fields(ModelConfig)]
        return f"no field {place[-1]!r} in {where!r}.{_hint(place[-1], known)}"
    if first["type"] == "missing":
        return f"{where} is missing."
    return f"{where} = {first['input']!r}: {first['msg']}."


def _assign(node: dict[str, Any], path: Sequence[str], value: object, whole: str) -> None:
    """Set one leaf of the tree, or the same leaf of several models."""
    name, rest = path[0], path[1:]
    if name not in node and not (name == "*" and rest):
        raise ConfigError(f"no field {name!r} in {whole!r}.{_hint(name, list(node))}")
    for key in list(node) if name == "*" else [name]:
        child = node[key]
        several = isinstance(child, (list, tuple))
        models = several and bool(child) and isinstance(child[0], dict)
        if (models or isinstance(child, dict)) and not rest:
            cure = "use models.NAME.field=value" if models else f"name one of {', '.join(child)}"
            raise ConfigError(f"{whole!r} is a section: {cure}.")
        if models:
            _assign({model["name"]: model for model in child}, rest, value, whole)
        elif isinstance(child, dict):
            _assign(child, rest, value, whole)
        elif rest:
            raise ConfigError(f"{key!r} in {whole!r} is a field, not a section.")
        elif several and isinstance(value, str):
            node[key] = [part.strip() for part in value.split(",") if part.strip()]
        else:
            node[key] = value


def _hint(name: str, known: Sequence[str]) -> str:
    near = get_close_matches(name, known, n=1, cutoff=0.5)
    return f"  Did you mean {near[0]!r}?" if near else f"  There are: {', '.join(known)}."
