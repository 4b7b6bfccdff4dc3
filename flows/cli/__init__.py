"""The command line: `rnntrade run quick` and what goes with it."""

import os
from importlib import metadata
from typing import Annotated

import typer

from flows.cli import research  # noqa: F401 # --help lists the commands in this order

# isort: split

from flows.cli import production, servers  # noqa: F401
from flows.cli.app import app


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"rnntrade {metadata.version('rnntrade')}")
        raise typer.Exit


@app.callback()
def about(
    debug: Annotated[
        bool, typer.Option("--debug", help="Show tracebacks.", envvar="RNNTRADE_DEBUG")
    ] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Can a recurrent network trade a daily market?  Prices in, an honest answer out."""
    if debug:
        os.environ["RNNTRADE_DEBUG"] = "1"  # for child processes, too
