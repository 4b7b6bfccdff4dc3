"""The command line: `rnntrade run quick` and what goes with it."""

import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Column, Table

from rnntrade.config import EXPERIMENTS, Experiment, find_experiment, override
from rnntrade.errors import ConfigError, RnntradeError

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


@app.callback()
def about() -> None:
    """Can a recurrent network trade a daily market?  Prices in, an honest answer out."""


@app.command(
    "run",
    epilog="Examples:\n\n"
    "rnntrade run quick\n\n"
    "rnntrade run notebook --source files --folder ~/prices\n\n"
    "rnntrade run quick --set models.*.max_epochs=2 --set trading.sizing=confidence --json",
)
def run_command(
    experiment: ExperimentName = "quick",
    source: Source = None,
    tickers: Tickers = None,
    start: Start = None,
    end: End = None,
    folder: Folder = None,
    device: Device = None,
    changes: Set = None,
    as_json: Json = False,
) -> None:
    """Run an experiment: download, train, backtest, record, register, report."""
    with told_plainly():
        chosen = _choose(experiment, source, tickers, start, end, folder, device, changes)
        _prepare_logging()
        from flows.run import run

        summary = run(chosen)
        if as_json:
            sys.stdout.write(json.dumps(summary.as_json(), indent=1) + "\n")
        else:
            _print(summary)
        if summary.failures:
            raise typer.Exit(1)


@app.command(
    "data",
    epilog="Examples:\n\nrnntrade data\n\nrnntrade data notebook --tickers SPY --end 2024-06-01",
)
def data_command(
    experiment: Annotated[
        str | None, typer.Argument(help=f"Download for it first.  One of: {NAMES}.")
    ] = None,
    source: Source = None,
    tickers: Tickers = None,
    start: Start = None,
    end: End = None,
    folder: Folder = None,
    as_json: Json = False,
) -> None:
    """Bring an experiment's prices up to date, and show what is stored."""
    with told_plainly():
        from rnntrade.data.store import catalogue
        from tasks.home import data_folder

        if any((experiment, source, tickers, start, end, folder)):
            chosen = _choose(experiment or "quick", source, tickers, start, end, folder, None, None)
            _prepare_logging()
            from flows.data import refresh_data

            refresh_data(chosen.data)
        stored = catalogue(data_folder())
        if as_json:
            sys.stdout.write(stored.to_json(orient="records", indent=1) + "\n")
        elif stored.empty:
            typer.echo("Nothing is stored yet.  Try: rnntrade data quick")
        else:
            rows = [{str(k): str(v) for k, v in row.items()} for row in stored.to_dict("records")]
            _console().print(_table(str(data_folder()), rows))


@app.command("ui", epilog="Example:\n\nrnntrade ui --mlflow-port 5001")
def ui_command(
    mlflow_port: Annotated[int, typer.Option(help="Of the MLflow pages.")] = 5000,
    prefect_port: Annotated[int, typer.Option(help="Of the Prefect pages.")] = 4200,
) -> None:
    """Serve the MLflow and Prefect pages on this machine until Ctrl-C."""
    with told_plainly():
        from tasks.tracking import client, tracking_uri

        client()  # makes the database if there is none
        scripts = os.path.dirname(sys.executable)
        commands = [
            ["mlflow", "ui", "--backend-store-uri", tracking_uri(), "--workers", "1"],
            ["prefect", "server", "start"],
        ]
        pages = f"http://127.0.0.1:{prefect_port}"
        environment = {
            **os.environ,
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # half the start, a quarter the memory
            "PREFECT_SERVER_UI_API_URL": f"{pages}/api",
        }
        typer.echo(
            f"MLflow   http://127.0.0.1:{mlflow_port}/#/experiments?workflowType=machine_learning\n"
            f"Prefect  {pages}\n"
            f"To send runs there:  export PREFECT_API_URL={pages}/api\n"
            "Ctrl-C stops both."
        )
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        servers = [
            subprocess.Popen(
                [os.path.join(scripts, command[0]), *command[1:], "--port", str(port)],
                env=environment,
                start_new_session=True,  # Ctrl-C comes to us, and we stop them
            )
            for command, port in zip(commands, (mlflow_port, prefect_port), strict=True)
        ]
        try:
            while all(server.poll() is None for server in servers):
                time.sleep(0.5)
        finally:
            for server in servers:
                with suppress(ProcessLookupError):
                    os.killpg(server.pid, signal.SIGTERM)
        raise RnntradeError(
            f"one of the servers stopped by itself: is port {mlflow_port} or {prefect_port} in "
            "use?  Choose others with --mlflow-port and --prefect-port."
        )


@app.command("clean", epilog="Examples:\n\nrnntrade clean\n\nrnntrade clean --yes")
def clean_command(
    yes: Annotated[bool, typer.Option("--yes", help="Remove it.")] = False,
) -> None:
    """Show what no recorded run refers to; with --yes, remove it.  Not while a run is going on."""
    with told_plainly():
        from tasks.cleaning import remove, unused
        from tasks.tracking import nobody_runs

        with nobody_runs():
            found = unused()
            total = sum(size for _, size in found) / 1e6
            for path, size in found:
                typer.echo(f"{size / 1e6:10.2f} MB  {path}")
            if not found:
                typer.echo("Nothing to clean: every artifact belongs to a recorded run.")
            elif yes:
                remove(found)
                typer.echo(f"Removed {len(found)} folders, {total:.1f} MB.")
            else:
                typer.echo(f"{len(found)} folders, {total:.1f} MB.  Remove them with --yes.")


def main() -> None:
    """Entry point of the `rnntrade` command."""
    app()


@contextmanager
def told_plainly() -> Iterator[None]:
    """One line for a mistake that a user can mend; Ctrl-C is no mistake."""
    try:
        yield
    except RnntradeError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2 if isinstance(error, ConfigError) else 1) from None
    except KeyboardInterrupt:
        typer.echo("stopped; a run goes on from there when it is started again", err=True)
        raise typer.Exit(130) from None


def _choose(
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


def _prepare_logging() -> None:
    """Short lines on standard error; a user's mistake is told once, at the end, and untraced."""
    line = "PREFECT_LOGGING_FORMATTERS_STANDARD"
    os.environ.setdefault(f"{line}_FORMAT", "%(asctime)s  %(message)s")
    os.environ.setdefault(f"{line}_FLOW_RUN_FMT", "%(asctime)s  %(flow_run_name)s  %(message)s")
    os.environ.setdefault(f"{line}_TASK_RUN_FMT", "%(asctime)s  %(task_run_name)s  %(message)s")

    def told_once(record: logging.LogRecord) -> bool:
        if record.exc_info and isinstance(record.exc_info[1], RnntradeError):
            record.exc_info = None
            return "Retry" in record.getMessage()  # the last one is told by the command itself
        if record.getMessage().startswith("Finished in state Failed"):
            record.msg, record.args = "Finished in state Failed", ()
        return True

    for name in ("prefect.flow_runs", "prefect.task_runs"):
        logging.getLogger(name).addFilter(told_once)


def _print(summary: Any) -> None:
    """Two tables, the verdict, and where to look."""
    console = _console()
    for title, rows in summary.tables().items():
        if rows:
            console.print(_table(title, rows))
    for name, reason in summary.failures.items():
        console.print(f"[red]failed[/red]   {name}: {reason}", highlight=False)
    for label, text in summary.places().items():
        console.print(f"[bold]{label:8}[/bold] {text}", highlight=False, soft_wrap=True)


def _table(title: str, rows: list[dict[str, str]]) -> Table:
    columns = [Column(name, overflow="fold") for name in rows[0]]
    table = Table(*columns, title=title, title_justify="left")
    for row in rows:
        table.add_row(*row.values())
    return table


def _console() -> Console:
    """As wide as the terminal; into a file or a pipe, wide enough for whole names."""
    return Console(width=None if sys.stdout.isatty() else 140)


if __name__ == "__main__":
    main()
