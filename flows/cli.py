"""The command line: `rnntrade run quick` and what goes with it."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from typing import Annotated, Any

import typer

from flows.failures import told_plainly
from flows.options import (
    NAMES,
    Device,
    End,
    ExperimentName,
    Folder,
    Json,
    Set,
    Source,
    Start,
    Tickers,
    app,
    choose,
    console,
    prepare,
    print_warnings,
    table,
)
from rnntrade.errors import ConfigError, RnntradeError


@app.callback()
def about(
    debug: Annotated[
        bool, typer.Option("--debug", help="Show tracebacks.", envvar="RNNTRADE_DEBUG")
    ] = False,
) -> None:
    """Can a recurrent network trade a daily market?  Prices in, an honest answer out."""
    if debug:
        os.environ["RNNTRADE_DEBUG"] = "1"  # for child processes, too


@app.command(
    "run",
    epilog="Examples:\n\n"
    "rnntrade run quick\n\n"
    "rnntrade run notebook --source files --folder ~/prices\n\n"
    "rnntrade run quick --set models.*.max_epochs=2 --set trading.sizing=confidence --json\n\n"
    "rnntrade run walk_forward --set split.sealed_sessions=252   (then, once: --open-holdout)",
)
def run_command(
    experiment: ExperimentName = "walk_forward",
    source: Source = None,
    tickers: Tickers = None,
    start: Start = None,
    end: End = None,
    folder: Folder = None,
    device: Device = None,
    changes: Set = None,
    open_holdout: Annotated[
        bool, typer.Option("--open-holdout", help="Judge on the sealed sessions: once.")
    ] = False,
    spent: Annotated[
        bool, typer.Option("--spent", help="Open the holdout again; the run is stamped for it.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Run an experiment: download, train, backtest, audit, record, register, report."""
    with told_plainly():
        if spent and not open_holdout:
            raise ConfigError("--spent opens nothing by itself.  Write --open-holdout --spent.")
        chosen = choose(experiment, source, tickers, start, end, folder, device, changes)
        prepare()
        from flows.run import run

        summary = run(chosen, open_holdout, spent)
        if as_json:
            sys.stdout.write(json.dumps(summary.as_json(), indent=1) + "\n")
        else:
            _print(summary)
        if summary.failures:
            raise typer.Exit(1)


@app.command(
    "data",
    epilog="Examples:\n\nrnntrade data\n\nrnntrade data notebook --tickers SPY --end 2024-06-01\n\n"
    "rnntrade data debug --folder ~/prices --tickers BTC-USD --set data.calendar=24/7",
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
    changes: Set = None,
    as_json: Json = False,
) -> None:
    """Bring an experiment's prices up to date, and show what is stored."""
    with told_plainly():
        from rnntrade.data.archive import catalogue, current, load
        from tasks.home import data_folder

        fresh: dict[tuple[str, str], list[str]] = {}
        if any((experiment, source, tickers, start, end, folder, changes)):
            asked = experiment or "quick"
            chosen = choose(asked, source, tickers, start, end, folder, None, changes)
            prepare()
            from flows.data import refresh_data
            from tasks.data import shown_warnings

            for done in refresh_data(chosen.data):
                fresh[chosen.data.source, done.ticker] = shown_warnings(done.warnings)
        root = data_folder()
        stored = catalogue(root).to_dict("records")
        for each in stored:
            name = each["source"], each["ticker"]
            kept = load(current(root, *name)).provenance["warnings"]
            each["messages"] = fresh.get(name, list(dict.fromkeys(kept)))
            each["warnings"] = len(each["messages"])
        if as_json:
            sys.stdout.write(json.dumps(stored, indent=1) + "\n")
        elif not stored:
            typer.echo("Nothing is stored yet.  Try: rnntrade data quick")
        else:
            _print_stored(str(root), stored)


@app.command("ui", epilog="Example:\n\nrnntrade ui --mlflow-port 5001")
def ui_command(
    mlflow_port: Annotated[
        int, typer.Option(help="Of the MLflow pages.", envvar="MLFLOW_PORT")
    ] = 5000,
    prefect_port: Annotated[
        int, typer.Option(help="Of the Prefect pages.", envvar="PREFECT_SERVER_API_PORT")
    ] = 4200,
) -> None:
    """Serve the MLflow and Prefect pages on this machine until Ctrl-C."""
    with told_plainly():
        from tasks.home import tracking_uri
        from tasks.setup.surroundings import check_records
        from tasks.tracking.runs import client

        check_records()
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
        from tasks.setup.surroundings import check_records
        from tasks.tracking.runs import nobody_runs

        check_records()
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


def _print_stored(folder: str, stored: list[dict[Any, Any]]) -> None:
    """What is stored, then every warning about it."""
    rows = [{str(k): str(v) for k, v in row.items() if k != "messages"} for row in stored]
    for row in rows:
        row["fetched_at"] = row["fetched_at"][:10]
    drawn = table(folder, rows)
    drawn.collapse_padding = True  # 80 columns are enough then
    screen = console()
    screen.print(drawn)
    print_warnings(screen, (message for row in stored for message in row["messages"]))


def _print(summary: Any) -> None:
    """Two tables, the verdict, and where to look."""
    screen = console()
    for title, rows in summary.tables().items():
        if rows:
            screen.print(table(title, rows))
    for name, reason in summary.failures.items():
        screen.print(f"[red]failed[/red]   {name}: {reason}", highlight=False)
    print_warnings(screen, summary.warnings)
    for label, text in summary.places().items():
        screen.print(f"[bold]{label:8}[/bold] {text}", highlight=False, soft_wrap=True)


import flows.deploy  # noqa: E402 # its commands join the application, after these
import flows.production  # noqa: E402 # and so do these
import flows.serve  # noqa: E402 # and this
import flows.trust  # noqa: E402, F401 # and these


def main() -> None:
    """Run the application; `rnntrade.__main__` calls it."""
    app()


if __name__ == "__main__":
    main()
