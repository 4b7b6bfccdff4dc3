"""What all commands share: their options, plain errors, quiet logs, tables."""

import logging
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from queue import Empty
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from rnntrade.config import EXPERIMENTS, Experiment, find_experiment, override
from rnntrade.errors import ConfigError, RnntradeError
from tasks.silence import without_password

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


@contextmanager
def told_plainly() -> Iterator[None]:
    """One line for a mistake or misfortune that a user can mend; Ctrl-C is neither."""
    try:
        yield
    except RnntradeError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2 if isinstance(error, ConfigError) else 1) from None
    except KeyboardInterrupt:
        typer.echo("stopped; a run goes on from there when it is started again", err=True)
        raise typer.Exit(130) from None
    except _prefect_errors() as error:  # looked up when there is an error, not at every start
        if not _is_silence(error):
            raise
        address = without_password(os.environ.get("PREFECT_API_URL", "its address"))
        typer.echo(
            f"error: the Prefect server at {address} does not answer ({error}).  Start it, or mend "
            "or unset PREFECT_API_URL, and run the same again: what is finished is not done twice.",
            err=True,
        )
        _drop_what_prefect_would_send()
        raise typer.Exit(1) from None


def _drop_what_prefect_would_send() -> None:
    """Let the process end: Prefect would try for 7 seconds to send each of a hundred events.

    It has no public way to give up; what is read here is that of the pinned version.
    """
    from prefect.events.worker import EventsWorker

    worker: Any = EventsWorker
    for service in list(worker._instances.values()):  # of events and of logs
        with suppress(Empty):
            while True:
                service._queue.get_nowait()


def _prefect_errors() -> tuple[type[Exception], ...]:
    """What Prefect's client raises when its server is silent; it has no error of its own for it."""
    from httpx import HTTPStatusError, TransportError

    return (TransportError, HTTPStatusError, RuntimeError)


def _is_silence(error: Exception) -> bool:
    """Whether no server answered, or only what stands before it (502, 503) or what broke in it."""
    from httpx import HTTPStatusError

    if isinstance(error, HTTPStatusError):
        return error.response.status_code >= 500
    return not isinstance(error, RuntimeError) or str(error).startswith("Failed to reach API")


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


def prepare_logging() -> None:
    """Short lines on standard error; a user's mistake is told once, at the end, and untraced."""
    line = "PREFECT_LOGGING_FORMATTERS_STANDARD"
    os.environ.setdefault(f"{line}_FORMAT", "%(asctime)s  %(message)s")
    os.environ.setdefault(f"{line}_FLOW_RUN_FMT", "%(asctime)s  %(flow_run_name)s  %(message)s")
    os.environ.setdefault(f"{line}_TASK_RUN_FMT", "%(asctime)s  %(task_run_name)s  %(message)s")

    def told_once(record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, RnntradeError) or (
            isinstance(error, _prefect_errors()) and _is_silence(error)
        ):
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
