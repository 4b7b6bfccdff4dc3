"""What steps hand to each other: references to values in folders that are named by their content.

No frame and no tensor crosses a task boundary, so the same flow runs in threads, in processes or on
a cluster with shared storage, and Prefect's own results stay small.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import pandas as pd
from filelock import FileLock

from rnntrade.codec import load, save
from rnntrade.config import ModelConfig
from rnntrade.fingerprint import fingerprint, folder_digest
from rnntrade.storage import move_folder, temporary_folder, write_json
from rnntrade.types import Books, Fit, Predictions, Prices, Windows
from tasks.home import artifacts_folder

if TYPE_CHECKING:
    from rnntrade.evaluation.models import ModelEvaluation
    from rnntrade.evaluation.strategies import StrategyEvaluation
    from rnntrade.production.desk import Desk

T = TypeVar("T")
OURS = ("rnntrade", "pandas")  # packages whose types are loaded


@dataclass(frozen=True)
class Ref(Generic[T]):
    """A value that a step made: artifacts/<step>/<first digits of its digest>/."""

    step: str
    digest: str
    kind: str = ""  # module:type of the value; empty: files that are read by name

    @property
    def folder(self) -> Path:
        """Where the files are."""
        return artifacts_folder() / self.step / self.digest[:16]

    def is_intact(self) -> bool:
        """Whether the folder is there with the very bytes that were written."""
        return self.folder.is_dir() and folder_digest(self.folder) == self.digest

    def load(self) -> T:
        """Read the value; DataError naming the file that is missing or damaged."""
        module, _, name = self.kind.partition(":")
        if module.partition(".")[0] not in OURS:
            raise TypeError(f"{self.step}/{self.digest[:16]} holds no value: {self.kind!r}")
        value: T = load(getattr(import_module(module), name), self.folder)
        return value


Tables = dict[str, Ref[pd.DataFrame]]  # by ticker: bars, or features


@dataclass(frozen=True)
class ModelRefs:
    """References to what one model's steps made, as far as they have run."""

    model: ModelConfig
    windows: Ref[Windows]
    fits: list[list[Ref[Fit]]]  # by fold, then by member
    predictions: Ref[Predictions]
    baselines: Ref[pd.DataFrame] | None = None  # predictions of the same samples
    books: Ref[Books] | None = None  # of a model that trades
    evaluation: "Ref[ModelEvaluation] | None" = None
    strategy: "Ref[StrategyEvaluation] | None" = None
    desk: "Ref[Desk] | None" = None  # what is registered

    def load_predictions(self) -> pd.DataFrame:
        """The model's predictions, then its baselines', as one table."""
        baselines = [self.baselines.load()] if self.baselines else []
        return pd.concat([self.predictions.load().table, *baselines], ignore_index=True)


@dataclass
class Pending:
    """An output being written: fill `folder`; `ref` is there once the block has ended."""

    folder: Path
    ref: Ref[Any] = field(init=False)


@contextmanager
def publish(step: str, kind: type | None = None) -> Iterator[Pending]:
    """Collect files in a temporary folder and give it, all at once, the name of its content."""
    with temporary_folder(artifacts_folder() / step) as folder:
        pending = Pending(folder)
        yield pending
        named = f"{kind.__module__}:{kind.__qualname__}" if kind else ""
        pending.ref = Ref(step, folder_digest(folder), named)
        locks = artifacts_folder() / "locks"
        locks.mkdir(parents=True, exist_ok=True)
        with FileLock(locks / "publish.guard"):  # nobody takes away what another has just put there
            if not pending.ref.is_intact():  # else the same content stands there already
                move_folder(folder, pending.ref.folder)
    pending.folder = pending.ref.folder


def put(step: str, value: T) -> Ref[T]:
    """Publish a value."""
    with publish(step, type(value)) as out:
        save(value, out.folder)
    return out.ref


def read_prices(bars: Mapping[str, Ref[pd.DataFrame]]) -> Prices:
    """All tickers' bars on their common sessions."""
    return Prices.join({ticker: ref.load() for ticker, ref in bars.items()})


def data_fingerprint(prices: Mapping[str, Ref[pd.DataFrame]]) -> str:
    """One name for the bars of all tickers."""
    return fingerprint({ticker: ref.digest for ticker, ref in prices.items()})


def load_all(value: Any) -> Any:
    """The value with every reference in its dicts and lists replaced by what it refers to."""
    match value:
        case Ref():
            return value.load()
        case dict():
            return {key: load_all(part) for key, part in value.items()}
        case list():
            return [load_all(part) for part in value]
    return value


def write_manifest(run_id: str, refs: Iterable[Ref[Any]]) -> None:
    """Remember what a recorded run refers to, so that `rnntrade clean` keeps it."""
    write_json(artifacts_folder() / "runs" / f"{run_id}.json", [asdict(ref) for ref in refs])


def read_manifest(file: Path) -> list[Ref[Any]]:
    """What the run behind that file refers to."""
    return [Ref(**each) for each in json.loads(file.read_text(encoding="utf-8"))]


def refs_in(value: Any) -> Iterator[Ref[Any]]:
    """Every reference inside a result."""
    if isinstance(value, Ref):
        yield value
        return
    parts: Iterable[Any] = ()
    if isinstance(value, dict):
        parts = value.values()
    elif isinstance(value, list | tuple):
        parts = value
    elif is_dataclass(value):
        parts = [getattr(value, each.name) for each in fields(value)]
    elif hasattr(value, "model_fields_set"):
        parts = [getattr(value, name) for name in type(value).model_fields]
    for part in parts:
        yield from refs_in(part)
