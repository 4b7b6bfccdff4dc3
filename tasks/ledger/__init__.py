"""What is only ever added to: trials, openings of the sealed sessions, finished retrainings.

Each is a file of JSON lines in the home folder, NAME/NAME.jsonl.
"""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from filelock import FileLock

from rnntrade.config import DataConfig
from rnntrade.storage import explained
from tasks.home import home

T = TypeVar("T")


def markets(config: DataConfig) -> tuple[str, ...]:
    """Names of what trials and seals are about, one a ticker, whoever its prices come from."""
    if config.source == "synthetic":
        return tuple(f"{ticker} {config.process} {config.seed}" for ticker in config.tickers)
    return tuple(ticker.strip().upper() for ticker in config.tickers)


@dataclass(frozen=True)
class Ledger:
    """One such file."""

    name: str

    @property
    def path(self) -> Path:
        """Where it is."""
        return home() / self.name / f"{self.name}.jsonl"

    def read(self, parse: Callable[[Any], T]) -> list[T]:
        """Every line, oldest first; one cut short by a kill is left out: it had no effect yet."""
        lines = []
        for text in (
            self.path.read_text(encoding="utf-8").splitlines() if self.path.is_file() else []
        ):
            try:
                lines.append(parse(json.loads(text)))
            except ValueError:
                continue
        return lines

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other writers out, from reading to adding."""
        with explained(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(f"{self.path}.lock"):
                yield

    def add(self, lines: Sequence[object]) -> None:
        """Add lines, on the disk when this returns; call it within `locked`.

        They begin anew after a line that a kill cut short.
        """
        text = "".join(f"{json.dumps(line)}\n" for line in lines)
        with self.path.open("ab+") as file:
            if text and file.tell():
                file.seek(-1, os.SEEK_END)
                text = text if file.read(1) == b"\n" else f"\n{text}"
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
