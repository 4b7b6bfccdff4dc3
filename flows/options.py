"""What all commands share: their options, plain errors, quiet logs, tables."""

import logging
import os
import sys
from collections.abc import Iterable
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from flows.failures import debugging
from rnntrade.config import EXPERIMENTS, Experiment, find_experiment, override
from rnntrade.errors import ConfigError
from tasks.setup.prefect_settings import LINES, check_prefect

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)

NAMES = ", ".join(EXPERIMENTS)
ExperimentName = Annotated[str, typer.Argument(help=f"One of: {NAMES}.")]
Source = Annotated[
    str | None, typer.Option(help="yahoo, sample, synthetic, or files (with --folder).")
]
Tickers = Annotated[str | None, typer.Option(help="Comma-separated, such as SPY,QQQ.")]
Start = Annotated[str | None, typer.Option(help="First day, YYYY-MM-DD.")]
End = Annotated[str | None, typer.Option(help="First day left out, YYYY-MM-DD.")]
Folder = Annotated[str | None, typer.Option(help="Of CSV or Parquet files, one per ticker.")]
Device = Annotated[str | None, typer.Option(help="auto, cpu, cuda or mps.")]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="SECTION.FIELD=VALUE", help="Any field, such as seed=1; can be repeated."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on standard output.")]


def choose(
    experiment: str,
    source: str | None,
    tickers: str | None,
    start: str | None,
    end: str | None,
    folder: str | None,
    device: str | None,
    changes: list[str] | None,
) -> Experiment:
    """The experiment of that name with the options applied."""
    fields: dict[str, object] = {
        "data.source": source or ("files" if folder else None),
        "data.tickers": tickers,
        "data.start": start,
        "data.end": end,
        "data.folder": os.path.abspath(os.path.expanduser(folder)) if folder else None,
        "compute.device": device,
    }
    for change in changes or []:
        path, equals, value = change.partition("=")
        if not equals:
            raise ConfigError(f"--set {change!r} has no value.  Write --set {path}=VALUE.")
        fields[path.strip()] = value.strip()
    given = {path: value for path, value in fields.items() if value is not None}
    return override(find_experiment(experiment), given)


def prepare() -> None:
    """Make ready for a flow: check what surrounds it, start a Prefect server if none is named."""
    from tasks.setup.surroundings import check_records

    check_records()
    prepare_logging()
    check_prefect()
    from tasks.setup.temporary_server import start_server

    start_server()


def prepare_logging() -> None:
    """Short lines on standard error; what goes wrong is told once, at the end, and untraced."""
    for name, value in LINES.items():
        os.environ.setdefault(name, value)
    if debugging():
        return

    def told_once(record: logging.LogRecord) -> bool:
        if record.exc_info:
            record.exc_info = None
            return "Retry" in record.getMessage()  # the last one is told by the command itself
        if record.getMessage().startswith("Finished in state Failed"):
            record.msg, record.args = "Finished in state Failed", ()
        return True

    for name in ("prefect.flow_runs", "prefect.task_runs"):
        logging.getLogger(name).addFilter(told_once)
    # that the server is silent is a line of its own; every event that waits for it need not be one
    logging.getLogger("prefect._internal.concurrency").addFilter(
        lambda record: "failed to process item" not in str(record.msg)
    )


def table(title: str, rows: list[dict[str, str]]) -> Table:
    """Rows of text below their names."""
    columns = [Column(name, overflow="fold") for name in rows[0]]
    drawn = Table(*columns, title=title, title_justify="left")
    for row in rows:
        drawn.add_row(*row.values())
    return drawn


def print_warnings(screen: Console, warnings: Iterable[str]) -> None:
    """One line for each warning about the prices, word for word."""
    for warning in warnings:
        screen.print(f"[yellow]warning[/]  {escape(warning)}", highlight=False, soft_wrap=True)


def console() -> Console:
    """As wide as the terminal; into a file or a pipe, wide enough for whole names."""
    return Console(width=None if sys.stdout.isatty() else 140)
