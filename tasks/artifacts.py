"""What tasks hand to each other: references to folders that are named by their content.

No frame and no tensor crosses a task boundary, so the same flow runs in threads, in processes or on
a cluster with shared storage, and Prefect's own results stay small.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock
from pydantic import BaseModel, ConfigDict

from rnntrade.fingerprint import fingerprint, folder_digest
from rnntrade.storage import move_folder, temporary_folder, write_json
from tasks.home import artifacts_folder


class Ref(BaseModel):
    """A step's output: artifacts/<step>/<first digits of its digest>/."""

    model_config = ConfigDict(frozen=True)

    step: str
    digest: str

    @property
    def folder(self) -> Path:
        """Where the files are."""
        return artifacts_folder() / self.step / self.digest[:16]

    def is_intact(self) -> bool:
        """Whether the folder is there with the very bytes that were written."""
        return self.folder.is_dir() and folder_digest(self.folder) == self.digest


class Pending:
    """An output being written: fill `folder`; `ref` is there once the block has ended."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ref: Ref


@contextmanager
def publish(step: str) -> Iterator[Pending]:
    """Collect files in a temporary folder and give it, all at once, the name of its content."""
    with temporary_folder(artifacts_folder() / step) as folder:
        pending = Pending(folder)
        yield pending
        pending.ref = Ref(step=step, digest=folder_digest(folder))
        locks = artifacts_folder() / "locks"
        locks.mkdir(parents=True, exist_ok=True)
        with FileLock(locks / "publish.guard"):  # nobody takes away what another has just put there
            if not pending.ref.is_intact():  # else the same content stands there already
                move_folder(folder, pending.ref.folder)
    pending.folder = pending.ref.folder


def data_fingerprint(prices: Mapping[str, Ref]) -> str:
    """One name for the bars of all tickers."""
    return fingerprint({ticker: ref.digest for ticker, ref in prices.items()})


def write_manifest(run_id: str, refs: list[Ref]) -> None:
    """Remember what a recorded run refers to, so that `rnntrade clean` keeps it."""
    write_json(artifacts_folder() / "runs" / f"{run_id}.json", [ref.model_dump() for ref in refs])


def read_manifest(file: Path) -> list[Ref]:
    """What the run behind that file refers to."""
    return [Ref(**each) for each in json.loads(file.read_text(encoding="utf-8"))]


def refs_in(value: Any) -> Iterator[Ref]:
    """Every reference inside a result."""
    if isinstance(value, Ref):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from refs_in(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from refs_in(part)
    elif hasattr(value, "model_fields_set"):
        for name in type(value).model_fields:
            yield from refs_in(getattr(value, name))
